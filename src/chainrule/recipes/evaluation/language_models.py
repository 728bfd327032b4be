"""The mean loss of a language model over a whole text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def windows(text: np.ndarray, starts: np.ndarray, block: int) -> np.ndarray:
    """Return the text windows of block + 1 symbols from each start.

    >>> windows(np.arange(9), np.array([0, 4]), 2)
    array([[0, 1, 2],
           [4, 5, 6]])
    """
    return text[starts[..., None] + np.arange(block + 1)]


def nats(
    loss: Callable[[np.ndarray], Any],
    text: np.ndarray,
    block: int,
    most: int | None = None,
) -> float:
    """Return a language model's mean loss on a text, in windows without overlap.

    Args:
        loss: from windows (n, block + 1) to the mean −ln p of all symbols behind their
            first ones.
        text: numbers of symbols.
        block: the symbols of a window that are predicted.
        most: the largest number of windows, evenly spaced; None for all.
    """
    starts = np.arange(0, len(text) - block, block)
    if most is not None:
        starts = starts[:: max(1, len(starts) // most)][:most]
    parts = np.array_split(starts, math.ceil(len(starts) / 48))
    total = sum(len(p) * loss(windows(text, p, block)).item() for p in parts)
    return total / len(starts)
