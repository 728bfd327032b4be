"""Batches of rows for the training loops of lessons."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def shuffled(
    count: int, batch_size: int, seed: int, epoch: int
) -> Iterator[np.ndarray]:
    """Iterate over the row numbers of an epoch's batches, in a random order.

    The order depends on the seed and the epoch alone. Rows that fill no batch are left
    out of the epoch.

    Args:
        count: the number of rows.
        batch_size: rows in a batch.
        seed, epoch: decide the order.

    >>> [rows.tolist() for rows in shuffled(5, 2, seed=0, epoch=0)]
    [[2, 4], [3, 0]]
    """
    order = np.random.default_rng([seed, epoch]).permutation(count)
    for first in range(0, count - batch_size + 1, batch_size):
        yield order[first : first + batch_size]
