"""A gradient of few rows of a table, as the rows alone: an eager value.

A table of embeddings has a gradient for the rows that were looked up, and 0 for all
others. :class:`RowGradient` keeps what was added to which row; the array with the zeros
is made when something asks for its numbers. While a function is traced, the composite
``row_gradient`` is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from chainrule.graph.node import Array, Value
from chainrule.graph.types import DType


class RowGradient(Value):
    """A value that is 0 but for rows that are added up.

    Args:
        parts: pairs of indices (…) and rows (…, d).
        shape, dtype: of the whole.
        padding: the number of a row that is not trained, or −1.
    """

    __slots__ = ("_whole", "padding", "parts")

    def __init__(
        self,
        parts: Iterable[tuple[Array, Array]],
        shape: tuple[int, ...],
        dtype: DType,
        padding: int = -1,
    ) -> None:
        self._whole: Array | None = None
        super().__init__(None, shape, dtype)
        self.parts, self.padding = tuple(parts), padding

    @property
    def array(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The whole gradient with its zeros, which is made when it is asked for."""
        if self._whole is None:
            self._whole = np.zeros(self.shape, self.dtype.numpy)
            for indices, rows in self.parts:
                add_rows(self._whole, indices, rows)
        return self._whole

    @array.setter
    def array(self, whole: Array | None) -> None:
        self._whole = whole

    def joined(self, other: Value) -> RowGradient | None:
        """Return the sum of two gradients of rows; None where ``other`` is none."""
        if not isinstance(other, RowGradient) or other.padding != self.padding:
            return None
        parts = self.parts + other.parts
        shape: tuple[int, ...] = self.shape  # type: ignore[assignment]
        return RowGradient(parts, shape, self.dtype, self.padding)


def add_rows(out: Array, indices: Array, rows: Array) -> None:
    """Add rows to an array in place, by index and in order; equal indices add up."""
    width = math.prod(out.shape[1:])
    if width == 1 or not out.flags.c_contiguous:
        np.add.at(out, indices, rows)
        return
    # Element by element, of which NumPy makes a fast loop.
    starts = indices.reshape(-1, 1).astype(np.intp) * width
    places = (starts + np.arange(width)).reshape(-1)
    np.add.at(out.reshape(-1), places, rows.reshape(-1))
