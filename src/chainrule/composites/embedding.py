"""Rows of a table by index, whose gradient is the rows that were looked up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule import notation as write
from chainrule.composites.composite import composite
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import EAGER, Case
from chainrule.graph.types import DType
from chainrule.primitives.elementwise import equal, where
from chainrule.primitives.indexing import add_rows, scatter_add, take
from chainrule.primitives.movement import broadcast_to, full, full_like, reshape

_CASES = (
    Case(("f[5,3]", "i64[7]"), {"padding": -1}, (None, (0, 5))),
    Case(("f[5,3]", "i32[2,4]"), {"padding": 2}, (None, (0, 5))),
    Case(("f[3,2]", "i32[0]"), {"padding": -1}, (None, (0, 3))),
)


def _looked_up(g: Value, y: Value, x: Value, i: Value, padding: int) -> Value:
    if padding >= 0:
        g = where(by_row(is_padding(i, padding), g), full_like(g, 0.0), g)
    return row_gradient(i, g, rows=x.shape[0], padding=padding)


def is_padding(indices: Value, padding: int) -> Value:
    """Return where an index is that of the padding."""
    return equal(indices, full_like(indices, padding))


def by_row(flags: Value, like: Value) -> Value:
    """Return a flag of each row in the shape of ``like``, which has the rows."""
    ones = (1,) * (len(like.shape) - len(flags.shape))
    return broadcast_to(reshape(flags, shape=(*flags.shape, *ones)), shape=like.shape)


@composite(
    vjp=(_looked_up, None),
    shown=lambda x, indices, padding: write.at(x, indices),
    moves=True,
    source="rows by index; those of the padding have no derivative",
    cases=_CASES[::2],
)
def lookup(x: Value, indices: Value, *, padding: int) -> Value:
    """Return rows of a table, whose gradient is those rows alone.

    Args:
        x: the table.
        indices: of rows.
        padding: the number of a row that is not trained, or −1.
    """
    return take(x, indices)


@composite(
    vjp=(None, lambda g, y, i, r, rows, padding: take(g, i)),
    shown=lambda i, updates, rows, padding: write.apply("rows", i, updates),
    source="the gradient of rows by index: equal indices add up, others are 0",
    cases=(
        Case(("i64[7]", "f[7,3]"), {"rows": 5, "padding": -1}, ((0, 5), None)),
        Case(("i32[2,4]", "f[2,4,3]"), {"rows": 5, "padding": 2}, ((0, 5), None)),
        Case(("i32[0]", "f[0,2]"), {"rows": 3, "padding": -1}, ((0, 3), None)),
    ),
)
def row_gradient(indices: Value, updates: Value, *, rows: int, padding: int) -> Value:
    """Return an array of zeros but for rows, to which ``updates`` are added.

    Args:
        indices: of the rows (…).
        updates: what is added to them (…, d).
        rows: how many there are.
        padding: the number of a row that is not trained, or −1.
    """
    shape = (rows, *updates.shape[len(indices.shape) :])
    return scatter_add(full(0.0, updates.dtype, shape), indices, updates)


class RowGradient(Value):
    """An eager value that is 0 but for rows that are added up.

    It keeps what is added to which row; the array with its zeros is made when something
    asks for its numbers. While a function is traced, :func:`row_gradient` is the same.

    Args:
        parts: of each lookup the indices (…), the rows (…, d), and the number of a row
            that it does not train, or −1.
        shape, dtype: of the whole.
    """

    __slots__ = ("_whole", "parts")

    def __init__(
        self,
        parts: Iterable[tuple[Array, Array, int]],
        shape: tuple[int, ...],
        dtype: DType,
    ) -> None:
        self._whole: Array | None = None
        super().__init__(None, shape, dtype)
        self.parts = tuple(parts)

    @property
    def array(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The whole gradient with its zeros, which is made when it is asked for."""
        if self._whole is None:
            self._whole = np.zeros(self.shape, self.dtype.numpy)
            for indices, rows, __ in self.parts:
                add_rows(self._whole, indices, rows)
            self._whole.flags.writeable = False  # a change here would miss the parts
        return self._whole

    @array.setter
    def array(self, whole: Array | None) -> None:
        self._whole = whole

    def joined(self, other: Value) -> RowGradient | None:
        """Return the sum of two gradients of rows; None where ``other`` is none."""
        if not isinstance(other, RowGradient):
            return None
        shape: tuple[int, ...] = self.shape  # type: ignore[assignment]
        return RowGradient(self.parts + other.parts, shape, self.dtype)


class _Eager:
    """Eager derivatives of ``lookup``, which keep the rows and make no zeros."""

    def forward(self, arrays: tuple[Array, ...], attrs: dict[str, Any]) -> Any:
        """Return None: the reference looks rows up."""
        return None

    def backward(
        self,
        gs: Sequence[Any],
        ys: Sequence[Any],
        inputs: Sequence[Any],
        needed: Sequence[bool],
        attrs: dict[str, Any],
    ) -> Sequence[Any] | None:
        """Return the table's gradient as its rows."""
        if gs[0] is None or not needed[0] or gs[0].dtype is DType.bfloat16:
            return None  # bfloat16 is summed in float32
        (x, indices), padding, g = inputs, attrs["padding"], gs[0].array
        if padding >= 0:
            g = g.copy()
            g[indices.array == padding] = 0
        parts = [(indices.array.copy(), g, padding)]  # that the caller may overwrite
        return [RowGradient(parts, x.shape, x.dtype), None]


EAGER[lookup.name] = _Eager()
