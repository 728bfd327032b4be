"""Indexing of tensors, ``x[key]`` and ``x[key] = y``, by NumPy's rules.

A key becomes slices first, then rows by index where arrays are left. What changes parts
of a value makes a new value.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, AxisError, DTypeError, ShapeError
from chainrule.graph.apply import View, apply_views
from chainrule.graph.context import context
from chainrule.graph.declare import Operation
from chainrule.graph.layout import UNKNOWN
from chainrule.graph.node import Value
from chainrule.graph.types import ArrayType, Dim, DType, Shape, SymbolicDim, size_of
from chainrule.operations.arguments import shape_of
from chainrule.operations.arithmetic import ne, number
from chainrule.operations.indices import INDEX_OUT_OF_RANGE, from_front, in_range
from chainrule.operations.operands import (
    TensorBase,
    astype,
    broadcast_shapes,
    broadcast_to,
    count_of,
    full,
    value_of,
)
from chainrule.operations.shapes import reshaped, rows
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, equal, mul, where
from chainrule.primitives.indexing import (
    dynamic_slice,
    dynamic_update_slice,
    scatter_add,
    take,
)
from chainrule.primitives.rules import show
from chainrule.primitives.sorting import argsort
from chainrule.text import _
from chainrule.util.bounded import Bounded

#: One axis of a key: a slice, an integer, indices, or None for a new axis.
Part = Any


# -- reading a key --------------------------------------------------------------------


def parts_of(key: Any, shape: Shape) -> list[Part]:
    """Return an index key ``x[key]`` as one part per axis, with masks resolved."""
    keys = [_part(k) for k in (key if isinstance(key, tuple) else (key,))]
    consumed = sum(_covered(k) for k in keys if k is not None and k is not Ellipsis)
    if consumed > len(shape) or sum(k is Ellipsis for k in keys) > 1:
        raise ShapeError(
            _("Too many indices."),
            expected=_(
                "at most {shape} for shape {shape2}, one '...'",
                shape=len(shape),
                shape2=show(shape),
            ),
            got=str(consumed),
        )
    if not any(k is Ellipsis for k in keys):
        keys.append(Ellipsis)
    at = next(i for i, k in enumerate(keys) if k is Ellipsis)
    keys[at : at + 1] = [slice(None)] * (len(shape) - consumed)
    parts: list[Part] = []
    axis = 0
    for k in keys:
        if isinstance(k, Value) and k.dtype is DType.bool:
            parts += _places(k, shape[axis : axis + len(k.shape)])
            axis += len(k.shape)
            continue
        parts.append(k if k is None else _on_axis(k, shape[axis], axis))
        axis += k is not None
    return parts


def _part(k: Any) -> Part:
    if k is None or k is Ellipsis or isinstance(k, slice):
        return k
    if isinstance(k, int | np.integer) and not isinstance(k, bool):
        return int(k)
    index = k if isinstance(k, Value) else value_of(k)
    if index.dtype is DType.bool and not index.shape:
        raise ArgumentError(
            _("A single truth value does not index."),
            expected=_("a mask with an axis, or an integer"),
            got=f"{k!r:.80}",
        )
    if not index.dtype.is_integer and index.dtype is not DType.bool:
        if not isinstance(k, TensorBase) and size_of(index.shape) == 0:
            return astype(index, DType.int64)  # an empty list
        raise ArgumentError(
            _(
                "Tensors are indexed by integers, slices, '...', None, integer or bool "
                "arrays."
            ),
            expected=_("one of these"),
            got=index.dtype.name,
        )
    if not index.shape and context.trace is None:
        return int(index.array)  # pyright: ignore[reportArgumentType]
    return index


def _covered(k: Part) -> int:
    is_mask = isinstance(k, Value) and k.dtype is DType.bool
    return len(k.shape) if is_mask else 1


def _places(mask: Value, shape: Shape) -> list[Value]:
    """Return the indices where an indexing mask is true; refuse it in a trace."""
    if context.trace is not None:
        raise ShapeError(
            _("How many elements a mask selects is known only at the run."),
            expected=_(
                "shapes that do not depend on numbers while a function is traced"
            ),
            got=_("a mask of shape {shape} as an index", shape=show(mask.shape)),
            fix=_("cr.where(mask, x, 0), x[mask] = number, or sums of x * mask"),
        )
    _check_mask(mask, shape)
    assert mask.array is not None
    return [Value(places) for places in np.nonzero(mask.array)]


def _check_mask(mask: Value, shape: Shape) -> None:
    """Refuse an indexing mask whose shape differs from the tensor's axes.

    Source: the array API standard 2024.12, "Boolean array indexing"; NumPy does so too.
    """
    if len(mask.shape) != len(shape) or any(
        own not in (length, 0) for own, length in zip(mask.shape, shape)
    ):
        raise AxisError(
            _("A mask must have the shape of the axes that it selects from."),
            expected=show(shape),
            got=show(mask.shape),
        )


def _on_axis(k: Part, size: Dim, axis: int) -> Part:
    """Check one part of an index key (integer, slice, array) against its axis."""
    if isinstance(k, slice):
        return slice(*map(bound, (k.start, k.stop, k.step)))
    if isinstance(k, Value):
        places = from_front(k, size)
        if context.trace is None and isinstance(size, int):
            assert places.array is not None
            _check_numbers(places.array, size, axis)
            return places
        return in_range(places, size, axis)
    if isinstance(size, int):
        if not -size <= k < size:
            raise _out_of_range(size, axis, str(k))
        return k % size
    return in_range(from_front(full(k, DType.int64, ()), size), size, axis, k)


def _check_numbers(places: Any, size: int, axis: int) -> None:
    if places.size and (places.min() < 0 or places.max() >= size):
        wrong = places.min() - size if places.min() < 0 else places.max()
        raise _out_of_range(size, axis, str(wrong))


def _out_of_range(size: int, axis: int, got: str) -> ShapeError:
    return ShapeError(
        INDEX_OUT_OF_RANGE,
        expected=_(
            "−{size} … {size2} on axis {axis}", size=size, size2=size - 1, axis=axis
        )
        if size
        else _("no index"),
        got=got,
    )


def bound(n: Any) -> int | None:
    """Return the start, stop or step of an indexing slice as a Python integer."""
    if n is None or type(n) is int:
        return n
    if isinstance(n, TensorBase) and context.trace is not None:
        raise ArgumentError(
            _("A slice has fixed ends while a function is traced."),
            expected=_("integers"),
            got=repr(n)[:80],
            fix=_("x.narrow(dim, start, length), where start may be a tensor"),
        )
    try:
        return operator.index(n)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise DTypeError(
            _("A slice has whole numbers as its ends."),
            expected=_("integers or None"),
            got=f"{n!r:.40}",
        ) from None


# -- looking up -----------------------------------------------------------------------


#: The views that keys of integers and slices are, by type and key.
_views: Bounded[Any, list[View]] = Bounded(512)


def indexed(v: Value, key: Any) -> Value:
    """Return a value's elements at an index key, ``x[key]``."""
    plain = key if type(key) is int else _plain(key)
    signature = v.shape, v.dtype, plain
    known = None if plain is None else _views.get(signature)
    if known is not None:
        return apply_views(v, known)
    mask = _sole_mask(key)
    if mask is not None and not mask.shape:  # of one or of no element along a new axis
        v, key = reshaped(v, (1, *v.shape)), reshaped(mask, (1,))
    parts = parts_of(key, v.shape)
    arrays = [(i, k) for i, k in enumerate(parts) if isinstance(k, Value)]
    if arrays:  # beside arrays integers are arrays
        parts = [full(k, DType.int64, ()) if isinstance(k, int) else k for k in parts]
        arrays = [(i, k) for i, k in enumerate(parts) if isinstance(k, Value)]
    views = _sliced(v, [slice(None) if isinstance(k, Value) else k for k in parts])
    if plain is not None and all(isinstance(d, int) for d in v.shape):
        _views[signature] = views
    v = apply_views(v, views)
    if not arrays:
        return v
    result = _looked_up(v, arrays)
    if v.order:
        result.order = UNKNOWN
    return result


def _plain(key: Any) -> tuple[Any, ...] | None:
    """Return an index key of integers and slices as a hashable cache key, or None.

    None for any other: 1, 1.0 and True are equal there, but not as indices.
    """
    plain: list[Any] = []
    for k in key if type(key) is tuple else (key,):
        if type(k) is slice:
            k = (k.start, k.stop, k.step)
            if not {*map(type, k)} <= _BOUNDS:
                return None
        elif type(k) is not int and k is not None and k is not Ellipsis:
            return None
        plain.append(k)
    return tuple(plain)


_BOUNDS = {int, type(None)}


def _sliced(v: Value, parts: list[Part]) -> list[View]:
    """Return the views of a value that an index key of slices and integers takes."""
    starts: list[int] = []
    stops: list[Dim] = []
    strides: list[int] = []
    flips: list[int] = []
    shape: list[Dim] = []
    for k in parts:
        if k is None:
            shape.append(1)
            continue
        axis = len(starts)
        start, count, stride = _range(k, v.shape[axis])
        if stride < 0:
            flips.append(axis)
            if isinstance(count, int):
                start = start + (count - 1) * stride if count else 0
            stride = -stride
        starts.append(start)
        covered = (
            (count - 1) * stride + 1 if isinstance(count, int) and count else count
        )
        stops.append(start + covered if isinstance(covered, int) else covered)
        strides.append(stride)
        if isinstance(k, slice):
            shape.append(count)
    whole = all(
        a == 0 and b == d and s == 1
        for a, b, d, s in zip(starts, stops, v.shape, strides)
    )
    views: list[View] = []
    type_ = v.type
    if not whole:
        bounds = {"starts": starts, "stops": stops, "strides": strides}
        attrs = {name: tuple(numbers) for name, numbers in bounds.items()}
        type_ = _add_view(views, movement.slice_, type_, attrs)
    if flips:
        type_ = _add_view(views, movement.flip, type_, {"axes": tuple(flips)})
    if tuple(shape) != type_.shape:
        _add_view(views, movement.reshape, type_, {"shape": tuple(shape)})
    return views


def _add_view(
    views: list[View], primitive: Operation, of: ArrayType, attrs: dict[str, Any]
) -> ArrayType:
    (result_type,) = primitive.output_types([of], attrs)
    views.append(View(primitive, attrs, result_type))
    return result_type


def _range(k: Part, size: Dim) -> tuple[int, Dim, int]:
    """Return the start, count and stride of an index key's slice or integer."""
    if isinstance(k, int):
        return k, 1, 1
    if isinstance(size, int):
        start, stop, step = k.indices(size)
        return start, len(range(start, stop, step)), step
    if k.start is None and k.stop is None and k.step in (None, 1, -1):
        return 0, size, k.step or 1
    raise ShapeError(
        _(
            "The axis of {size} is taken whole, or by integers and arrays of them.",
            size=size,
        ),
        expected=": or ::-1",
        got=str(k),
    )


def _looked_up(v: Value, arrays: list[tuple[int, Value]]) -> Value:
    """Return a value's elements at several index arrays, broadcast together."""
    axes = [axis for axis, __ in arrays]
    places = [k for __, k in arrays]
    if len(arrays) == 1:
        return rows(v, places[0], axes[0])
    common: Shape = ()
    for k in places:
        common = broadcast_shapes(common, k.shape)
    rest = [i for i in range(len(v.shape)) if i not in axes]
    v = movement.transpose(v, axes=(*axes, *rest))
    sizes = v.shape[: len(axes)]
    flat = broadcast_to(places[0], common)
    for size, k in zip(sizes[1:], places[1:]):
        stride = broadcast_to(count_of(size, DType.int64), common)
        flat = add(mul(flat, stride), broadcast_to(k, common))
    result = take(reshaped(v, (size_of(sizes), *v.shape[len(axes) :])), flat)
    # Neighbouring indices put their axes in their place, others in front.
    if axes != list(range(axes[0], axes[0] + len(axes))) or not axes[0]:
        return result
    new = tuple(range(len(common)))
    others = tuple(range(len(common), len(result.shape)))
    first = axes[0]
    return movement.transpose(result, axes=(*others[:first], *new, *others[first:]))


# -- writing --------------------------------------------------------------------------


def replaced(v: Value, key: Any, new: Value) -> Value:
    """Return a value with the elements at a key replaced by ``new``, broadcast."""
    new = astype(new, v.dtype)
    mask = _sole_mask(key)
    if mask is not None and len(new.shape) <= len(v.shape) - len(mask.shape):
        return _masked(v, mask, new)
    parts = parts_of(key, v.shape)
    if not any(isinstance(k, Value) for k in parts):
        return _block(v, parts, new)
    count = size_of(v.shape)
    line = iota(shape=(count,), axis=0, dtype=DType.int64)
    places = indexed(reshaped(line, v.shape), key)
    values = fitting(new, places.shape)
    flat = reshaped(places, (size_of(places.shape),))
    last = _last_of_each(flat)
    values = reshaped(values, flat.shape)
    # −0 is what changes no number that is added to it.
    nothing = full(-0.0 if v.dtype.is_float else 0, v.dtype, ())
    base = reshaped(v, (count,))
    hits = scatter_add(
        full(0, DType.int64, base.shape), flat, astype(last, DType.int64)
    )
    base = where(equal(hits, number(0, hits)), base, broadcast_to(nothing, base.shape))
    chosen = where(last, values, broadcast_to(nothing, values.shape))
    return reshaped(added(base, flat, chosen), v.shape)


def added(base: Value, places: Value, values: Value) -> Value:
    """Return rows of a value with others added by index; truth values are or-ed."""
    if base.dtype is DType.bool:
        wide = (astype(x, DType.uint8) for x in (base, values))
        return astype(scatter_add(next(wide), places, next(wide)), DType.bool)
    return scatter_add(base, places, values)


def _sole_mask(key: Any) -> Value | None:
    """Return the mask of an index key that is a single mask, else None."""
    if isinstance(key, tuple):
        key = key[0] if len(key) == 1 else None
    if key is None or isinstance(key, slice | int | np.generic) or key is Ellipsis:
        return None
    mask = key if isinstance(key, Value) else value_of(key)
    return mask if mask.dtype is DType.bool else None


def _masked(v: Value, mask: Value, new: Value) -> Value:
    covered = len(mask.shape)
    _check_mask(mask, v.shape[:covered])
    if mask.shape != v.shape[:covered]:  # it selects nothing
        return v
    mask = reshaped(mask, (*mask.shape, *(1,) * (len(v.shape) - covered)))
    return where(broadcast_to(mask, v.shape), fitting(new, v.shape), v)


def fitting(new: Value, shape: Shape) -> Value:
    """Broadcast an assigned value to an indexed shape, without leading axes of 1."""
    while len(new.shape) > len(shape) and new.shape[0] == 1:
        new = reshaped(new, new.shape[1:])
    lead = len(shape) - len(new.shape)
    if lead < 0 or any(a not in (1, b) for a, b in zip(new.shape, shape[lead:])):
        raise ShapeError(
            _("What is assigned does not fit the elements that are named."),
            expected=_("a shape that repeats into {shape}", shape=show(shape)),
            got=show(new.shape),
        )
    return broadcast_to(new, shape)


def _block(v: Value, parts: list[Part], new: Value) -> Value:
    """Return a value with its elements at slices and integers replaced by ``new``."""
    ranges = [
        _range(k, size) for k, size in zip([k for k in parts if k is not None], v.shape)
    ]
    shape: list[Dim] = []
    remaining = iter(ranges)
    for k in parts:
        if k is None:
            shape.append(1)
            continue
        __, count, __ = next(remaining)
        if isinstance(k, slice):
            shape.append(count)
    new = fitting(new, tuple(shape))
    counts = tuple([count for __, count, __ in ranges])
    new = reshaped(new, counts)
    if 0 in counts:
        return v
    turned = tuple([i for i, (__, __, step) in enumerate(ranges) if step < 0])
    if turned:
        new = movement.flip(new, axes=turned)
    starts: list[int] = []
    for start, count, step in ranges:
        back = (count - 1) * step if isinstance(count, int) and step < 0 else 0
        starts.append(start + back)
    strides = [abs(step) for __, __, step in ranges]
    if new.shape == v.shape:
        return new
    if all(s == 1 or n == 1 for s, n in zip(strides, counts)):
        corner = [full(start, DType.int64, ()) for start in starts]
        return dynamic_update_slice(v, new, *corner)
    return _every_other(v, new, starts, strides)


def _every_other(v: Value, new: Value, starts: list[int], strides: list[int]) -> Value:
    """Return a value with its elements at regular strides replaced by ``new``."""
    ends: list[int] = []
    for size, count, start, stride in zip(v.shape, new.shape, starts, strides):
        if isinstance(size, int) and isinstance(count, int):
            ends.append(size - start - (count - 1) * stride - 1)
        else:
            ends.append(0)
    attrs: dict[str, Any] = {
        "low": tuple(starts),
        "high": tuple(ends),
        "interior": tuple([s - 1 for s in strides]),
    }
    chosen = movement.pad(full(1, DType.uint8, new.shape), **attrs)
    spread = movement.pad(new, **attrs)
    return where(ne(chosen, number(0, chosen)), spread, v)


def _last_of_each(places: Value) -> Value:
    """Return whether each assigned index is the last of its duplicates, which wins."""
    if context.trace is None:
        assert places.array is not None
        backwards = places.array[::-1]
        is_last = np.zeros(places.shape, bool)
        is_last[len(backwards) - 1 - np.unique(backwards, return_index=True)[1]] = True
        return Value(is_last)
    (count,) = places.shape
    if count == 1:
        return full(True, DType.bool, (1,))
    order = argsort(places, axis=0, descending=False)
    sorted_places = take(places, order)
    here = iota(shape=(count,), axis=0, dtype=DType.int64)
    end = broadcast_to(
        add(count_of(count, DType.int64), full(-1, DType.int64, ())), (count,)
    )
    following = where(equal(here, end), here, add(here, number(1, here)))
    last = ne(sorted_places, take(sorted_places, following))
    last = astype(
        where(equal(here, end), full(True, DType.bool, (count,)), last), DType.int64
    )
    back = scatter_add(full(0, DType.int64, (count,)), order, last)
    return ne(back, number(0, back))


def narrowed(v: Value, axis: int, start: Value, length: Any) -> Value:
    """Return a fixed-length block of a value along an axis, from a computed start."""
    size, (length,) = v.shape[axis], shape_of(length, _("A block has a length."))
    if isinstance(size, SymbolicDim):
        return rows(v, _within(start, length, size, axis), axis)
    sizes = (*v.shape[:axis], length, *v.shape[axis + 1 :])
    return dynamic_slice(v, *_corner(v, axis, start), sizes=sizes)


def put_narrowed(v: Value, new: Value, axis: int, start: Value, length: int) -> Value:
    """Return a value with a block along an axis replaced, from a computed start."""
    size = v.shape[axis]
    if isinstance(size, SymbolicDim):
        places = _within(start, length, size, axis)
        return replaced(v, (*[slice(None)] * axis, places), new)
    return dynamic_update_slice(v, new, *_corner(v, axis, start))


def _within(start: Value, length: int, size: Dim, axis: int) -> Value:
    steps = iota(shape=(length,), axis=0, dtype=DType.int64)
    first = broadcast_to(astype(start, DType.int64), (length,))
    return in_range(add(steps, first), size, axis)


def _corner(v: Value, axis: int, start: Value) -> list[Value]:
    corner = [full(0, DType.int64, ())] * len(v.shape)
    corner[axis] = from_front(start, v.shape[axis])
    return corner
