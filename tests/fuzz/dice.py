"""Choices read off bytes: hypothesis and atheris make bytes, and both shrink them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A source of choices; once the bytes are used up every choice is the first one.

    >>> dice = Dice(bytes([0, 7, 1, 0]))
    >>> dice.pick(5), dice.of("abc"), dice.pick(100)
    (2, 'b', 0)
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def pick(self, n: int) -> int:
        """A number from 0 to n − 1."""
        drawn = int.from_bytes(self.data[self.at : self.at + 2], "big")
        self.at += 2
        return drawn % n if n > 0 else 0

    def of(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.pick(len(items))]

    def rest(self) -> bytes:
        """The bytes that are left."""
        left, self.at = self.data[self.at :], len(self.data)
        return left
