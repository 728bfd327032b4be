"""Arrays that are not to be read or copied whole: mapped files, overlapping windows."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterator
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


#: Rows that are taken together, and those of a file that its checksum is of.
TOGETHER, LOOKED_AT = 1024, 256


def fingerprint(array: np.ndarray, checksum: int = 0) -> int:
    """Return a checksum of an array's rows: of all, or of some of a mapped file.

    >>> f"{fingerprint(np.arange(3)):08x}"
    '4f8c5ccc'
    """
    for part in _looked_at(array):
        checksum = zlib.crc32(part.tobytes(), checksum)
    return checksum


def _looked_at(array: np.ndarray) -> Iterator[np.ndarray]:
    if not on_disk(array):
        for start in range(0, len(array), TOGETHER):
            yield array[start : start + TOGETHER]
        return
    rows = np.unique(np.linspace(0, len(array) - 1, LOOKED_AT).astype(np.int64))
    for row in rows.tolist():
        yield array[row]
        release(array)
