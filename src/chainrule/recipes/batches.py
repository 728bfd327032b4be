"""Mini-batches of data rows for hand-written training loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import chainrule as cr


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


def by_batches(
    function: Callable[[cr.Tensor], Any], x: np.ndarray, batch_size: int = 500
) -> np.ndarray:
    """Apply a function to an array's rows, a batch at a time; return one array.

    No derivatives are recorded.

    Args:
        function: a tensor of rows → a tensor or an array with as many rows.
        x: (n, …).
        batch_size: rows in a batch, which bounds the memory that they need.

    >>> by_batches(lambda rows: rows**2, np.arange(5.0), batch_size=2)
    array([ 0.,  1.,  4.,  9., 16.])
    """
    firsts = range(0, len(x), batch_size)
    with cr.no_grad():
        parts = [np.asarray(function(cr.tensor(x[i : i + batch_size]))) for i in firsts]
    return np.concatenate(parts)
