"""Views of tensors, as operations: how to take a view, and how to write to it.

A :class:`View` is a pair of functions. ``take`` gives what the view shows of a value;
``put`` gives the value anew, with that replaced. So a change of a view is a change of
what it was taken of, and no memory is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.graph.layout import PERMUTED
from chainrule.graph.node import Value
from chainrule.operations.indexing import (
    bound,
    indexed,
    narrowed,
    put_narrowed,
    replaced,
)
from chainrule.operations.op import Viewed
from chainrule.operations.operands import broadcast_to, value_of
from chainrule.operations.shapes import diagonal_of, windows
from chainrule.primitives import movement

__all__ = [
    "DIAGONAL",
    "EXPAND",
    "INDEX",
    "NARROW",
    "PERMUTE",
    "RESHAPE",
    "SAME",
    "WINDOWS",
    "View",
    "basic_key",
    "item",
    "key_along",
    "takes_rows",
]


class View(NamedTuple):
    """A kind of view of a tensor: operations that take it and that write through it.

    Attributes:
        name: of the operation.
        take: ``take(value, *arguments)`` is what the view shows.
        put: ``put(value, new, *arguments)`` is the value in which it shows ``new``;
            None where an element is shown more than once.
    """

    name: str
    take: Callable[..., Value]
    put: Callable[..., Value] | None

    def __reduce__(self) -> Any:
        return _named, (self.name,)


def _reshaped(v: Value, shape: Any) -> Value:
    return v if v.shape == shape else movement.reshape(v, shape=shape)


def _permuted(v: Value, axes: tuple[int, ...]) -> Value:
    result = movement.transpose(v, axes=axes)
    result.order = result.order or PERMUTED
    return result


def _turned_back(v: Value, new: Value, axes: tuple[int, ...]) -> Value:
    return movement.transpose(
        new, axes=tuple([axes.index(i) for i in range(len(axes))])
    )


def _replaced_diagonal(
    v: Value, new: Value, offset: int, dim1: int, dim2: int
) -> Value:
    rank = len(v.shape)
    rest = [i for i in range(rank) if i not in (dim1, dim2)]
    axes = (*rest, dim1, dim2)
    places = np.arange(int(new.shape[-1]))
    key = (..., places + max(-offset, 0), places + max(offset, 0))
    changed = replaced(movement.transpose(v, axes=axes), key, new)
    return _turned_back(v, changed, axes)


SAME = View("same", lambda v: v, lambda v, new: new)
INDEX = View("index", indexed, lambda v, new, key: replaced(v, key, new))
RESHAPE = View("reshape", _reshaped, lambda v, new, shape: _reshaped(new, v.shape))
PERMUTE = View("permute", _permuted, _turned_back)
EXPAND = View("expand", broadcast_to, None)
NARROW = View("narrow", narrowed, put_narrowed)
DIAGONAL = View("diagonal", diagonal_of, _replaced_diagonal)
WINDOWS = View("windows", windows, None)

_ALL = (SAME, INDEX, RESHAPE, PERMUTE, EXPAND, NARROW, DIAGONAL, WINDOWS)
_VIEWS = {v.name: v for v in _ALL}


def _named(name: str) -> View:
    return _VIEWS[name]


def basic_key(key: Any) -> tuple[Any, ...] | None:
    """Return an index key of integers and slices, which takes a view, or else None.

    Integers that tensors and arrays hold are those of now. None for any other key: its
    elements are copies.
    """
    parts: list[Any] = []
    for k in key if type(key) is tuple else (key,):
        if type(k) is int or k is None or k is Ellipsis:
            parts.append(k)
        elif type(k) is slice:
            parts.append(slice(bound(k.start), bound(k.stop), bound(k.step)))
        else:
            if isinstance(k, bool) or getattr(k, "shape", None) != ():
                return None
            place = value_of(k)
            if not place.dtype.is_integer:
                return None
            parts.append(place if place.array is None else int(place.array))
    return tuple(parts)


def item(x: Value, key: Any) -> Any:
    """Return ``x[key]``: a view for integers and slices, and a copy for other keys."""
    block = key if type(key) is int else basic_key(key)
    result = indexed(x, key)
    return result if block is None else Viewed(result, INDEX, (block,))


def key_along(axis: int, part: Any) -> tuple[Any, ...]:
    """Return an index key for ``part`` of one axis of a tensor, and all of others."""
    return (*[slice(None)] * axis, part)


def takes_rows(view: View, arguments: tuple[Any, ...]) -> bool:
    """Return whether a view of a row-major tensor is in row-major order too."""
    if view is SAME or view is RESHAPE:
        return True
    if view is not INDEX:
        return False
    (key,) = arguments
    *first, last = key if isinstance(key, tuple) and key else (key or 0,)
    whole = isinstance(last, slice) and last.step in (None, 1)
    return all(type(k) is int for k in first) and (type(last) is int or whole)
