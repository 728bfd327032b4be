"""Checksums of rows, which processes that have read some of them each can add up."""

import numpy as np

from chainrule.data.source import Pair, rows_of
from chainrule.util.pytree import leaves

#: Rows whose checksums are computed at a time.
_TOGETHER = 256


def digest(pair: Pair) -> int:
    """Return a checksum of a block's rows, which tells other rows by.

    It is the sum, modulo 2⁶⁴, of those of the rows: so several processes can add up
    what each of them has read.

    >>> x, y = np.arange(6.0).reshape(3, 2), np.arange(3)
    >>> parts = [digests((x[[i]], y[[i]]), np.array([i])).item() for i in range(3)]
    >>> sum(parts) % 2**64 == digest((x, y))
    True
    """
    places = np.arange(rows_of(pair[1]))
    return int(digests(pair, places).sum(dtype=np.uint64))


def digests(pair: Pair, where: np.ndarray) -> np.ndarray:
    """Return a checksum of each row of a block, uint64: of its content and its place.

    Args:
        pair: the rows.
        where: their places in the block.
    """
    made = _mixed(where.astype(np.uint64) + np.uint64(1))
    arrays = leaves(pair[0], "x") | leaves(pair[1], "y")
    for name in sorted(arrays):  # dictionaries may have another order elsewhere
        array = arrays[name]
        for start in range(0, len(made), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            made[part] = _mixed(made[part] ^ _of_rows(array[part]))
    return made


def _of_rows(rows: np.ndarray) -> np.ndarray:
    """Return a number of 64 bits for each row: a sum of its words, each by a factor."""
    raw = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
    if over := -raw.shape[1] % 8:
        raw = np.pad(raw, ((0, 0), (0, over)))
    words = raw.view(np.uint64)
    factors = _mixed(np.arange(1, words.shape[1] + 1, dtype=np.uint64)) | np.uint64(1)
    return (words * factors).sum(1, dtype=np.uint64)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Return numbers of 64 bits, all bits mixed: SplitMix64's (Steele et al. 2014)."""
    z = numbers * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
