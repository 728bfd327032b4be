"""Tensor functions that write elements by index or by mask, or reduce them there.

Each returns a tensor anew, and most have an in-place form. Of elements that are named
twice the last one counts, unless they are added up or otherwise reduced.
"""

from __future__ import annotations

from typing import Any, Literal

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import no_grad
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, DType, Shape, SymbolicDim, size_of
from chainrule.operations.arguments import axis_of, whole
from chainrule.operations.arithmetic import is_one, isfinite, isnan, number, times
from chainrule.operations.indexing import added, fitting, indexed, replaced
from chainrule.operations.indices import from_front
from chainrule.operations.op import op
from chainrule.operations.operands import (
    TensorBase,
    assignable,
    astype,
    broadcast_shapes,
    broadcast_to,
    value_of,
)
from chainrule.operations.order import argsort
from chainrule.operations.reductions import reversed_order
from chainrule.operations.selection import numbers_for
from chainrule.operations.shapes import cut, diagonal_of, of_lines, reshaped
from chainrule.operations.views import DIAGONAL, key_along
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, div, equal, mul, sub, where
from chainrule.primitives.indexing import scatter_add as rows_added
from chainrule.primitives.indexing import scatter_add_along, take
from chainrule.primitives.integers import bitwise_and, bitwise_or, floor_divide
from chainrule.primitives.reduce import cumsum
from chainrule.primitives.rules import show
from chainrule.text import _, ngettext
from chainrule.util import validation
from chainrule.util.blocks import settled

# -- one index for each element -------------------------------------------------------


def _elements(
    x: Value, dim: int, index: Any, src: Any, name: str
) -> tuple[int, Value, Value]:
    """Check what a scatter is given; return axis, indices and elements of one shape."""
    axis, places, new = axis_of(x.shape, dim), value_of(index), assignable(src, x.dtype)
    places = places if places.shape else reshaped(places, (1,))
    if not isinstance(src, TensorBase) and not new.shape:
        new = broadcast_to(new, places.shape)
    new = new if new.shape else reshaped(new, (1,))
    if 0 in places.shape:  # nothing is written
        shape = tuple([0 if i == axis else d for i, d in enumerate(x.shape)])
        none = movement.full(0, DType.int64, shape)
        return axis, none, astype(none, x.dtype)
    limits = [*zip(places.shape, new.shape)]
    limits += [p for i, p in enumerate(zip(places.shape, x.shape)) if i != axis]
    fits = len(places.shape) == len(new.shape) == len(x.shape)
    if not fits or any(_longer(n, most) for n, most in limits):
        raise ShapeError(
            _("{name} takes an index for each element that it writes.", name=name),
            expected=ngettext(
                "indices with {n} axis, no longer than what is written, nor than "
                "{shape} along other axes",
                "indices with {n} axes, no longer than what is written, nor than "
                "{shape} along other axes",
                n=len(x.shape),
                shape=show(x.shape),
            ),
            got=_("{shape} for {new}", shape=show(places.shape), new=show(new.shape)),
        )
    for i, size in enumerate(places.shape):
        if size != new.shape[i]:
            new = cut(new, i, 0, size)  # type: ignore[arg-type]
    return axis, places, new


def _longer(size: Dim, most: Dim) -> bool:
    """Return whether a size is longer than another, or may be so at the run."""
    named = isinstance(size, SymbolicDim) or isinstance(most, SymbolicDim)
    return size != most and (named or size > most)  # type: ignore[operator]


def _key(x: Value, axis: int, places: Value) -> tuple[Value, ...]:
    """Return the index key of elements whose place along an axis is given."""
    return tuple(
        places if i == axis else iota(shape=places.shape, axis=i, dtype=DType.int64)
        for i in range(len(x.shape))
    )


def _flat(x: Value, key: Any) -> Value:
    """Return the places that a key names, in a tensor's row-major order."""
    line = iota(shape=(size_of(x.shape),), axis=0, dtype=DType.int64)
    return indexed(reshaped(line, x.shape), key)


@op(in_place=True)
@of_lines
def scatter(
    x: Value,
    dim: int,
    index: Any,
    src: Any = None,
    *,
    value: Any = None,
    reduce: Literal["add", "multiply"] | None = None,
) -> Value:
    """Return a tensor with ``src`` written at indices: x[index[i][j]][j] = src[i][j].

    Args:
        x: of any shape.
        dim: the axis that the indices count.
        index: integers, with as many axes as x.
        src: a tensor, or a number.
        value: the same, a number.
        reduce: ``"add"`` or ``"multiply"``: what is there takes part.
    """
    if (src is None) == (value is None):
        raise ArgumentError(
            _("scatter writes a tensor or a number."),
            expected=_("src or value"),
            got=_("both") if value is not None else _("neither"),
        )
    src = value if src is None else src
    if reduce is not None:
        validation.choice("add", "multiply")("reduce", reduce)
        how = "sum" if reduce == "add" else "prod"
        return _reduced(x, *_elements(x, dim, index, src, "scatter"), how, True)
    axis, places, new = _elements(x, dim, index, src, "scatter")
    return replaced(x, _key(x, axis, places), new)


@op(in_place=True)
@of_lines
def scatter_add(x: Value, dim: int, index: Any, src: Any) -> Value:
    """Return a tensor with ``src`` added at indices: x[index[i][j]][j] += src[i][j]."""
    return _added(x, *_elements(x, dim, index, src, "scatter_add"))


def _added(x: Value, axis: int, places: Value, new: Value) -> Value:
    others = [i for i in range(len(x.shape)) if i != axis]
    if x.dtype is DType.bool or any(places.shape[i] != x.shape[i] for i in others):
        return accumulated(x, _key(x, axis, places), new)
    places = from_front(places, x.shape[axis])
    return scatter_add_along(x, places, astype(new, x.dtype), axis=axis)


def accumulated(x: Value, key: Any, new: Value) -> Value:
    """Return a value with ``new`` added to its elements at a key."""
    places = _flat(x, key)
    new = reshaped(fitting(astype(new, x.dtype), places.shape), (-1,))
    return reshaped(added(reshaped(x, (-1,)), reshaped(places, (-1,)), new), x.shape)


@op(in_place=True)
@of_lines
def scatter_reduce(
    x: Value,
    dim: int,
    index: Any,
    src: Any,
    reduce: Literal["sum", "prod", "mean", "amax", "amin"],
    *,
    include_self: bool = True,
) -> Value:
    """Return a tensor with the elements of ``src`` reduced at indices.

    Args:
        x: of any shape.
        dim: the axis that the indices count.
        index: integers, with as many axes as x.
        src: a tensor; see :meth:`scatter`.
        reduce: ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``, where
            equal extremes share the derivative.
        include_self: whether what is there takes part.

    >>> import chainrule as cr
    >>> x, index = cr.tensor([1.0, 2.0]), cr.tensor([0, 0, 1])
    >>> x.scatter_reduce(0, index, cr.tensor([3.0, 5.0, 1.0]), "amax")
    tensor([5., 2.])
    """
    validation.choice(*REDUCTIONS)("reduce", reduce)
    places = _elements(x, dim, index, src, "scatter_reduce")
    return _reduced(x, *places, reduce, validation.truth("include_self", include_self))


# -- reductions of what goes to one place ---------------------------------------------


def _reduced(
    x: Value, axis: int, places: Value, new: Value, how: str, include_self: bool
) -> Value:
    """Return a value with elements reduced at places along an axis."""
    if how == "sum" and include_self:
        return _added(x, axis, places, new)
    flat = reshaped(_flat(x, _key(x, axis, places)), (-1,))
    line, new = reshaped(x, (-1,)), reshaped(new, (-1,))
    return reshaped(REDUCTIONS[how](line, flat, new, include_self), x.shape)


def _hits(line: Value, places: Value) -> Value:
    """Return how often each element of a line is named."""
    none = movement.full(0, DType.int64, line.shape)
    return rows_added(none, places, movement.full(1, DType.int64, places.shape))


def _sum(line: Value, places: Value, new: Value, include_self: bool) -> Value:
    if not include_self:
        hits = _hits(line, places)
        line = where(equal(hits, number(0, hits)), line, number(0, line))
    return added(line, places, new)


def _mean(line: Value, places: Value, new: Value, include_self: bool) -> Value:
    count = astype(_hits(line, places), line.dtype)
    none = equal(count, number(0, count))
    more = number(1, count) if include_self else astype(none, line.dtype)
    quotient = div if line.dtype.is_float else floor_divide
    return quotient(_sum(line, places, new, include_self), add(count, more))


def _with_self(line: Value, places: Value, new: Value) -> tuple[Value, Value]:
    """Return places and elements of which those of a line itself are the first."""
    own = iota(shape=line.shape, axis=0, dtype=DType.int64)
    return movement.concatenate(own, places, axis=0), movement.concatenate(
        line, new, axis=0
    )


def _product(line: Value, places: Value, new: Value, include_self: bool) -> Value:
    """Return a line with products at places: by halves of runs of equal places."""
    if include_self:
        places, new = _with_self(line, places, new)
    order = argsort(places, 0)
    places, new = take(places, order), take(new, order)
    (count,), step = places.shape, 1
    if isinstance(count, SymbolicDim):
        raise ShapeError(
            _("Products at places are of a fixed number of elements."),
            got=show(places.shape),
        )
    while step < count:
        # Each element times the one before it, 1, 2, 4 … places back in its run.
        same = equal(cut(places, 0, step, count), cut(places, 0, 0, count - step))
        before = cut(new, 0, 0, count - step)
        factor = where(same, before, number(1, before))
        behind = mul(cut(new, 0, step, count), factor)
        new = movement.concatenate(cut(new, 0, 0, step), behind, axis=0)
        step *= 2
    return replaced(line, (places,), new)


@settled
def _largest(line: Value, places: Value, new: Value, include_self: bool) -> Value:
    """Return a line with maxima at places; equal ones share the derivative."""
    if include_self:
        places, new = _with_self(line, places, new)
    with no_grad():
        order = argsort(new, 0)  # of a place's elements the last one counts
        top = replaced(line, (take(places, order),), take(new, order))
        there = take(top, places)
        wins = equal(new, there)
        if line.dtype.is_float:
            wins = bitwise_or(wins, bitwise_and(isnan(new), isnan(there)))
    if not line.dtype.is_float:
        return top
    new = where(wins, new, number(0, new))
    none = _hits(line, places)
    none = equal(none, number(0, none))
    count = rows_added(astype(none, line.dtype), places, astype(wins, line.dtype))
    line = where(none, line, number(0, line))
    shared = div(rows_added(line, places, new), count)
    # The mean of equal numbers has the derivative; the number itself is exact.
    finite = isfinite(top)
    moving = where(finite, shared, number(0, shared))
    with no_grad():
        fixed = movement.copy(moving)
    return where(finite, sub(top, sub(fixed, moving)), shared)


def _smallest(line: Value, places: Value, new: Value, include_self: bool) -> Value:
    turned = _largest(reversed_order(line), places, reversed_order(new), include_self)
    return reversed_order(turned)


REDUCTIONS = {
    "sum": _sum,
    "prod": _product,
    "mean": _mean,
    "amax": _largest,
    "amin": _smallest,
}


# -- one index for each slice ---------------------------------------------------------


def _slices(
    x: Value, dim: int, index: Any, source: Any, name: str
) -> tuple[int, Value, Value]:
    """Check slices that go to places along an axis; return axis, places and slices."""
    axis, places, new = (
        axis_of(x.shape, dim),
        value_of(index),
        assignable(source, x.dtype),
    )
    places = places if places.shape else reshaped(places, (1,))
    wanted = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    if not new.shape and wanted == (1,):
        new = reshaped(new, (1,))
    if len(places.shape) != 1 or new.shape != wanted:
        raise ShapeError(
            _("{name} takes an index for each slice.", name=name),
            expected=_("a vector of indices, and slices of shape {s}", s=show(wanted)),
            got=_("{shape} and {new}", shape=show(places.shape), new=show(new.shape)),
        )
    return axis, places, new


def _expanded(
    x: Value, axis: int, places: Value, new: Value
) -> tuple[int, Value, Value]:
    """Return the result of :func:`_slices` with an index for each element."""
    column = tuple([-1 if i == axis else 1 for i in range(len(x.shape))])
    return axis, broadcast_to(reshaped(places, column), new.shape), new


@op(in_place=True)
@of_lines
def index_add(
    x: Value, dim: int, index: Any, source: Any, *, alpha: float = 1
) -> Value:
    """Return a tensor with alpha · ``source`` added by index along ``dim``."""
    axis, places, new = _slices(x, dim, index, source, "index_add")
    new = new if is_one(alpha) else times(new, alpha)
    return _added(x, *_expanded(x, axis, places, new))


@op(in_place=True)
@of_lines
def index_copy(x: Value, dim: int, index: Any, source: Any) -> Value:
    """Return a tensor with the slices of ``source`` written at indices along ``dim``.

    >>> import chainrule as cr
    >>> cr.zeros(3).index_copy(0, cr.tensor([2, 0]), cr.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    axis, places, new = _slices(x, dim, index, source, "index_copy")
    return replaced(x, key_along(axis, places), new)


@op(in_place=True)
@of_lines
def index_fill(x: Value, dim: int, index: Any, value: Any) -> Value:
    """Return a tensor with a number in all slices at indices along ``dim``."""
    new, places = assignable(value, x.dtype), value_of(index)
    if new.shape or len(places.shape) > 1:
        raise ShapeError(
            _("index_fill writes one number."),
            expected=_("a vector of indices, and a number"),
            got=_("{shape} and {new}", shape=show(places.shape), new=show(new.shape)),
        )
    places = reshaped(places, (-1,))
    return replaced(x, key_along(axis_of(x.shape, dim), places), new)


@op(in_place=True)
@of_lines
def index_reduce(
    x: Value,
    dim: int,
    index: Any,
    source: Any,
    reduce: Literal["prod", "mean", "amax", "amin"],
    *,
    include_self: bool = True,
) -> Value:
    """Return a tensor with slices of ``source`` reduced at indices along ``dim``.

    ``reduce`` is ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``; see
    :meth:`scatter_reduce`, and :meth:`index_add` for sums.
    """
    validation.choice("prod", "mean", "amax", "amin")("reduce", reduce)
    places = _expanded(x, *_slices(x, dim, index, source, "index_reduce"))
    return _reduced(x, *places, reduce, validation.truth("include_self", include_self))


# -- by keys, masks and views ---------------------------------------------------------


@op(in_place=True)
def index_put(x: Value, indices: Any, values: Any, accumulate: bool = False) -> Value:
    """Return a tensor with x[indices] = ``values``, or += where they ``accumulate``.

    Args:
        x: of any shape.
        indices: tensors in a tuple, integers or masks, as a key of ``x[…]``.
        values: a tensor that is broadcast to the elements.
        accumulate: whether values are added; those of one place add up.
    """
    if not isinstance(indices, tuple | list):
        raise ArgumentError(
            _("index_put takes the tensors of a key."),
            expected=_("a tuple of tensors"),
            got=f"{indices!r:.60}",
        )
    key = tuple([slice(None) if k is None else value_of(k) for k in indices])
    put = accumulated if accumulate else replaced
    return put(x, key, assignable(values, x.dtype))


@op(in_place=True)
def put(x: Value, index: Any, source: Any, accumulate: bool = False) -> Value:
    """Return the tensor with ``source`` written at indices of its elements in a row."""
    places, new = value_of(index), assignable(source, x.dtype)
    if size_of(places.shape) != size_of(new.shape):
        raise ShapeError(
            _("put takes an index for each element."),
            expected=_("as many of each"),
            got=_("{shape} and {new}", shape=show(places.shape), new=show(new.shape)),
        )
    line, key = reshaped(x, (-1,)), (reshaped(places, (-1,)),)
    written = accumulated if accumulate else replaced
    return reshaped(written(line, key, reshaped(new, (-1,))), x.shape)


@op(in_place=True)
def masked_scatter(x: Value, mask: Any, source: Any) -> Value:
    """Return a tensor with elements of ``source``, in order, where ``mask`` is true.

    >>> import chainrule as cr
    >>> mask = cr.tensor([True, False, True])
    >>> cr.zeros(3).masked_scatter(mask, cr.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    mask, new = value_of(mask), reshaped(assignable(source, x.dtype), (-1,))
    if mask.dtype is not DType.bool:
        raise ArgumentError(
            _("A mask consists of truth values."),
            expected="bool",
            got=mask.dtype.name,
            fix="mask != 0",
        )
    shape: Shape = broadcast_shapes(x.shape, mask.shape)
    x, mask = broadcast_to(x, shape), broadcast_to(mask, shape)
    if new.shape == (0,):  # of which nothing is taken
        if numbers_for(mask, "masked_scatter").any():
            raise ShapeError(_("The mask takes more elements than there are."), got="0")
        return movement.copy(x)
    line = reshaped(mask, (-1,))
    count = cumsum(astype(line, DType.int64), axis=0, reverse=False)
    places = where(line, add(count, number(-1, count)), number(0, count))
    return where(mask, reshaped(take(new, places), shape), x)


def _fits(src: Value, shape: Shape, name: str) -> None:
    if src.shape != shape:
        raise ShapeError(
            _("{name} writes to all of a view.", name=name),
            expected=show(shape),
            got=show(src.shape),
        )


@op
def select_scatter(x: Value, src: Any, dim: int, index: int) -> Value:
    """Return a tensor with ``src`` written at ``index`` along ``dim``: x.select's."""
    key = key_along(axis_of(x.shape, dim), index)
    new = assignable(src, x.dtype)
    _fits(new, indexed(x, key).shape, "select_scatter")
    return replaced(x, key, new)


@op
def slice_scatter(
    x: Value,
    src: Any,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    """Return a tensor with ``src`` written at start:end:step along ``dim``."""
    step = whole("step", step, least=1)
    key = key_along(axis_of(x.shape, dim), slice(start, end, step))
    new = assignable(src, x.dtype)
    _fits(new, indexed(x, key).shape, "slice_scatter")
    return replaced(x, key, new)


@op
def diagonal_scatter(
    x: Value, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Value:
    """Return a tensor with ``src`` written to its diagonal; see :meth:`diagonal`."""
    axes = axis_of(x.shape, dim1), axis_of(x.shape, dim2)
    new = assignable(src, x.dtype)
    _fits(new, diagonal_of(x, offset, *axes).shape, "diagonal_scatter")
    put = DIAGONAL.put
    assert put is not None
    return put(x, new, offset, *axes)
