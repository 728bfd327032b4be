"""A cache as a dictionary with a maximum number of entries."""

from __future__ import annotations

from contextlib import suppress
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V]):
    """A cache: a dictionary that drops its oldest entry beyond a maximum size.

    Reading costs what it costs in any dictionary, which is why nothing is noted of what
    was read last. Another thread may remove an entry at any time: read with ``get``.

    Args:
        most: the number of entries.

    >>> squares = Bounded(2)
    >>> for n in 1, 2, 3:
    ...     squares[n] = n * n
    >>> squares
    {2: 4, 3: 9}
    """

    __slots__ = ("most",)

    def __init__(self, most: int) -> None:
        self.most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        while len(self) > self.most:
            with suppress(RuntimeError, StopIteration):  # another thread was here
                self.pop(next(iter(self)), None)
