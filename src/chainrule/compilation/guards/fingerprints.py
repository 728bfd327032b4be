"""Fingerprints of objects outside a traced function, to detect their changes."""

from __future__ import annotations

import array
import collections
import contextvars
import enum
import functools
import io
import itertools
import marshal
import operator
import types
import warnings
import zlib
from collections.abc import Callable, Iterator, KeysView, Set, ValuesView
from typing import Any

import numpy as np

#: Types of single values, which are compared by value.
ATOMS = (bool, int, float, complex, str, bytes, type(None), enum.Enum, np.generic)
#: Types that are compared item by item, subclasses included.
CONTAINERS = (list, tuple, set, frozenset, dict, collections.deque)
#: Containers of more plain items than this are compared by a checksum.
ITEMS = 1000
#: The depth to which containers within containers are compared by value.
LAYERS = 100

#: Paths to numbers within a container whose values are not compared.
Paths = frozenset[tuple[Any, ...]]
NOWHERE: Paths = frozenset()


class _Missing:
    """The type of :data:`MISSING`, the placeholder for a variable without value."""


MISSING = _Missing()


def fingerprint(
    item: Any,
    free: Paths = NOWHERE,
    path: tuple[Any, ...] = (),
    around: tuple[int, ...] = (),
    keep: list[Any] | None = None,
) -> Any:
    """Return a fingerprint of an object, to detect changes: its value or identity.

    Args:
        item: anything.
        free: paths within it to numbers that may have any value of their type.
        path: where this item stands within another one.
        around: the ids of the containers that it stands in.
        keep: gets what is compared by its id, which is another's once it is gone.
    """
    kind = type(item)
    if free and path in free:
        return kind, "any"
    if isinstance(item, enum.Enum):  # each is one object, however it compares
        return kind, id(item)
    if isinstance(item, ATOMS):
        # Zero has two signs, which compare equal; NaN is never equal.
        return kind, item if item == item and item else repr(item)
    if isinstance(item, np.ndarray):
        return kind, item.shape, item.dtype, _checksum(item)
    if isinstance(item, CONTAINERS) and len(around) < LAYERS:
        if id(item) in around:
            return "within itself", around.index(id(item))
        return _of_items(item, free, path, (*around, id(item)), keep)
    if getattr(kind, "compared_by_value", False):
        return kind, id(item), fingerprint(vars(item), around=around, keep=keep)
    if keep is not None:
        keep.append(item)
    state = _state_of(kind)
    return id(item) if state is None else (id(item), state(item))


def _of_items(
    item: Any,
    free: Paths,
    path: tuple[Any, ...],
    around: tuple[int, ...],
    keep: list[Any] | None,
) -> Any:
    """Return a container's fingerprint (to detect changes) from those of its items."""
    kind = type(item)
    if len(item) > ITEMS and not free:
        try:
            return kind, len(item), zlib.crc32(marshal.dumps(item, 2))
        except ValueError:  # it holds more than plain items
            pass
    if isinstance(item, dict):
        pairs = [
            (
                fingerprint(k, around=around, keep=keep),
                fingerprint(v, free, (*path, k) if free else path, around, keep),
            )
            for k, v in item.items()
        ]
        return kind, tuple(pairs)
    parts = [
        fingerprint(part, free, (*path, i) if free else path, around, keep)
        for i, part in enumerate(item)
    ]
    return kind, frozenset(parts) if isinstance(item, Set) else tuple(parts)


def _checksum(array: np.ndarray) -> Any:
    if array.dtype.hasobject:
        return fingerprint(array.tolist())
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)


# -- what objects keep that is not made of attributes ----------------------------------

_STATES: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((bytearray, memoryview, array.array), bytes),
    (contextvars.ContextVar, lambda item: fingerprint(item.get(MISSING))),
    (types.MappingProxyType, lambda item: fingerprint(dict(item))),
    ((io.StringIO, io.BytesIO), lambda item: _written(item)),
    (io.IOBase, lambda item: _place(item)),
    (types.GeneratorType, lambda item: _locals(item)),
    (itertools.count, repr),
    (Iterator, lambda item: _position(item)),
    ((KeysView, ValuesView, Set), lambda item: fingerprint(tuple(item))),
)


@functools.lru_cache(maxsize=512)
def _state_of(kind: type) -> Callable[[Any], Any] | None:
    """Return the function that reads a stateful object's state; None if unknown."""
    for kinds, state in _STATES:
        if issubclass(kind, kinds):
            return state
    return None


def _written(item: Any) -> Any:
    return "closed" if item.closed else (item.getvalue(), item.tell())


def _place(item: Any) -> Any:
    """Return a readable file's position, to detect reads; None for other objects."""
    try:
        return item.tell() if item.readable() else None
    except (OSError, ValueError):  # a terminal; a file that is closed
        return None


def _locals(item: Any) -> Any:
    """Return a generator's current position in its code, and its local variables."""
    frame = item.gi_frame
    return "end" if frame is None else (frame.f_lasti, fingerprint(frame.f_locals))


def _position(item: Any) -> Any:
    """Return an iterator's position, to detect changes; a unique object if unknown."""
    if hasattr(item, "__dict__"):
        return fingerprint(vars(item))
    left = operator.length_hint(item, -1)
    if left >= 0:
        return left
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return fingerprint(item.__reduce__()[1:])
    except TypeError:
        return object()
