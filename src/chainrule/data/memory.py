"""Arrays that are not to be read or copied whole: mapped files, overlapping windows."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import numpy as np


def mapping_of(array: np.ndarray) -> mmap.mmap | None:
    """Return the mapped file that an array lies in; None for one in memory."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, mmap.mmap) else None


def on_disk(array: np.ndarray) -> bool:
    """Return whether an array lies in a file that is mapped into memory.

    >>> on_disk(np.zeros(3))
    False
    """
    return mapping_of(array) is not None


def overlaps(array: np.ndarray) -> bool:
    """Return whether rows share memory, as windows of a series do.

    >>> overlaps(np.lib.stride_tricks.sliding_window_view(np.zeros(9), 4))
    True
    """
    low, high = np.lib.array_utils.byte_bounds(array)
    return array.nbytes > high - low


def kept_apart(array: np.ndarray) -> bool:
    """Return whether an array is left where it is: training gathers rows of it."""
    return on_disk(array) or overlaps(array)


def release(array: np.ndarray) -> None:
    """Let the system take back the memory of a mapped file's pages that were read."""
    mapping = mapping_of(array)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError, ValueError):
            if memoryview(mapping).readonly:  # of a private copy, changes would be lost
                mapping.madvise(mmap.MADV_DONTNEED)
