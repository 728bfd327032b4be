"""Functions of graph values: reshaping, joining, slicing, diagonals.

Functions of values that the declared tensor functions are written with. Axes are
counted from 0 or from the end, and one size may be −1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

from chainrule.errors import ArgumentError, AxisError, ShapeError
from chainrule.graph.apply import apply
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, DType, Shape, SymbolicDim, as_number
from chainrule.operations.arguments import axes_of, axis_of, fill, whole
from chainrule.operations.operands import astype, full, promote
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, mul
from chainrule.primitives.indexing import take
from chainrule.primitives.rules import show
from chainrule.text import _


def reshaped(v: Value, shape: tuple[Any, ...]) -> Value:
    """Return a graph value in another shape; one size may be −1."""
    shape = fill(v.shape, shape)
    # Of shapes of other lengths a size with a name may not be compared with 1.
    if len(shape) == len(v.shape) and shape == v.shape:
        return v
    return apply(movement.reshape, (v,), {"shape": shape})


F = TypeVar("F", bound=Callable[..., Any])


def of_lines(function: F) -> F:
    """Decorate a function along an axis: a scalar is a line of one element there.

    Its axes are 0 and −1, as in PyTorch, and what comes of it are scalars again.
    """

    @wraps(function)
    def call(x: Value, *args: Any, **kwargs: Any) -> Any:
        if x.shape:
            return function(x, *args, **kwargs)
        return as_scalars(function(reshaped(x, (1,)), *args, **kwargs))

    return call  # type: ignore[return-value]


def as_scalars(result: Any) -> Any:
    """Return a graph value of one element, or several of them, as scalars."""
    if isinstance(result, Value):
        return reshaped(result, ())
    parts = map(as_scalars, result)
    return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)


def need_ones(shape: Shape, dim: Any) -> tuple[int, ...]:
    """Check axes of a tensor that are to be removed, which must have length 1."""
    axes = axes_of(shape, dim)
    for at in axes:
        if shape[at] != 1:
            raise ShapeError(
                _("squeeze drops an axis of length 1."),
                expected=_("axis {at} of length 1", at=at),
                got=_("shape {shape}", shape=show(shape)),
                fix=_(
                    "x.reshape(…) for another shape, x.squeeze() for all of length 1"
                ),
            )
    return axes


def squeezed(v: Value, dim: Any) -> Value:
    """Remove axes of a graph value, which must have length 1."""
    axes = need_ones(v.shape, dim)
    return reshaped(v, tuple([d for i, d in enumerate(v.shape) if i not in axes]))


def permutation(shape: Shape, dims: Sequence[Any]) -> tuple[int, ...]:
    """Check a permutation of a tensor's axes, and return it counted from 0."""
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


def common(values: Sequence[Value], what: str) -> list[Value]:
    """Convert graph values to the common dtype of all; refuse none."""
    if not values:
        raise ArgumentError(
            _("{what} takes tensors.", what=what), expected=_("1 or more"), got="0"
        )
    dtype = values[0].dtype
    for v in values[1:]:
        dtype = promote(dtype, v.dtype)
    return [astype(v, dtype) for v in values]


def concatenated(values: Sequence[Value], dim: Any = 0) -> Value:
    """Concatenate graph values along ``dim``; with None, flatten them first."""
    values = common(values, "concat")
    if dim is None:
        values, dim = [reshaped(v, (-1,)) for v in values], 0
    if any(len(v.shape) > 1 for v in values):  # an empty vector joins anything
        values = [v for v in values if v.shape != (0,)]
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


def cut(v: Value, axis: int, start: int, stop: int) -> Value:
    """Return a graph value's elements from ``start`` to ``stop`` along an axis."""
    if start == 0 and stop == v.shape[axis]:
        return v
    rank = len(v.shape)
    return movement.slice_(
        v,
        starts=(0,) * axis + (start,) + (0,) * (rank - axis - 1),
        stops=(*v.shape[:axis], stop, *v.shape[axis + 1 :]),
        strides=(1,) * rank,
    )


def rows(v: Value, indices: Value, axis: int) -> Value:
    """Take slices of a graph value along ``axis``, which the indices' axes replace."""
    if axis == 0:
        return take(v, indices)
    order = (axis, *[i for i in range(len(v.shape)) if i != axis])
    taken = take(movement.transpose(v, axes=order), indices)
    new = tuple(range(len(indices.shape)))
    rest = tuple(range(len(new), len(taken.shape)))
    return movement.transpose(taken, axes=(*rest[:axis], *new, *rest[axis:]))


def window_places(count: int, size: int, step: int) -> Value:
    """Return the indices of the elements of windows, a row for each window."""
    first, inner = (
        iota(shape=(count, size), axis=i, dtype=DType.int64) for i in (0, 1)
    )
    return add(mul(first, full(step, DType.int64, first.shape)), inner)


def windows(v: Value, axis: int, size: int, step: int) -> Value:
    """Return windows of a graph value along an axis, each on a new last one."""
    count = (int(v.shape[axis]) - size) // step + 1  # type: ignore[arg-type]
    places = window_places(count, size, step)
    taken = rows(v, places, axis)
    rank = len(taken.shape)
    order = [i for i in range(rank) if i != axis + 1]
    return movement.transpose(taken, axes=(*order, axis + 1))


def diagonal_of(v: Value, offset: int = 0, dim1: Any = 0, dim2: Any = 1) -> Value:
    """Return a graph value's diagonal, moved to the last axis; ``offset`` shifts it."""
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
        full(n + 1, DType.int64, (count,)),
    )
    places = add(steps, full(start, DType.int64, (count,)))
    taken = take(reshaped(v, (m * n, *v.shape[2:])), places)
    return movement.transpose(taken, axes=(*range(1, len(taken.shape)), 0))


def with_ones(x: Value, dim: Any) -> tuple[Dim, ...]:
    """Return a tensor's shape with axes of length 1 inserted at given positions."""
    many = tuple(dim) if isinstance(dim, tuple | list) else (dim,)
    rank = len(x.shape) + len(many)
    for d in many:
        if isinstance(d, int) and not isinstance(d, bool) and not -rank <= d < rank:
            raise AxisError(
                _("No axis can be inserted at {d}.", d=d),
                expected=f"−{rank} … {rank - 1}",
                got=_("{d} for shape {shape}", d=d, shape=show(x.shape)),
            )
    new = axes_of((1,) * rank, many)
    old = iter(x.shape)
    return tuple([1 if i in new else next(old) for i in range(rank)])


def fixed_size(x: Value, axis: int) -> int:
    size = x.shape[axis]
    if isinstance(size, SymbolicDim):
        raise ShapeError(
            _(
                "The axis of {size} is not cut: its length is known only at the run.",
                size=size,
            ),
            expected=_("an axis of fixed length"),
            got=_("dim={dim} of shape {shape}", dim=axis, shape=show(x.shape)),
            fix=_("cut another axis; {other}", other=as_number(size)),
        )
    return size
