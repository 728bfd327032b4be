"""Reshaping, joining, splitting, repeating and reordering of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, AxisError, ShapeError
from chainrule.graph.build import bind
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, DType, Shape, SymbolicDim, size_of
from chainrule.operations.arguments import axes_of, axis_of, fill, shape_of, whole
from chainrule.operations.operands import (
    cast,
    count_of,
    filled,
    promote,
    stretch,
)
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, equal, less, mul, where
from chainrule.primitives.indexing import take
from chainrule.primitives.integers import remainder
from chainrule.primitives.rules import show
from chainrule.text import _


def reshape(v: Value, shape: tuple[Any, ...]) -> Value:
    """Return ``v`` in another shape; one size may be −1."""
    shape = fill(v.shape, shape)
    return v if shape == v.shape else bind(movement.reshape, (v,), {"shape": shape})


def permuted(shape: Shape, dims: Sequence[Any]) -> tuple[int, ...]:
    """Return the axes in the order of ``dims``."""
    order = tuple([axis_of(shape, d) for d in dims])
    if sorted(order) != list(range(len(shape))):
        raise ShapeError(
            _("permute takes every axis once."),
            expected=_(
                "the numbers 0 to {shape} in another order", shape=len(shape) - 1
            ),
            got=_("{dims} for shape {shape}", dims=tuple(dims), shape=show(shape)),
            fix=_("transpose(dim0, dim1) exchanges two axes"),
        )
    return order


def permute(v: Value, dims: Sequence[Any]) -> Value:
    return movement.transpose(v, axes=permuted(v.shape, dims))


def swapped(shape: Shape, dim0: Any, dim1: Any) -> tuple[int, ...]:
    """Return the order of axes with two of them exchanged."""
    order = list(range(len(shape)))
    a, b = axis_of(shape, dim0), axis_of(shape, dim1)
    order[a], order[b] = b, a
    return tuple(order)


def moved(shape: Shape, source: Any, destination: Any) -> tuple[int, ...]:
    """Return the axes with some moved; the rest keep their order."""
    many = [d if isinstance(d, tuple | list) else (d,) for d in (source, destination)]
    given, wanted = ([axis_of(shape, d) for d in ds] for ds in many)
    if (
        len(given) != len(wanted)
        or len({*given}) < len(given)
        or len({*wanted}) < len(wanted)
    ):
        raise ShapeError(
            _("Axes move to places of their own."),
            expected=_("as many different places as axes"),
            got=_("{source} to {destination}", source=source, destination=destination),
        )
    order: list[Any] = [None] * len(shape)
    for a, b in zip(given, wanted):
        order[b] = a
    rest = iter([a for a in range(len(shape)) if a not in given])
    return tuple([next(rest) if a is None else a for a in order])


def merge(v: Value, start: Any, end: Any) -> Value:
    """Merge the axes from ``start`` to ``end`` into one."""
    shape = v.shape or (1,)
    first, last = (axis_of(shape, d) for d in (start, end))
    if first > last:
        raise ShapeError(
            _("flatten merges neighbouring axes."),
            expected=_("start_dim before end_dim"),
            got=_(
                "{start} and {end} for shape {shape}",
                start=start,
                end=end,
                shape=show(v.shape),
            ),
            fix=f"flatten({last}, {first})",
        )
    merged = size_of(shape[first : last + 1])
    return reshape(v, (*shape[:first], merged, *shape[last + 1 :]))


def divide_axis(v: Value, dim: Any, sizes: Sequence[Any]) -> Value:
    """Split one axis into several."""
    at = axis_of(v.shape, dim)
    many = tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,)
    inner = fill((v.shape[at],), many)
    return reshape(v, (*v.shape[:at], *inner, *v.shape[at + 1 :]))


def squeeze(v: Value, dim: Any) -> Value:
    """Remove the axes ``dim``, which must have length 1."""
    axes = axes_of(v.shape, dim)
    for at in axes:
        if v.shape[at] != 1:
            raise ShapeError(
                _("squeeze drops an axis of length 1."),
                expected=_("axis {at} of length 1", at=at),
                got=_("shape {shape}", shape=show(v.shape)),
                fix=_(
                    "x.reshape(…) for another shape, x.squeeze() for all of length 1"
                ),
            )
    return reshape(v, tuple([d for i, d in enumerate(v.shape) if i not in axes]))


def expand_dims(v: Value, dim: Any) -> Value:
    """Insert axes of length 1, at positions counted in the result."""
    many = tuple(dim) if isinstance(dim, tuple | list) else (dim,)
    rank = len(v.shape) + len(many)
    for d in many:
        if isinstance(d, int) and not isinstance(d, bool) and not -rank <= d < rank:
            raise AxisError(
                _("No axis can be inserted at {d}.", d=d),
                expected=f"−{rank} … {rank - 1}",
                got=_("{d} for shape {shape}", d=d, shape=show(v.shape)),
            )
    new = axes_of((1,) * rank, many)
    old = iter(v.shape)
    return reshape(v, tuple([1 if i in new else next(old) for i in range(rank)]))


def broadcast_to(v: Value, shape: Sequence[Any]) -> Value:
    """Repeat along missing axes and axes of length 1; −1 leaves a size unchanged."""
    what = _("expand takes sizes, and −1 for a size that is there already.")
    wanted = shape_of(tuple(shape), what, least=-1)
    lead = len(wanted) - len(v.shape)
    if -1 in wanted:
        kept = (*[-1] * lead, *v.shape)
        wanted = tuple([kept[i] if d == -1 else d for i, d in enumerate(wanted)])
        if -1 in wanted:
            raise ShapeError(
                what,
                expected=_(
                    "a number for each new axis in front of {shape}",
                    shape=show(v.shape),
                ),
                got=f"{tuple(shape)!r:.80}",
            )
    return stretch(v, wanted)


def common(values: Sequence[Value], what: str) -> list[Value]:
    """Return at least one value in the common dtype of all."""
    if not values:
        raise ArgumentError(
            _("{what} takes tensors.", what=what), expected=_("1 or more"), got="0"
        )
    dtype = values[0].dtype
    for v in values[1:]:
        dtype = promote(dtype, v.dtype)
    return [cast(v, dtype) for v in values]


def concatenate(values: Sequence[Value], dim: Any = 0) -> Value:
    """Concatenate values along ``dim``; with None, flatten them first."""
    values = common(values, "concat")
    if dim is None:
        values, dim = [reshape(v, (-1,)) for v in values], 0
    ranks = {len(v.shape) for v in values}
    if len(ranks) > 1 or 0 in ranks:
        raise ShapeError(
            _("concat joins tensors of one number of axes, at least 1."),
            expected=_("shapes that differ along one axis alone"),
            got=", ".join(show(v.shape) for v in values[:5]),
            fix=_("stack, for a new axis"),
        )
    axis = axis_of(values[0].shape, dim)
    return values[0] if len(values) == 1 else movement.concatenate(*values, axis=axis)


def stack(values: Sequence[Value], dim: Any = 0) -> Value:
    """Stack values of one shape along a new axis."""
    values = common(values, "stack")
    for v in values:
        if v.shape != values[0].shape:
            raise ShapeError(
                _("stack takes tensors of one shape."),
                expected=show(values[0].shape),
                got=show(v.shape),
            )
    return concatenate([expand_dims(v, dim) for v in values], _place(values[0], dim))


def _place(v: Value, dim: Any) -> int:
    return axis_of((1, *v.shape), dim)


def cut(v: Value, axis: int, start: int, stop: int) -> Value:
    """Return the elements from ``start`` to before ``stop`` along an axis."""
    if start == 0 and stop == v.shape[axis]:
        return v
    rank = len(v.shape)
    return movement.slice_(
        v,
        starts=(0,) * axis + (start,) + (0,) * (rank - axis - 1),
        stops=(*v.shape[:axis], stop, *v.shape[axis + 1 :]),
        strides=(1,) * rank,
    )


def split(v: Value, lengths: Any, dim: Any) -> list[Value]:
    """Split along ``dim`` into pieces of a given length, or of given lengths.

    The last piece may be shorter.
    """
    axis = axis_of(v.shape, dim)
    size = v.shape[axis]
    if isinstance(size, SymbolicDim):
        raise ShapeError(
            _(
                "The axis of {size} is not cut: its length is known only at the run.",
                size=size,
            ),
            expected=_("an axis of fixed length"),
            got=_("dim={dim} of shape {shape}", dim=dim, shape=show(v.shape)),
            fix=_("cut another axis, or trace with fixed shapes"),
        )
    if isinstance(lengths, int):
        if lengths < 1:
            raise ArgumentError(
                _("Pieces have a length."), expected=_("at least 1"), got=str(lengths)
            )
        lengths = [min(lengths, size - at) for at in range(0, size, lengths)] or [0]
    what = _("Pieces have a length, or a length each.")
    lengths = shape_of(tuple(lengths) if isinstance(lengths, list) else lengths, what)
    if sum(lengths) != size or min(lengths, default=0) < 0:
        raise ShapeError(
            _("The pieces must make up the axis."),
            expected=_("lengths ≥ 0 that add up to {size}", size=size),
            got=f"{list(lengths)}"[:80],
        )
    made: list[Value] = []
    at = 0
    for length in lengths:
        made.append(cut(v, axis, at, at + length))
        at += length
    return made


def chunk(v: Value, chunks: int, dim: Any) -> list[Value]:
    """Split into at most ``chunks`` pieces of equal length; the last may be shorter."""
    axis = axis_of(v.shape, dim)
    size = v.shape[axis]
    if not isinstance(chunks, int) or chunks < 1:
        raise ArgumentError(
            _("Chunks are counted."), expected=_("at least 1"), got=f"{chunks!r:.40}"
        )
    length = -(-size // chunks) if isinstance(size, int) else 1
    return split(v, max(length, 1), axis)


def unstack(v: Value, dim: Any) -> list[Value]:
    """Return the slices along ``dim`` as separate values without that axis."""
    axis = axis_of(v.shape, dim)
    if v.shape[axis] == 0:
        return []
    return [squeeze(piece, axis) for piece in split(v, 1, axis)]


def flip(v: Value, dim: Any) -> Value:
    axes = axes_of(v.shape, dim)
    return movement.flip(v, axes=axes) if axes else v


def roll(v: Value, shifts: Any, dim: Any) -> Value:
    """Shift elements by ``shifts`` along an axis, with wrap-around at the ends."""
    if dim is None:
        several = shifts if isinstance(shifts, tuple | list) else (shifts,)
        shift = sum(whole("shifts", n) for n in several)
        return reshape(roll(reshape(v, (-1,)), shift, 0), v.shape)
    dims = dim if isinstance(dim, tuple | list) else (dim,)
    many = shifts if isinstance(shifts, tuple | list) else (shifts,) * len(dims)
    if len(many) != len(dims):
        raise ArgumentError(
            _("roll takes one shift for each axis."),
            expected=_("{dims} shifts", dims=len(dims)),
            got=f"{shifts!r:.80}",
        )
    for shift, d in zip(many, dims):
        v = _rolled(v, whole("shifts", shift), axis_of(v.shape, d))
    return v


def _rolled(v: Value, shift: int, axis: int) -> Value:
    size = v.shape[axis]
    if isinstance(size, int):
        at = -shift % size if size else 0
        if not at:
            return v
        ends = [cut(v, axis, at, size), cut(v, axis, 0, at)]
        return movement.concatenate(*ends, axis=axis)
    count = iota(shape=(size,), axis=0, dtype=DType.int64)
    modulus = stretch(count_of(size, DType.int64), (size,))
    places = remainder(add(count, filled(-shift, DType.int64, (size,))), modulus)
    return rows(v, places, axis)


def rows(v: Value, indices: Value, axis: int) -> Value:
    """Take slices of ``v`` by index along ``axis``, which the indices' axes replace."""
    if axis == 0:
        return take(v, indices)
    order = (axis, *[i for i in range(len(v.shape)) if i != axis])
    made = take(movement.transpose(v, axes=order), indices)
    new = tuple(range(len(indices.shape)))
    rest = tuple(range(len(new), len(made.shape)))
    return movement.transpose(made, axes=(*rest[:axis], *new, *rest[axis:]))


def tile(v: Value, repetitions: Sequence[int]) -> Value:
    """Repeat the whole value along each axis; numbers count from the last axis."""
    many = [*shape_of(tuple(repetitions), _("The whole is repeated whole times."))]
    many = [1] * (len(v.shape) - len(many)) + many
    shape = (1,) * (len(many) - len(v.shape)) + v.shape
    apart: list[Dim] = []
    wide: list[Dim] = []
    for n, size in zip(many, shape):
        apart += [1, size]
        wide += [n, size]
    made = stretch(reshape(v, tuple(apart)), tuple(wide))
    return reshape(made, tuple([size * n for n, size in zip(many, shape)]))


def repeat(v: Value, times: int, dim: Any) -> Value:
    """Repeat each element a number of times in a row."""
    times = whole("repeats", times, least=0)
    if dim is None:
        v, dim = reshape(v, (-1,)), 0
    axis = axis_of(v.shape, dim)
    shape = v.shape
    apart = reshape(v, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
    wide = stretch(apart, (*shape[: axis + 1], times, *shape[axis + 1 :]))
    return reshape(wide, (*shape[:axis], shape[axis] * times, *shape[axis + 1 :]))


def triangle(v: Value, k: int, lower: bool) -> Value:
    """Return the elements on and below (or above) the k-th diagonal of matrices."""
    if len(v.shape) < 2:
        raise ShapeError(
            _("Triangles are parts of matrices."),
            expected=_("at least two axes"),
            got=show(v.shape),
        )
    shape, k = v.shape[-2:], whole("diagonal", k)
    row, column = (iota(shape=shape, axis=i, dtype=DType.int64) for i in (0, 1))
    edge = add(row, filled(k + 1 if lower else k, DType.int64, shape))
    below = stretch(less(column, edge), v.shape)
    zero = filled(0, v.dtype, v.shape)
    return where(below, v, zero) if lower else where(below, zero, v)


def diagonal(v: Value, offset: int = 0, dim1: Any = 0, dim2: Any = 1) -> Value:
    """Return the diagonal (second index = first + ``offset``) as the last axis."""
    a, b, offset = (
        axis_of(v.shape, dim1),
        axis_of(v.shape, dim2),
        whole("offset", offset),
    )
    rest = [i for i in range(len(v.shape)) if i not in (a, b)]
    v = movement.transpose(v, axes=(a, b, *rest))
    m, n = v.shape[:2]
    if isinstance(m, SymbolicDim) or isinstance(n, SymbolicDim):
        raise ShapeError(
            _("A diagonal is taken of axes of fixed lengths."), got=show(v.shape)
        )
    first = max(-offset, 0)
    count = max(min(m - first, n - max(offset, 0)), 0)
    start = first * n + first + offset if count else 0
    steps = mul(
        iota(shape=(count,), axis=0, dtype=DType.int64),
        filled(n + 1, DType.int64, (count,)),
    )
    places = add(steps, filled(start, DType.int64, (count,)))
    made = take(reshape(v, (m * n, *v.shape[2:])), places)
    return movement.transpose(made, axes=(*range(1, len(made.shape)), 0))


def diagonal_matrix(v: Value, offset: int = 0) -> Value:
    """Return a square matrix with given numbers on the k-th diagonal, 0 elsewhere."""
    offset = whole("diagonal", offset)
    before, behind = max(offset, 0), max(-offset, 0)
    line = movement.pad(v, low=(before,), high=(behind,), interior=(0,))
    shape = line.shape * 2
    row, column = (iota(shape=shape, axis=i, dtype=DType.int64) for i in (0, 1))
    on = equal(add(row, filled(offset, DType.int64, shape)), column)
    return where(on, stretch(line, shape), filled(0, v.dtype, shape))
