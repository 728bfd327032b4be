"""Sorting, and selection of elements by index along one axis."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.operations.arguments import axis_of, whole
from chainrule.operations.elementwise import less_equal, number
from chainrule.operations.movement import cut
from chainrule.operations.operands import (
    alike,
    broadcast_shapes,
    cast,
    count_of,
    filled,
    stretch,
)
from chainrule.primitives import elementwise as prims
from chainrule.primitives.checks import require_all
from chainrule.primitives.elementwise import add, less, where
from chainrule.primitives.indexing import gather, scatter_add_along, take
from chainrule.primitives.integers import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
)
from chainrule.primitives.rules import show
from chainrule.primitives.sorting import argsort as order_of
from chainrule.text import _


def need_indices(v: Value) -> Value:
    """Return indices as int64; refuse other dtypes than integers."""
    if not v.dtype.is_integer:
        raise DTypeError(
            _("Places are integers."),
            expected=_("an integer dtype"),
            got=v.dtype.name,
            fix="x.astype('int64')",
        )
    return cast(v, DType.int64)


def from_front(indices: Value, size: Any) -> Value:
    """Return indices counted from 0; −1 is the last of ``size``."""
    indices = need_indices(indices)
    behind = add(indices, stretch(count_of(size, DType.int64), indices.shape))
    return where(less(indices, number(0, indices)), behind, indices)


def in_range(indices: Value, size: Any, axis: int) -> Value:
    """Return indices counted from 0; refuse indices outside of the axis."""
    most = stretch(count_of(size, DType.int64), indices.shape)
    inside = bitwise_and(less_equal(number(0, indices), indices), less(indices, most))
    return require_all(
        indices,
        inside,
        _("An index is out of range."),
        expected=_("from −{size} to {size} − 1 on axis {axis}", size=size, axis=axis),
        got="another",
    )


def argsort(v: Value, dim: Any, descending: bool) -> Value:
    if v.dtype is DType.bool:
        v = cast(v, DType.uint8)
    return order_of(v, axis=axis_of(v.shape, dim), descending=bool(descending))


def sort(v: Value, dim: Any, descending: bool) -> tuple[Value, Value]:
    """Return the sorted values, and their original indices."""
    order = argsort(v, dim, descending)
    return gather(v, order, axis=axis_of(v.shape, dim)), order


def topk(v: Value, k: int, dim: Any, largest: bool) -> tuple[Value, Value]:
    axis, k = axis_of(v.shape, dim), whole("k", k)
    size = v.shape[axis]
    if isinstance(size, SymbolicDim) or not 0 <= k <= size:
        raise ShapeError(
            _("topk takes as many as there are, at most."),
            expected=_("k from 0 to {size}", size=size)
            if isinstance(size, int)
            else _("a fixed axis"),
            got=_(
                "k={k} along axis {axis} of shape {shape}",
                k=k,
                axis=axis,
                shape=show(v.shape),
            ),
        )
    order = cut(argsort(v, axis, largest), axis, 0, k)
    return gather(v, order, axis=axis), order


def along(v: Value, indices: Value, dim: Any) -> Value:
    """Return the elements at indices along an axis; other axes are broadcast."""
    axis = axis_of(v.shape, dim)
    indices = from_front(indices, v.shape[axis])
    if len(indices.shape) != len(v.shape):
        raise ShapeError(
            _("Places along an axis have as many axes as the tensor."),
            expected=_("{shape} axes", shape=len(v.shape)),
            got=show(indices.shape),
        )
    rest = broadcast_shapes(_but(v.shape, axis), _but(indices.shape, axis))
    v = stretch(v, (*rest[:axis], v.shape[axis], *rest[axis:]))
    indices = stretch(indices, (*rest[:axis], indices.shape[axis], *rest[axis:]))
    return gather(v, indices, axis=axis)


def _but(shape: Any, axis: int) -> Any:
    return (*shape[:axis], *shape[axis + 1 :])


def gather_within(v: Value, indices: Value, dim: Any) -> Value:
    """Return elements at indices along an axis; other index axes may be shorter.

    Shorter as in PyTorch; else like :func:`along`.
    """
    axis = axis_of(v.shape, dim)
    places = from_front(indices, v.shape[axis])
    return gather(_cropped(v, indices, dim), places, axis=axis)


def _cropped(v: Value, indices: Value, dim: Any) -> Value:
    axis = axis_of(v.shape, dim)
    if len(indices.shape) != len(v.shape):
        raise ShapeError(
            _("gather takes indices with the axes of the tensor."),
            expected=_("{shape} axes", shape=len(v.shape)),
            got=show(indices.shape),
        )
    for i, (have, want) in enumerate(zip(v.shape, indices.shape)):
        if i != axis and have != want:
            if (
                isinstance(have, SymbolicDim)
                or isinstance(want, SymbolicDim)
                or want > have
            ):
                raise ShapeError(
                    _("gather's indices reach outside of the tensor."),
                    expected=_("at most {have} along axis {i}", have=have, i=i),
                    got=str(want),
                )
            v = cut(v, i, 0, want)
    return v


def scatter_add(base: Value, indices: Value, updates: Value, dim: Any) -> Value:
    """Return ``base`` with updates added at indices along an axis."""
    axis = axis_of(base.shape, dim)
    places = from_front(indices, base.shape[axis])
    return scatter_add_along(base, places, cast(updates, base.dtype), axis=axis)


def searchsorted(line: Value, v: Value, right: bool) -> Value:
    """Return the insertion index of each element in a sorted vector.

    Halving, bit by bit: the place grows by a power of two while what stands before it
    is smaller. NaN is larger than every number.
    """
    (size,) = line.shape
    if isinstance(size, SymbolicDim):
        raise ShapeError(
            _("searchsorted looks in a line of fixed length."), got=show(line.shape)
        )
    if line.dtype is not v.dtype:
        line, v = (cast(x, alike(line, v)[0].dtype) for x in (line, v))
    place = filled(0, DType.int64, v.shape)
    step = 1 << max(size.bit_length() - 1, 0)
    while step and size:
        probe = add(place, number(step, place))
        inside = less_equal(probe, number(size, place))
        last = add(probe, number(-1, place))
        seen = take(line, where(inside, last, number(0, place)))
        before = _before(seen, v, right)
        place = where(bitwise_and(inside, before), probe, place)
        step //= 2
    return place


def _before(a: Value, b: Value, equal_too: bool) -> Value:
    """Return a < b (or a ≤ b) in sorting order, where NaN is last."""
    if equal_too:
        return bitwise_not(_before(b, a, False))
    if not a.dtype.is_float:
        return less(a, b)
    return bitwise_or(
        less(a, b), bitwise_and(prims.isnan(b), bitwise_not(prims.isnan(a)))
    )


def diff(v: Value, n: int, dim: Any) -> Value:
    """Return the n-th differences of neighbours."""
    n = whole("n", n)
    if n < 0:
        raise ArgumentError(
            _("diff takes differences so many times."), expected="n ≥ 0", got=f"n={n}"
        )
    axis = axis_of(v.shape, dim)
    for __ in range(n):
        size = v.shape[axis]
        if isinstance(size, SymbolicDim):
            raise ShapeError(
                _("diff takes an axis of fixed length."), got=show(v.shape)
            )
        if not size:
            break
        a, b = cut(v, axis, 1, size), cut(v, axis, 0, size - 1)
        v = prims.sub(a, b)
    return v
