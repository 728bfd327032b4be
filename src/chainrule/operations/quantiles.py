"""Tensor functions of elements in order: medians, quantiles, modes."""

from __future__ import annotations

from typing import Any, Literal, get_args

from chainrule.errors import ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.operations.arguments import axis_of
from chainrule.operations.arithmetic import ge, isinf, le, lerp, ne, number
from chainrule.operations.elementwise import ceil, floor, round_
from chainrule.operations.op import op
from chainrule.operations.operands import (
    TensorBase,
    astype,
    broadcast_to,
    count_of,
    full,
    value_of,
)
from chainrule.operations.order import sort
from chainrule.operations.reductions import Extremes, argmax, sum_
from chainrule.operations.scans import scanned
from chainrule.operations.shapes import of_lines, reshaped, squeezed
from chainrule.primitives import elementwise as prims
from chainrule.primitives import movement
from chainrule.primitives.checks import require_all
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import isnan, maximum, mul, sub, where
from chainrule.primitives.indexing import gather
from chainrule.primitives.integers import bitwise_and, bitwise_not, floor_divide
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.util import validation

# -- one element of each line ---------------------------------------------------------


@op
@of_lines
def mode(x: Value, dim: int = -1, keepdim: bool = False) -> Extremes:
    """Return the most frequent elements of a tensor along ``dim``, and an index.

    Of several it is the smallest. Each NaN counts for itself.

    >>> import chainrule as cr
    >>> cr.mode(cr.tensor([3, 1, 3])).values
    tensor(3)
    """
    axis = axis_of(x.shape, dim)
    size = x.shape[axis]
    if not size or isinstance(size, SymbolicDim):
        raise ShapeError(
            _("A mode is of an axis of fixed length, at least 1."), got=show(x.shape)
        )
    ordered = sort(x, axis)
    place = iota(shape=x.shape, axis=axis, dtype=DType.int64)
    before = gather(
        ordered.values,
        maximum(sub(place, number(1, place)), number(0, place)),
        axis=axis,
    )
    starts = where(ne(ordered.values, before), place, number(0, place))
    # Where the run of equal elements began, and how long it is at each place.
    (starts,) = scanned([starts], axis, lambda a, b: [maximum(a[0], b[0])])
    longest = argmax(sub(place, starts), axis, True)
    return _picked(ordered, longest, axis, keepdim)


def _picked(ordered: Extremes, places: Value, axis: int, keepdim: bool) -> Extremes:
    """Return one element of each sorted line, and its index."""
    parts = [gather(v, places, axis=axis) for v in ordered]
    return Extremes(*(v if keepdim else squeezed(v, axis) for v in parts))


def _valid(x: Value, axis: int) -> Value:
    """Return how many elements along an axis are not NaN, with the axis kept."""
    if not x.dtype.is_float:
        count = count_of(x.shape[axis], DType.int64)
        shape = tuple([1 if i == axis else d for i, d in enumerate(x.shape)])
        return broadcast_to(count, shape)
    return sum_(astype(bitwise_not(isnan(x)), DType.int64), axis, True)


@op
def median(x: Value, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return a tensor's median, the lower of two; along ``dim`` with its index.

    NaN where an element is NaN, with the index of the first.
    """
    return _median(x, dim, keepdim, skip=False)


@op
def nanmedian(x: Value, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return a tensor's median without its NaN; see :meth:`median`."""
    return _median(x, dim, keepdim, skip=True)


def _median(x: Value, dim: int | None, keepdim: bool, *, skip: bool) -> Any:
    if dim is None:
        return _middle(reshaped(x, (-1,)), 0, False, skip).values
    return _middle(x, dim, keepdim, skip)


@of_lines
def _middle(x: Value, dim: int, keepdim: bool, skip: bool) -> Extremes:
    axis = axis_of(x.shape, dim)
    size = x.shape[axis]
    if not isinstance(size, int) or not size:
        raise ShapeError(
            _("A median is taken of an axis of fixed length, at least 1."),
            got=_("elements: {size}", size=size),
        )
    valid = _valid(x, axis)
    if skip:
        last = maximum(sub(valid, number(1, valid)), number(0, valid))
        place = floor_divide(last, number(2, last))
    else:  # NaN come last
        broken = ne(valid, number(size, valid))
        place = where(broken, valid, number((size - 1) // 2, valid))
    return _picked(sort(x, axis), place, axis, keepdim)


# -- quantiles ------------------------------------------------------------------------

#: How a quantile between two elements follows from its place between them.
Interpolation = Literal["linear", "lower", "higher", "nearest", "midpoint"]
INTERPOLATIONS = get_args(Interpolation)


@op(floats=True)
def quantile(
    x: Value,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: Interpolation = "linear",
) -> Value:
    """Return a tensor's quantiles along ``dim``, by default of all elements.

    The q-th of n elements in order stands at q (n − 1). NaN where an element is NaN.

    Args:
        x: of any shape.
        q: from 0 to 1; a vector gives a quantile for each, along a new first axis.
        dim: the axis.
        keepdim: leave an axis of length 1.
        interpolation: ``"linear"``, ``"lower"``, ``"higher"``, ``"nearest"`` or
            ``"midpoint"`` of the neighbours.

    >>> import chainrule as cr
    >>> cr.quantile(cr.tensor([1.0, 2.0, 4.0]), cr.tensor([0.5, 0.75]))
    tensor([2., 3.])
    """
    return _quantile(x, q, dim, keepdim, interpolation, skip=False)


@op(floats=True)
def nanquantile(
    x: Value,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: Interpolation = "linear",
) -> Value:
    """Return a tensor's quantiles without its NaN; see :meth:`quantile`."""
    return _quantile(x, q, dim, keepdim, interpolation, skip=True)


def _quantile(
    x: Value,
    q: Any,
    dim: Any,
    keepdim: bool,
    interpolation: Interpolation,
    *,
    skip: bool,
) -> Value:
    validation.choice(*INTERPOLATIONS)("interpolation", interpolation)
    share = _share(q, x)
    axis = None if dim is None else axis_of(x.shape or (1,), dim)
    kept = tuple([1 if axis in (i, None) else d for i, d in enumerate(x.shape)])
    rest = tuple([d for i, d in enumerate(x.shape) if axis not in (i, None)])
    line = reshaped(x, (-1,)) if axis is None or not x.shape else x
    if axis is not None and x.shape:
        order = (*[i for i in range(len(x.shape)) if i != axis], axis)
        line = movement.transpose(x, axes=order)
    if line.shape[-1] == 0:
        raise ShapeError(_("Quantiles are of one element at least."), got=show(x.shape))
    values = sort(line, -1).values
    at = len(values.shape) - 1
    last = sub(count_of(values.shape[at], x.dtype), full(1, x.dtype, ()))
    wide = (*values.shape[:-1], share.shape[0])
    last = broadcast_to(last, (*values.shape[:-1], 1))
    if skip:
        last = sub(astype(_valid(line, at), x.dtype), number(1, last))
        last = maximum(last, number(0, last))
    place = mul(broadcast_to(share, wide), broadcast_to(last, wide))
    if not skip:  # NaN are the last ones
        broken = isnan(gather(values, astype(last, DType.int64), axis=at))
        place = where(broadcast_to(broken, wide), broadcast_to(last, wide), place)
    if interpolation in ("lower", "higher", "nearest"):
        near = {"lower": floor, "higher": ceil, "nearest": round_}[interpolation]
        result = gather(values, astype(near(place), DType.int64), axis=at)
    else:
        low, high = (
            gather(values, astype(f(place), DType.int64), axis=at)
            for f in (floor, ceil)
        )
        weight = sub(place, floor(place))
        middle = interpolation == "midpoint"
        result = _between(low, high, number(0.5, weight) if middle else weight)
    result = movement.transpose(result, axes=(at, *range(at)))
    shape = kept if keepdim else rest if x.shape else ()
    return reshaped(result, (*share.shape, *shape) if _is_line(q) else shape)


def _between(low: Value, high: Value, weight: Value) -> Value:
    """Interpolate neighbours; between two that are infinite and equal are the same."""
    same = bitwise_and(prims.equal(low, high), isinf(low))
    mixed = lerp(low, where(same, number(0, high), high), weight)
    return where(same, low, mixed)


def _is_line(q: Any) -> bool:
    return len(value_of(q).shape) == 1


def _share(q: Any, x: Value) -> Value:
    share = astype(value_of(q, None if isinstance(q, TensorBase) else x.dtype), x.dtype)
    if len(share.shape) > 1:
        raise ShapeError(
            _("Quantiles are named by a number, or a vector of them."),
            got=show(share.shape),
        )
    share = reshaped(share, (-1,))
    inside = bitwise_and(ge(share, number(0, share)), le(share, number(1, share)))
    return require_all(
        share, inside, _("A quantile is a share."), expected="0 ≤ q ≤ 1", got="another"
    )
