"""Primitives that read and write elements by index: rows, along an axis, blocks.

An index outside of its axis is refused everywhere, negative ones included: nothing
wraps and nothing is clamped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from chainrule import notation as write
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.apply import constant
from chainrule.graph.batching import Samples, moved, one_by_one, shifted
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case, of_any
from chainrule.graph.types import ArrayType, Dim, DType, Shape, size_of
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, convert, equal, where
from chainrule.primitives.movement import (
    broadcast_to,
    full,
    full_like,
    reshape,
    without,
)
from chainrule.primitives.rules import (
    need_axes,
    need_dtype,
    need_integer,
    need_type,
    same,
    show,
)
from chainrule.text import _


def _take_rule(x: ArrayType, indices: ArrayType) -> ArrayType:
    need_integer("take", "indices", indices.dtype)
    if not x.shape:
        raise ShapeError(
            _("take picks rows; a scalar has none."),
            expected=_("at least one axis"),
            got=show(x.shape),
        )
    return ArrayType((*indices.shape, *x.shape[1:]), x.dtype)


def check_indices(name: str, indices: Array, rows: int) -> None:
    """Raise an error if an array index is outside 0…rows−1; none may be negative."""
    low, high = (int(f(indices)) if indices.size else 0 for f in (np.min, np.max))
    if indices.size and (low < 0 or high >= rows):
        raise outside(name, rows, low, high)


def outside(name: str, rows: int, low: int, high: int) -> ArgumentError:
    """Return the error for array indices from ``low`` to ``high`` of so many rows."""
    return ArgumentError(
        _("{name} was asked for a row that does not exist.", name=name),
        expected=_("indices from 0 to {rows}", rows=rows - 1)
        if rows
        else _("no index"),
        got=_("indices from {low} to {high}", low=low, high=high),
    )


def _take_samples(s: Samples) -> Value:
    """Pick rows in every sample: those of ``gather`` where the rows differ."""
    x, indices = s.inputs
    if not s.batched[0]:
        return take(x, indices)
    rest = x.shape[2:]
    if not s.batched[1]:
        picked = take(moved(x, 0, 1), indices)
        return moved(picked, len(indices.shape), 0)
    picked = gather(x, _for_rows(indices, rest), axis=1)
    return reshape(picked, shape=(*indices.shape, *rest))


def _for_rows(indices: Value, rest: Shape) -> Value:
    """Return the samples' indices of rows, repeated for each element of a row."""
    line = (indices.shape[0], size_of(indices.shape[1:]))
    column = reshape(indices, shape=(*line, *(1 for _ in rest)))
    return broadcast_to(column, shape=(*line, *rest))


@declare(
    rule=_take_rule,
    vjp=(lambda g, y, x, i: scatter_add(full_like(x, 0.0), i, g), None),
    batch=_take_samples,
    refuses=lambda types, attrs: [(1, types[0].shape[0])],
    shown=lambda x, indices: write.at(x, indices),
    moves=True,
    source="rows by index (NumPy's take along axis 0)",
    cases=(
        Case(("f[5]", "i32[3]"), ranges=(None, (0, 5))),
        Case(("f[5,3]", "i32[7]"), ranges=(None, (0, 5))),
        Case(("f[5,2,3]", "i64[2,4]"), ranges=(None, (0, 5))),
        Case(("u8[4,6]", "i32[3]"), ranges=(None, (0, 4))),
        Case(("f[3,2]", "i32[0]"), ranges=(None, (0, 3))),
        Case(("f[5,6]", "i32[]"), ranges=(None, (0, 5))),
    ),
)
def take(x: Array, indices: Array) -> Array:
    check_indices("take", indices, x.shape[0])
    return np.take(x, indices, axis=0)


def _scatter_rule(base: ArrayType, indices: ArrayType, updates: ArrayType) -> ArrayType:
    same("scatter_add", 2)(_take_rule(base, indices), updates)
    return base


def _picked(g: Value, y: Value, x: Value, i: Value, u: Value) -> Value:
    return take(g, i)


def _scatter_samples(s: Samples) -> Value:
    base, updates, indices = s.whole(0), s.whole(2), s.inputs[1]
    if not s.batched[1]:
        moved_updates = moved(updates, 0, len(indices.shape))
        return moved(scatter_add(moved(base, 0, 1), indices, moved_updates), 1, 0)
    rows = _for_rows(indices, base.shape[2:])
    return scatter_add_along(base, rows, reshape(updates, shape=rows.shape), axis=1)


@declare(
    rule=_scatter_rule,
    vjp=(lambda g, y, x, i, u: g, None, _picked),
    batch=_scatter_samples,
    refuses=lambda types, attrs: [(1, types[0].shape[0])],
    shown=lambda base, indices, updates: write.added(write.at(base, indices), updates),
    source="adds rows by index; equal indices add up in the order of ``indices``",
    cases=(
        Case(("f[5]", "i32[7]", "f[7]"), ranges=(None, (0, 5), None)),
        Case(("f[4,3]", "i32[2,3]", "f[2,3,3]"), ranges=(None, (0, 4), None)),
        Case(("f[3,2]", "i32[0]", "f[0,2]"), ranges=(None, (0, 3), None)),
        Case(("f[5,6]", "i32[]", "f[6]"), ranges=(None, (0, 5), None)),
    ),
)
def scatter_add(base: Array, indices: Array, updates: Array) -> Array:
    check_indices("scatter_add", indices, base.shape[0])
    out = np.array(base, order="C")
    add_rows(out, indices, updates)
    return out


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


def _put_updates(g: Value, y: Value, x: Value, i: Value, u: Value) -> Value:
    """Return the derivative to rows that are put: that of the last of equal indices."""
    count = size_of(i.shape)
    flat = reshape(i, shape=(count,))
    order = iota(shape=(count,), axis=0, dtype=DType.int64)
    places = put_rows(full(0, DType.int64, (x.shape[0],)), flat, order)
    counts = reshape(equal(take(places, flat), order), shape=i.shape)
    ones = (1,) * (len(u.shape) - len(i.shape))
    counts = broadcast_to(reshape(counts, shape=(*i.shape, *ones)), shape=u.shape)
    return where(counts, take(g, i), full_like(u, 0.0))


def _put_rule(x: ArrayType, indices: ArrayType, rows: ArrayType) -> ArrayType:
    same("put_rows", 2)(_take_rule(x, indices), rows)
    return x


@declare(
    rule=_put_rule,
    vjp=(
        lambda g, y, x, i, u: put_rows(g, i, full_like(u, 0.0)),
        None,
        _put_updates,
    ),
    batch=one_by_one,
    refuses=lambda types, attrs: [(1, types[0].shape[0])],
    shown=lambda x, indices, rows: write.become(write.at(x, indices), rows),
    moves=True,
    source="rows replaced by index; of equal indices the last one counts",
    cases=(
        Case(("f[5]", "i32[3]", "f[3]"), ranges=(None, (0, 5), None)),
        Case(("f[4,3]", "i64[2,3]", "f[2,3,3]"), ranges=(None, (0, 4), None)),
        Case(("f[3,2]", "i32[0]", "f[0,2]"), ranges=(None, (0, 3), None)),
        Case(("f[5,6]", "i32[]", "f[6]"), ranges=(None, (0, 5), None)),
        Case(("u8[4,6]", "i32[3]", "u8[3,6]"), ranges=(None, (0, 4), None)),
    ),
)
def put_rows(x: Array, indices: Array, rows: Array) -> Array:
    check_indices("put_rows", indices, x.shape[0])
    out = x.copy()
    out[indices] = rows  # in order
    return out


def _along(
    types: Sequence[ArrayType], attrs: dict[str, Any]
) -> list[tuple[int, Dim | None]]:
    """Return the position of a primitive's input of indices, and their bound."""
    axis: int = attrs["axis"]
    return [(1, types[0].shape[axis])]


def _gather_rule(x: ArrayType, indices: ArrayType, *, axis: int) -> ArrayType:
    _need_alike("gather", x, indices, axis)
    return ArrayType(indices.shape, x.dtype)


def _need_alike(name: str, x: ArrayType, indices: ArrayType, axis: int) -> None:
    need_integer(name, "indices", indices.dtype)
    need_axes(name, (axis,), len(x.shape))
    others = without(x.shape, (axis,))
    if len(indices.shape) != len(x.shape) or others != without(indices.shape, (axis,)):
        raise ShapeError(
            _(
                "{name} takes indices in the shape of the value, but along axis "
                "{axis}.",
                name=name,
                axis=axis,
            ),
            expected=_(
                "{shape} with any length along axis {axis}",
                shape=show(x.shape),
                axis=axis,
            ),
            got=show(indices.shape),
            fix=_("broadcast_to the other axes first"),
        )


@declare(
    rule=_gather_rule,
    vjp=(
        lambda g, y, x, i, axis: scatter_add_along(full_like(x, 0.0), i, g, axis=axis),
        None,
    ),
    batch=shifted("axis"),
    refuses=_along,
    shown=lambda x, indices, axis: write.along_axis(x, indices, axis),
    moves=True,
    source="elements by index along an axis (NumPy's take_along_axis)",
    cases=(
        Case(("f[5]", "i32[3]"), {"axis": 0}, (None, (0, 5))),
        Case(("f[5,3]", "i64[7,3]"), {"axis": 0}, (None, (0, 5))),
        Case(("f[4,6]", "u8[4,2]"), {"axis": 1}, (None, (0, 6))),
        Case(("f[2,5,3]", "i32[2,4,3]"), {"axis": 1}, (None, (0, 5))),
        Case(("f[3,2]", "i32[3,0]"), {"axis": 1}, (None, (0, 2))),
        Case(("f[67,33]", "i64[67,91]"), {"axis": 1}, (None, (0, 33))),
    ),
)
def gather(x: Array, indices: Array, *, axis: int) -> Array:
    check_indices("gather", indices, x.shape[axis])
    return np.take_along_axis(x, indices, axis)


def _gathered(g: Value, y: Value, x: Value, i: Value, u: Value, axis: int) -> Value:
    return gather(g, i, axis=axis)


def _scatter_along_rule(
    base: ArrayType, indices: ArrayType, updates: ArrayType, *, axis: int
) -> ArrayType:
    _need_alike("scatter_add_along", base, indices, axis)
    same("scatter_add_along", 2)(ArrayType(indices.shape, base.dtype), updates)
    return base


@declare(
    rule=_scatter_along_rule,
    vjp=(lambda g, y, x, i, u, axis: g, None, _gathered),
    batch=shifted("axis"),
    refuses=_along,
    shown=lambda base, indices, updates, axis: write.added(
        write.along_axis(base, indices, axis), updates
    ),
    source="adds elements by index along an axis; equal indices in their order",
    cases=(
        Case(("f[5]", "i32[7]", "f[7]"), {"axis": 0}, (None, (0, 5), None)),
        Case(("f[4,3]", "i64[6,3]", "f[6,3]"), {"axis": 0}, (None, (0, 4), None)),
        Case(("f[4,3]", "u8[4,5]", "f[4,5]"), {"axis": 1}, (None, (0, 3), None)),
        Case(("f[2,3,2]", "i32[2,4,2]", "f[2,4,2]"), {"axis": 1}, (None, (0, 3), None)),
        Case(("f[3,2]", "i32[0,2]", "f[0,2]"), {"axis": 0}, (None, (0, 3), None)),
    ),
)
def scatter_add_along(
    base: Array, indices: Array, updates: Array, *, axis: int
) -> Array:
    check_indices("scatter_add_along", indices, base.shape[axis])
    out = np.array(base, order="C")
    flat: Any = 0  # of which NumPy makes a fast loop
    grid = cast("tuple[Array, ...]", np.indices(indices.shape, sparse=True))
    for i, places in enumerate(grid):
        step = math.prod(out.shape[i + 1 :])
        places = indices.astype(np.intp, copy=False) if i == axis else places
        flat = flat + (places if step == 1 else step * places)
    np.add.at(out.reshape(-1), flat.reshape(-1), updates.reshape(-1))
    return out


# -- blocks ---------------------------------------------------------------------------


def _need_starts(name: str, x: ArrayType, starts: Sequence[ArrayType]) -> None:
    if len(starts) != len(x.shape):
        raise ShapeError(
            _("{name} takes one start for every axis.", name=name),
            expected=str(len(x.shape)),
            got=str(len(starts)),
        )
    for start in starts:
        need_integer(name, "starts", start.dtype)
        need_type(
            name, _("single numbers as starts"), ArrayType((), start.dtype), start
        )


def _need_inside(name: str, x: ArrayType, sizes: Shape) -> None:
    fits = len(sizes) == len(x.shape) and all(
        n == dim or (isinstance(n, int) and isinstance(dim, int) and 0 <= n <= dim)
        for n, dim in zip(sizes, x.shape)
    )
    if not fits:
        raise ShapeError(
            _("{name} moves a block within the value.", name=name),
            expected=_(
                "no longer than {shape}, equal along named sizes", shape=show(x.shape)
            ),
            got=show(sizes),
        )


def _corners(shape: Shape, sizes: Shape, first: int) -> list[tuple[int, Dim | None]]:
    """Return the positions of inputs that are a block's start, with their bounds."""
    corners: list[tuple[int, Dim | None]] = []
    for i, (dim, n) in enumerate(zip(shape, sizes), first):
        free = dim - n if isinstance(dim, int) and isinstance(n, int) else 0
        corners.append((i, free + 1))
    return corners


def _window(
    name: str, x: Array, starts: Sequence[Array], sizes: Sequence[int]
) -> tuple[slice, ...]:
    """Return the slices of a block in an array, after checking that it lies within."""
    begins = [int(start) for start in starts]
    if any(not 0 <= b <= d - n for b, n, d in zip(begins, sizes, x.shape)):
        raise ArgumentError(
            _("{name}'s block reaches outside of the value.", name=name),
            expected=_(
                "starts from 0 to {shape}",
                shape=show(tuple(np.subtract(x.shape, sizes))),
            ),
            got=str(tuple(begins)),
        )
    return tuple([slice(b, b + n) for b, n in zip(begins, sizes)])


def _dynamic_slice_rule(x: ArrayType, *starts: ArrayType, sizes: Shape) -> ArrayType:
    _need_starts("dynamic_slice", x, starts)
    _need_inside("dynamic_slice", x, sizes)
    return ArrayType(sizes, x.dtype)


def _cut_vjp(g: Value, y: Value, x: Value, *starts: Value, sizes: Shape) -> Value:
    return dynamic_update_slice(full_like(x, 0.0), g, *starts)


_CORNER = ((0, 3), (0, 2), (0, 2))


def _dynamic_slice_samples(s: Samples) -> Value:
    """Cut a block out of every sample, last along axes where the corners differ."""
    x, sizes, zero = s.whole(0), list(s.attrs["sizes"]), constant(0, DType.int64)
    different = [a for a in range(len(sizes)) if s.batched[a + 1]]
    corner = [zero if a in different else start for a, start in enumerate(s.inputs[1:])]
    lengths = [x.shape[a + 1] if a in different else n for a, n in enumerate(sizes)]
    x = dynamic_slice(x, zero, *corner, sizes=(s.size, *lengths))
    for a in different:
        line = (s.size, sizes[a])
        start = reshape(convert(s.inputs[a + 1], dtype=DType.int64), shape=(s.size, 1))
        places = iota(shape=line, axis=1, dtype=DType.int64)
        places = add(broadcast_to(start, shape=line), places)
        ones: list[Dim] = [1] * len(x.shape)
        ones[0], ones[a + 1] = line
        shape = (*x.shape[: a + 1], sizes[a], *x.shape[a + 2 :])
        places = broadcast_to(reshape(places, shape=tuple(ones)), shape=shape)
        x = gather(x, places, axis=a + 1)
    return x


@declare(
    rule=_dynamic_slice_rule,
    vjp=(_cut_vjp,),
    batch=_dynamic_slice_samples,
    refuses=lambda types, attrs: _corners(types[0].shape, attrs["sizes"], 1),
    shown=of_any(lambda *inputs, **attrs: write.block(*inputs, **attrs)),
    moves=True,
    source="a block of fixed size whose corner is computed",
    cases=(
        Case(("f[7]", "i32[]"), {"sizes": (4,)}, (None, (0, 4))),
        Case(("f[5,3]", "i64[]", "i32[]"), {"sizes": (3, 2)}, (None, *_CORNER[:2])),
        Case(("f[5,1]", "u8[]", "i32[]"), {"sizes": (3, 1)}, (None, (0, 3), (0, 1))),
        Case(("f[3]", "i32[]"), {"sizes": (0,)}, (None, (0, 4))),
        Case(("f[3,7]", "i32[]", "i64[]"), {"sizes": (2, 7)}, (None, (0, 2), (0, 1))),
        Case(("f[]",), {"sizes": ()}),
    ),
)
def dynamic_slice(x: Array, *starts: Array, sizes: tuple[int, ...]) -> Array:
    return x[_window("dynamic_slice", x, starts, sizes)].copy()


def _update_rule(x: ArrayType, update: ArrayType, *starts: ArrayType) -> ArrayType:
    _need_starts("dynamic_update_slice", x, starts)
    _need_inside("dynamic_update_slice", x, update.shape)
    need_dtype("dynamic_update_slice", x.dtype, update.dtype)
    return x


def _base_vjp(g: Value, y: Value, x: Value, update: Value, *starts: Value) -> Value:
    return dynamic_update_slice(g, full_like(update, 0.0), *starts)


def _update_vjp(g: Value, y: Value, x: Value, update: Value, *starts: Value) -> Value:
    return dynamic_slice(g, *starts, sizes=update.shape)


def _update_samples(s: Samples) -> Value:
    if any(s.batched[2:]):
        return one_by_one(s)
    zero = constant(0, DType.int64)
    return dynamic_update_slice(s.whole(0), s.whole(1), zero, *s.inputs[2:])


@declare(
    rule=_update_rule,
    vjp=(_base_vjp, _update_vjp),
    batch=_update_samples,
    refuses=lambda types, attrs: _corners(types[0].shape, types[1].shape, 2),
    shown=of_any(lambda *inputs, **attrs: write.overwritten(*inputs, **attrs)),
    moves=True,
    source="the value with a block of it replaced",
    linear=True,
    cases=(
        Case(("f[7]", "f[4]", "i32[]"), {}, (None, None, (0, 4))),
        Case(("f[5,3]", "f[3,2]", "i64[]", "i32[]"), {}, (None, None, *_CORNER[:2])),
        Case(("f[5,1]", "f[3,1]", "u8[]", "i32[]"), {}, (None, None, (0, 3), (0, 1))),
        Case(("f[3]", "f[0]", "i32[]"), {}, (None, None, (0, 4))),
        Case(("f[3,7]", "f[2,7]", "i32[]", "i64[]"), {}, (None, None, (0, 2), (0, 1))),
        Case(("f[]", "f[]"), {}),
    ),
)
def dynamic_update_slice(x: Array, update: Array, *starts: Array) -> Array:
    out = np.array(x)
    out[_window("dynamic_update_slice", x, starts, update.shape)] = update
    return out


def one_hot_mask(indices: Value, classes: int) -> Value:
    """Return a mask bool[…, classes] that is true where the class equals the index."""
    shape = (*indices.shape, classes)
    column = broadcast_to(reshape(indices, shape=(*indices.shape, 1)), shape=shape)
    return equal(column, iota(shape=shape, axis=len(shape) - 1, dtype=indices.dtype))
