"""The adding problem: sequences of numbers, two of which are marked, and their sums.

Source: Hochreiter & Schmidhuber 1997, "Long short-term memory", experiment 4.
"""

from __future__ import annotations

import numpy as np


def problem(
    count: int, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the adding problem's inputs (numbers, marks), and sums of marked numbers.

    Numbers are uniform in [0, 1), so the constant 1 has the mean squared error 1/6.

    Args:
        count: the number of sequences.
        length: steps of a sequence; one mark stands in each half.
        rng: draws the numbers and the marks.

    Returns:
        (count, length, 2) and (count, 1), float32.

    >>> x, y = problem(1, 4, np.random.default_rng(0))
    >>> print(x[0].round(2).T, y.round(2))
    [[0.64 0.27 0.04 0.02]
     [1.   0.   0.   1.  ]] [[0.65]]
    """
    x = np.zeros((count, length, 2), np.float32)
    x[..., 0] = rng.random((count, length))
    for low, high in ((0, length // 2), (length // 2, length)):
        x[np.arange(count), rng.integers(low, high, count), 1] = 1
    return x, x.prod(2).sum(1, keepdims=True)
