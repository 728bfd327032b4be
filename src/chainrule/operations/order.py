"""Tensor functions that sort, search and count distinct elements.

NaN is larger than every number, and equal elements keep their order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.operations.arguments import axis_of, whole
from chainrule.operations.arithmetic import le, ne, number
from chainrule.operations.indexing import indexed
from chainrule.operations.op import op
from chainrule.operations.operands import astype, full, promote, value_of
from chainrule.operations.reductions import Extremes
from chainrule.operations.selection import numbers_for
from chainrule.operations.shapes import concatenated, cut, reshaped, squeezed
from chainrule.primitives import elementwise as prims
from chainrule.primitives import sorting
from chainrule.primitives.elementwise import add, less, where
from chainrule.primitives.indexing import gather
from chainrule.primitives.indexing import take as rows_of
from chainrule.primitives.integers import bitwise_and, bitwise_not, bitwise_or
from chainrule.primitives.rules import show
from chainrule.text import _


@op
def argsort(
    x: Value, dim: int = -1, descending: bool = False, *, stable: bool = True
) -> Value:
    """Return the indices that sort a tensor's elements along ``dim``."""
    if x.dtype is DType.bool:
        x = astype(x, DType.uint8)
    axis = axis_of(x.shape, dim)
    return sorting.argsort(x, axis=axis, descending=bool(descending))


@op
def sort(
    x: Value, dim: int = -1, descending: bool = False, *, stable: bool = True
) -> Extremes:
    """Return a tensor's elements sorted along ``dim``, and their indices."""
    order = argsort(x, dim, descending)
    return Extremes(gather(x, order, axis=axis_of(x.shape, dim)), order)


@op
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
def median(x: Value, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return a tensor's median, the lower of two; along ``dim`` with its index.

    NaN where an element is NaN.
    """
    line = x if dim is not None else reshaped(x, (-1,))
    axis = axis_of(line.shape, 0 if dim is None else dim)
    size = line.shape[axis]
    if not isinstance(size, int) or not size:
        raise ShapeError(
            _("A median is taken of an axis of fixed length, at least 1."),
            got=_("{size} elements", size=size),
        )
    middle, parts = (size - 1) // 2, list[Value]()
    ordered = sort(line, axis)
    last = cut(ordered.values, axis, size - 1, size)
    for v in ordered:
        chosen = cut(v, axis, middle, middle + 1)
        end = cut(v, axis, size - 1, size)
        chosen = where(ne(last, last), end, chosen)
        parts.append(chosen if keepdim and dim is not None else squeezed(chosen, axis))
    return parts[0] if dim is None else Extremes(*parts)


@op
def diff(
    x: Value, n: int = 1, dim: int = -1, *, prepend: Any = None, append: Any = None
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
    ends = [None if end is None else value_of(end) for end in (prepend, append)]
    parts = [v for v in (ends[0], x, ends[1]) if v is not None]
    x = concatenated(parts, dim) if len(parts) > 1 else x
    axis = axis_of(x.shape, dim)
    for __ in range(n):
        size = x.shape[axis]
        if isinstance(size, SymbolicDim):
            raise ShapeError(
                _("diff takes an axis of fixed length."), got=show(x.shape)
            )
        if not size:
            break
        x = prims.sub(cut(x, axis, 1, size), cut(x, axis, 0, size - 1))
    return x


@op(method=False)
def searchsorted(x: Value, v: Any, *, side: str = "left", sorter: Any = None) -> Value:
    """Return the indices at which elements of ``v`` would enter a sorted vector x.

    Args:
        x: a vector in rising order, or with ``sorter`` in any.
        v: of any shape.
        side: ``"left"`` gives the first place that fits, ``"right"`` the last.
        sorter: what ``argsort`` gives for x.

    >>> import chainrule as cr
    >>> cr.searchsorted(cr.tensor([1, 3, 5]), cr.tensor([0, 3, 9]))
    tensor([0, 1, 3])
    """
    if len(x.shape) != 1 or side not in ("left", "right"):
        raise ArgumentError(
            _("searchsorted looks in a vector, from one side."),
            expected=_("one axis, and side='left' or 'right'"),
            got=_("shape {shape}, side={side!r:.40}", shape=show(x.shape), side=side),
        )
    if sorter is not None:
        x = rows_of(x, value_of(sorter))
    v = value_of(v)
    (size,) = x.shape
    if isinstance(size, SymbolicDim):
        raise ShapeError(
            _("searchsorted looks in a line of fixed length."), got=show(x.shape)
        )
    if x.dtype is not v.dtype:
        dtype = promote(x.dtype, v.dtype)
        x, v = astype(x, dtype), astype(v, dtype)
    # Halving, bit by bit: the place grows by a power of two while what stands before
    # it is smaller.
    place = full(0, DType.int64, v.shape)
    step = 1 << max(size.bit_length() - 1, 0)
    while step and size:
        probe = add(place, number(step, place))
        inside = le(probe, number(size, place))
        last = add(probe, number(-1, place))
        seen = rows_of(x, where(inside, last, number(0, place)))
        before = _before(seen, v, side == "right")
        place = where(bitwise_and(inside, before), probe, place)
        step //= 2
    return place


def _before(a: Value, b: Value, equal_too: bool) -> Value:
    """Return a < b (or a ≤ b) in the sorting order of tensors, where NaN is last."""
    if equal_too:
        return bitwise_not(_before(b, a, False))
    if not a.dtype.is_float:
        return less(a, b)
    return bitwise_or(
        less(a, b), bitwise_and(prims.isnan(b), bitwise_not(prims.isnan(a)))
    )


# -- distinct elements ----------------------------------------------------------------


class UniqueAll(NamedTuple):
    """The distinct elements of a tensor with indices, inverse and counts."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """The distinct elements of a tensor and their counts."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """The distinct elements of a tensor, and each element's index among them."""

    values: Any
    inverse_indices: Any


@op(method=False)
def unique_all(x: Value) -> UniqueAll:
    """Return a tensor's distinct elements in rising order, with indices and counts.

    The indices are each one's first place, and for each element of x its place among
    them; the counts, how often each occurs. Every NaN counts for itself.

    >>> import chainrule as cr
    >>> cr.unique_all(cr.tensor([3, 1, 3])).counts
    tensor([1, 2])
    """
    results = np.unique(numbers_for(x, "unique_all"), True, True, True, equal_nan=False)
    indices, inverse, counts = [Value(np.asarray(a)) for a in results[1:]]
    values = indexed(reshaped(x, (-1,)), indices)
    return UniqueAll(values, indices, reshaped(inverse, x.shape), counts)


@op(method=False)
def unique_counts(x: Value) -> UniqueCounts:
    """Return a tensor's distinct elements and their counts; see :func:`unique_all`."""
    unique = unique_all(x)
    return UniqueCounts(unique.values, unique.counts)


@op(method=False)
def unique_inverse(x: Value) -> UniqueInverse:
    """Return a tensor's distinct elements, and each element's index among them.

    See :func:`unique_all`.
    """
    unique = unique_all(x)
    return UniqueInverse(unique.values, unique.inverse_indices)


@op(method=False)
def unique_values(x: Value) -> Value:
    """Return a tensor's distinct elements; see :func:`unique_all`.

    >>> import chainrule as cr
    >>> cr.unique_values(cr.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    return unique_all(x).values
