"""Primitives that read and write rows by index."""

from __future__ import annotations

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.build import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import equal
from chainrule.primitives.movement import broadcast_to, full_like, reshape
from chainrule.primitives.rules import need_integer, same, show


def _take_rule(x: ArrayType, indices: ArrayType) -> ArrayType:
    need_integer("take", "indices", indices.dtype)
    if not x.shape:
        raise ShapeError(
            "take picks rows; a scalar has none.",
            expected="at least one axis",
            got=show(x.shape),
        )
    return ArrayType((*indices.shape, *x.shape[1:]), x.dtype)


def check_indices(name: str, indices: Array, rows: int) -> None:
    """Refuse an index outside 0…rows−1 (negative ones too: nothing wraps here)."""
    low, high = (int(f(indices)) if indices.size else 0 for f in (np.min, np.max))
    if indices.size and (low < 0 or high >= rows):
        raise ArgumentError(
            f"{name} was asked for a row that does not exist.",
            expected=f"indices from 0 to {rows - 1}",
            got=f"indices from {low} to {high}",
        )


def _take(x: Array, indices: Array) -> Array:
    check_indices("take", indices, x.shape[0])
    return np.take(x, indices, axis=0)


take = declare(
    "take",
    rule=_take_rule,
    reference=_take,
    vjp=(lambda g, y, x, i: scatter_add(full_like(x, 0.0), i, g), None),
    formula="{0}[{1}]",
    source="rows by index (NumPy's take along axis 0)",
    cases=(
        Case(("f[5]", "i32[3]"), ranges=(None, (0, 5))),
        Case(("f[5,3]", "i32[7]"), ranges=(None, (0, 5))),
        Case(("f[5,2,3]", "i64[2,4]"), ranges=(None, (0, 5))),
        Case(("u8[4,6]", "i32[3]"), ranges=(None, (0, 4))),
        Case(("f[3,2]", "i32[0]"), ranges=(None, (0, 3))),
    ),
)


def _scatter_rule(base: ArrayType, indices: ArrayType, updates: ArrayType) -> ArrayType:
    rows = _take_rule(base, indices)
    same("scatter_add", 2)(rows, updates)
    return base


def _scatter(base: Array, indices: Array, updates: Array) -> Array:
    check_indices("scatter_add", indices, base.shape[0])
    out = base.copy()
    np.add.at(out, indices, updates)
    return out


scatter_add = declare(
    "scatter_add",
    rule=_scatter_rule,
    reference=_scatter,
    vjp=(lambda g, y, x, i, u: g, None, lambda g, y, x, i, u: take(g, i)),
    formula="{0}[{1}] \\mathrel{{+}}= {2}",
    source="adds rows by index; equal indices add up in the order of ``indices``",
    cases=(
        Case(("f[5]", "i32[7]", "f[7]"), ranges=(None, (0, 5), None)),
        Case(("f[4,3]", "i32[2,3]", "f[2,3,3]"), ranges=(None, (0, 4), None)),
        Case(("f[3,2]", "i32[0]", "f[0,2]"), ranges=(None, (0, 3), None)),
    ),
)


def one_hot_mask(indices: Value, classes: int) -> Value:
    """bool[…, classes]: true where the class is the index."""
    shape = (*indices.shape, classes)
    column = broadcast_to(reshape(indices, shape=(*indices.shape, 1)), shape=shape)
    return equal(column, iota(shape=shape, axis=len(shape) - 1, dtype=indices.dtype))
