"""Tensor functions that sort and search elements.

NaN is larger than every number, and equal elements keep their order.
"""

from __future__ import annotations

from typing import Any, Literal

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.operations.arguments import axis_of, whole
from chainrule.operations.arithmetic import le, number, operands_of_own_shapes
from chainrule.operations.op import op
from chainrule.operations.operands import astype, full, value_of
from chainrule.operations.reductions import Extremes
from chainrule.operations.shapes import (
    common,
    concatenated,
    cut,
    of_lines,
    reshaped,
    squeezed,
)
from chainrule.primitives import elementwise as prims
from chainrule.primitives import movement, sorting
from chainrule.primitives.elementwise import add, less, where
from chainrule.primitives.indexing import gather
from chainrule.primitives.indexing import take as rows_of
from chainrule.primitives.integers import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
)
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.util import validation


@op
@of_lines
def argsort(
    x: Value, dim: int = -1, descending: bool = False, *, stable: bool = True
) -> Value:
    """Return the indices that sort a tensor's elements along ``dim``."""
    if x.dtype is DType.bool:
        x = astype(x, DType.uint8)
    axis = axis_of(x.shape, dim)
    return sorting.argsort(x, axis=axis, descending=bool(descending))


@op
@of_lines
def sort(
    x: Value, dim: int = -1, descending: bool = False, *, stable: bool = True
) -> Extremes:
    """Return a tensor's elements sorted along ``dim``, and their indices."""
    order = argsort(x, dim, descending)
    return Extremes(gather(x, order, axis=axis_of(x.shape, dim)), order)


@op
@of_lines
def topk(
    x: Value, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Extremes:
    """Return a tensor's k largest (or smallest) elements along ``dim``, and indices."""
    axis, k = axis_of(x.shape, dim), whole("k", k)
    size = x.shape[axis]
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
                shape=show(x.shape),
            ),
        )
    order = cut(argsort(x, axis, largest), axis, 0, k)
    return Extremes(gather(x, order, axis=axis), order)


@op
def msort(x: Value) -> Value:
    """Return a tensor's elements sorted along the first axis."""
    return sort(x, 0).values


@op
@of_lines
def kthvalue(x: Value, k: int, dim: int = -1, keepdim: bool = False) -> Extremes:
    """Return the k-th smallest elements of a tensor along ``dim``, and their indices.

    >>> import chainrule as cr
    >>> cr.kthvalue(cr.tensor([5, 3, 4]), 2).values
    tensor(4)
    """
    axis, k = axis_of(x.shape, dim), whole("k", k, least=1)
    size = x.shape[axis]
    if isinstance(size, SymbolicDim) or k > size:
        raise ShapeError(
            _("kthvalue takes one of the elements along a fixed axis."),
            expected=_("k from 1 to {size}", size=size),
            got=f"k={k}",
        )
    return _at(sort(x, axis), axis, k - 1, keepdim)


def _at(ordered: Extremes, axis: int, place: int, keepdim: bool) -> Extremes:
    """Return elements and indices at a place along an axis."""
    parts = [cut(v, axis, place, place + 1) for v in ordered]
    return Extremes(*(v if keepdim else squeezed(v, axis) for v in parts))


@op
def diff(
    x: Value, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None
) -> Value:
    """Return a tensor's n-th differences along ``dim``, by default the last axis.

    >>> import chainrule as cr
    >>> cr.diff(cr.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    n = whole("n", n)
    if n < 0:
        raise ArgumentError(
            _("diff takes differences so many times."), expected="n ≥ 0", got=f"n={n}"
        )
    if not n:
        return movement.copy(x)
    ends = [None if end is None else value_of(end) for end in (prepend, append)]
    parts = [v for v in (ends[0], x, ends[1]) if v is not None]
    x = concatenated(parts, dim) if len(parts) > 1 else x
    axis = axis_of(x.shape, dim)
    minus = bitwise_xor if x.dtype is DType.bool else prims.sub
    for __ in range(n):
        size = x.shape[axis]
        if isinstance(size, SymbolicDim):
            raise ShapeError(
                _("diff takes an axis of fixed length."), got=show(x.shape)
            )
        if not size:
            break
        x = minus(cut(x, axis, 1, size), cut(x, axis, 0, size - 1))
    return x


@op(method=False)
def searchsorted(
    x: Value,
    v: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: Literal["left", "right"] | None = None,
    sorter: Any = None,
) -> Value:
    """Return the indices at which elements of ``v`` would enter a sorted line x.

    Args:
        x: in rising order along the last axis, or with ``sorter`` in any.
        v: of any shape where x is a vector; else of the same leading axes.
        out_int32: whether the indices are int32.
        right: whether to give the last place that fits instead of the first.
        side: the same, ``"left"`` or ``"right"``.
        sorter: what ``argsort`` gives for x.

    >>> import chainrule as cr
    >>> cr.searchsorted(cr.tensor([1, 3, 5]), cr.tensor([0, 3, 9]))
    tensor([0, 1, 3])
    """
    after = validation.truth("right", right) or side == "right"
    v, lead = value_of(v), x.shape[:-1]
    if (
        side not in (None, "left", "right")
        or (after and side == "left")
        or not x.shape
        or (lead and v.shape[:-1] != lead)
    ):
        raise ArgumentError(
            _("searchsorted looks in a line, from one side."),
            expected=_("a vector, or leading axes as those looked for; one side"),
            got=_(
                "shapes {shape} and {v}, side={side!r:.40}, right={right}",
                shape=show(x.shape),
                v=show(v.shape),
                side=side,
                right=right,
            ),
        )
    if sorter is not None:
        order = value_of(sorter)
        if order.shape != x.shape:
            raise ShapeError(
                _("sorter is what argsort gives for the line."),
                expected=show(x.shape),
                got=show(order.shape),
            )
        x = gather(x, order, axis=len(lead))
    size = x.shape[-1]
    if isinstance(size, SymbolicDim):
        raise ShapeError(
            _("searchsorted looks in a line of fixed length."), got=show(x.shape)
        )
    x, v = common([x, v], "searchsorted")
    x, v = (astype(w, DType.uint8) if w.dtype is DType.bool else w for w in (x, v))
    # Halving, bit by bit: the place grows by a power of two while what stands before
    # it is smaller.
    place = full(0, DType.int64, v.shape)
    step = 1 << max(size.bit_length() - 1, 0)
    while step and size:
        probe = add(place, number(step, place))
        inside = le(probe, number(size, place))
        last = where(inside, add(probe, number(-1, place)), number(0, place))
        seen = gather(x, last, axis=len(lead)) if lead else rows_of(x, last)
        before = _before(seen, v, after)
        place = where(bitwise_and(inside, before), probe, place)
        step //= 2
    return astype(place, DType.int32) if out_int32 else place


@op
def bucketize(
    x: Value, boundaries: Any, *, out_int32: bool = False, right: bool = False
) -> Value:
    """Return the index of the bucket between boundaries that each element falls into.

    Bucket i ends with boundary i, or before it where ``right``.

    >>> import chainrule as cr
    >>> cr.bucketize(cr.tensor([0, 3, 9]), cr.tensor([1, 3, 5]))
    tensor([0, 1, 3])
    """
    edges = value_of(boundaries)
    if len(edges.shape) != 1:
        raise ShapeError(
            _("Boundaries are a vector."), expected=_("one axis"), got=show(edges.shape)
        )
    return searchsorted(edges, x, out_int32=out_int32, right=right)


@op(method=False)
def isin(
    elements: Any,
    test_elements: Any,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Value:
    """Return whether each element is among ``test_elements``, or not if ``invert``.

    ``assume_unique`` changes nothing here.

    >>> import chainrule as cr
    >>> cr.isin(cr.tensor([1, 2, 3]), cr.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    v, w = operands_of_own_shapes(elements, test_elements)
    v, w = common([v, w], "isin")
    line = sort(reshaped(w, (-1,)), 0).values
    if line.shape == (0,):
        return full(bool(invert), DType.bool, v.shape)
    place = searchsorted(line, v)
    end = number(int(line.shape[0]) - 1, place)  # type: ignore[arg-type]
    found = prims.equal(rows_of(line, prims.minimum(place, end)), v)
    return bitwise_not(found) if invert else found


def _before(a: Value, b: Value, equal_too: bool) -> Value:
    """Return a < b (or a ≤ b) in the sorting order of tensors, where NaN is last."""
    if equal_too:
        return bitwise_not(_before(b, a, False))
    if not a.dtype.is_float:
        return less(a, b)
    return bitwise_or(
        less(a, b), bitwise_and(prims.isnan(b), bitwise_not(prims.isnan(a)))
    )
