"""Tensor functions along an axis, element after element: running extremes, integrals.

What each element is combined with all before it goes by doubling: with the one before,
then with the results two, four, eight … places before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import no_grad
from chainrule.graph.node import Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.operations.arguments import axes_of, axis_of, whole
from chainrule.operations.arithmetic import le, times
from chainrule.operations.elementwise import logaddexp
from chainrule.operations.op import op
from chainrule.operations.operands import astype, floating, promoted, value_of
from chainrule.operations.reductions import Extremes, cumsum, reversed_order, sum_
from chainrule.operations.shapes import cut, of_lines, reshaped
from chainrule.primitives import elementwise as prims
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, div, mul, sub, where
from chainrule.primitives.indexing import gather
from chainrule.primitives.integers import bitwise_or
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.util.blocks import settled

# -- running extremes and sums --------------------------------------------------------


def scanned(
    parts: list[Value], axis: int, combine: Callable[..., list[Value]]
) -> list[Value]:
    """Return values of which each is combined with all before it along an axis.

    ``combine(early, late)`` takes and returns lists of values, and is associative.
    """
    size, step = _fixed(parts[0], axis), 1
    while step < size:
        early = [cut(v, axis, 0, size - step) for v in parts]
        late = [cut(v, axis, step, size) for v in parts]
        parts = [
            movement.concatenate(cut(v, axis, 0, step), w, axis=axis)
            for v, w in zip(parts, combine(early, late))
        ]
        step *= 2
    return parts


def _fixed(x: Value, axis: int) -> int:
    size = x.shape[axis]
    if isinstance(size, SymbolicDim):
        raise ShapeError(
            _("What runs along an axis takes one of fixed length."), got=show(x.shape)
        )
    return size


def _later(early: list[Value], late: list[Value]) -> list[Value]:
    """Return the larger elements and their indices, the later of equals; NaN wins."""
    wins = le(early[0], late[0])
    if late[0].dtype.is_float:
        wins = bitwise_or(wins, prims.isnan(late[0]))
    return [where(wins, b, a) for a, b in zip(early, late)]


@settled
def _extremes(x: Value, dim: int, order: Callable[[Value], Value]) -> Extremes:
    axis = axis_of(x.shape, dim)
    with no_grad():
        ranked = order(astype(x, DType.uint8) if x.dtype is DType.bool else x)
        places = iota(shape=x.shape, axis=axis, dtype=DType.int64)
        __, places = scanned([ranked, places], axis, _later)
    return Extremes(gather(x, places, axis=axis), places)


@op
@of_lines
def cummax(x: Value, dim: int) -> Extremes:
    """Return a tensor's cumulative maximum along ``dim``, and its last index.

    >>> import chainrule as cr
    >>> cr.cummax(cr.tensor([1, 3, 2]), 0).values
    tensor([1, 3, 3])
    """
    return _extremes(x, dim, lambda v: v)


@op
@of_lines
def cummin(x: Value, dim: int) -> Extremes:
    """Return a tensor's cumulative minimum along ``dim``, and its last index."""
    return _extremes(x, dim, reversed_order)


@op(floats=True)
@of_lines
def logcumsumexp(x: Value, dim: int) -> Value:
    """Return ln of the cumulative sum of eˣ along ``dim``, without overflow."""
    axis = axis_of(x.shape, dim)
    (result,) = scanned([x], axis, lambda a, b: [logaddexp(a[0], b[0])])
    return result


# -- integrals and derivatives along an axis ------------------------------------------


@op("trapz", method=False)
def trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Value:
    """Return the integral of y along ``dim`` by the trapezoidal rule.

    Args:
        y: values of a function.
        x: where they are, a vector or in the shape of y; at distances ``dx`` if None.
        dx: 1 by default.
        dim: the axis.

    >>> import chainrule as cr
    >>> cr.trapezoid(cr.tensor([1.0, 3.0, 5.0]))
    tensor(6.)
    """
    return sum_(*_trapezia(value_of(y), x, dx, dim))


@op(method=False)
def cumulative_trapezoid(
    y: Any, x: Any = None, *, dx: Any = None, dim: int = -1
) -> Value:
    """Return the running integral of y along ``dim``; see :func:`trapezoid`."""
    return cumsum(*_trapezia(value_of(y), x, dx, dim))


def _trapezia(y: Value, x: Any, dx: Any, dim: int) -> tuple[Value, int]:
    """Return areas between neighbouring elements, and the axis."""
    if y.dtype is DType.bool or (x is not None and dx is not None):
        raise ArgumentError(
            _("An integral is of numbers, at places x or in steps dx."),
            expected=_("numbers, and one of x and dx"),
            got=_("{name}, x and dx", name=y.dtype.name)
            if x is not None and dx is not None
            else y.dtype.name,
        )
    axis = axis_of(y.shape, dim)
    size, y = _fixed(y, axis), floating(y)
    if not size:
        return y, axis
    height = times(add(cut(y, axis, 1, size), cut(y, axis, 0, size - 1)), 0.5)
    if x is None:
        return (height if dx is None else times(height, dx)), axis
    places = value_of(x)
    if len(places.shape) == 1:
        behind = (1,) * (len(y.shape) - axis - 1)
        places = reshaped(places, (-1, *behind))
    at = axis - len(y.shape) + len(places.shape)
    if at < 0 or places.shape[at] not in (1, size):
        raise ShapeError(
            _("There is a place for each element along the axis."),
            expected=_("{size} along axis {axis}", size=size, axis=axis),
            got=show(places.shape),
        )
    count = int(places.shape[at])
    width = sub(cut(places, at, 1, count), cut(places, at, 0, count - 1))
    return mul(*promoted(height, width)), axis


@op
def gradient(
    x: Value, *, spacing: Any = None, dim: Any = None, edge_order: int = 1
) -> tuple[Value, ...]:
    """Return estimates of a function's derivatives along axes, from its values.

    Differences of second order inside, and of order ``edge_order`` at both ends
    (Fornberg 1988), as NumPy's.

    Args:
        x: values of a function on a grid.
        spacing: the distance, or one for each axis, or a vector of places for each.
        dim: the axes; all by default.
        edge_order: 1 or 2.

    >>> import chainrule as cr
    >>> cr.gradient(cr.tensor([1.0, 4.0, 9.0]))
    (tensor([3., 4., 5.]),)
    """
    x = floating(x)
    axes = [axis_of(x.shape, d) for d in _several(dim, range(len(x.shape)))]
    axes_of(x.shape, axes)
    order = whole("edge_order", edge_order, least=1)
    steps = [1.0] if spacing is None else _several(spacing, ())
    steps = steps * len(axes) if not isinstance(spacing, tuple | list) else steps
    if len(steps) != len(axes) or order > 2:
        raise ArgumentError(
            _("gradient takes a spacing for each axis, and edge_order 1 or 2."),
            expected=_("{n} of them", n=len(axes)),
            got=_("{n}, edge_order={order}", n=len(steps), order=order),
        )
    return tuple(_slope(x, axis, step, order) for axis, step in zip(axes, steps))


def _several(given: Any, default: Any) -> list[Any]:
    if given is None:
        return [*default]
    return [*given] if isinstance(given, tuple | list) else [given]


def _slope(x: Value, axis: int, spacing: Any, order: int) -> Value:
    """Return differences along one axis, divided by distances."""
    size, step = _fixed(x, axis), value_of(spacing, x.dtype)
    if size <= order:
        raise ShapeError(
            _("A derivative is estimated from neighbours."),
            expected=_("at least {n} along axis {axis}", n=order + 1, axis=axis),
            got=show(x.shape),
        )
    even = not step.shape
    if not even and step.shape != (size,):
        raise ShapeError(
            _("There is a place for each element along the axis."),
            expected=f"({size},)",
            got=show(step.shape),
        )
    width = step if even else sub(cut(step, 0, 1, size), cut(step, 0, 0, size - 1))

    def parts(v: Value, start: int, end: int) -> Value:  # of widths, as a column
        if even:
            return v
        return reshaped(cut(v, 0, start, end), (-1, *[1] * (len(x.shape) - axis - 1)))

    def ratio(v: Value, w: Value) -> Value:
        return div(*promoted(v, w))

    def line(start: int, end: int) -> Value:
        return cut(x, axis, start, end)

    rise = sub(line(1, size), line(0, size - 1))
    slopes = ratio(rise, parts(width, 0, size - 1))  # of the intervals
    first, last = cut(slopes, axis, 0, 1), cut(slopes, axis, size - 2, size - 1)
    if size == 2:
        return movement.concatenate(first, last, axis=axis)
    before, behind = parts(width, 0, size - 2), parts(width, 1, size - 1)
    if even:
        inner = ratio(sub(line(2, size), line(0, size - 2)), times(width, 2))
    else:  # each interval's slope weighs as much as the other is long
        left, right = cut(slopes, axis, 0, size - 2), cut(slopes, axis, 1, size - 1)
        both = add(mul(*promoted(left, behind)), mul(*promoted(right, before)))
        inner = ratio(both, add(before, behind))
    if order == 2:  # of parabolas: an interval's slope is the mean of its ends'
        ends = cut(inner, axis, 0, 1), cut(inner, axis, size - 3, size - 2)
        first, last = (sub(times(s, 2), e) for s, e in zip((first, last), ends))
    return movement.concatenate(first, inner, last, axis=axis)
