"""Arithmetic on shapes of which sizes have names, as NumPy arrays of objects.

A traced size may be a name (N samples). What a file does with shapes before it reshapes
(picking, joining, multiplying) is done here for both; whatever else needs the number
raises ``UnknownSizeError``, and the function is traced with numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.graph.types import Dim

Array = np.ndarray[Any, Any]


def shape_array(shape: tuple[Dim, ...]) -> Array:
    """Return a shape as int64, or as objects where a size is a name."""
    if all(isinstance(d, int) for d in shape):
        return np.array(shape, np.int64)
    array = np.empty(len(shape), object)
    for i, d in enumerate(shape):  # NumPy would ask several for their numbers
        array[i] = d
    return array


def plain(array: Array) -> Array:
    """Return an array as int64 where no size in it is a name."""
    if array.dtype.hasobject and all(isinstance(d, int) for d in array.flat):
        return np.array([int(d) for d in array.flat], np.int64).reshape(array.shape)
    return array


def _elementwise(
    function: Callable[[Any, Any], Any],
) -> Callable[[Array, Array], Array]:
    """Return the function of two arrays that applies one to Python's numbers."""

    def apply(a: Array, b: Array) -> Array:
        result = np.empty(np.broadcast_shapes(a.shape, b.shape), object)
        np.frompyfunc(function, 2, 1)(a.astype(object), b.astype(object), out=result)
        if result.size and all(isinstance(item, bool) for item in result.flat):
            return result.astype(bool)
        return plain(result)

    return apply


def _div(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return a // b


def _is_zero(d: Any) -> bool:
    return isinstance(d, int) and d == 0


BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": _elementwise(lambda a, b: a if _is_zero(b) else b if _is_zero(a) else a + b),
    "Sub": _elementwise(lambda a, b: a if _is_zero(b) else a - b),
    "Mul": _elementwise(lambda a, b: a * b),
    "Div": _elementwise(_div),
    "Equal": _elementwise(lambda a, b: a == b),
}


def where(condition: Array, x: Array, y: Array) -> Array:
    """Return the elements of x where a known condition holds, else those of y."""
    return plain(np.where(condition, x.astype(object), y.astype(object)))


def cast(x: Array, *, to: int, saturate: int = 1, round_mode: str = "up") -> Array:
    """Return sizes as they are; as other numbers than integers they must be known."""
    if to not in (6, 7):
        operator.index(next(d for d in x.flat if not isinstance(d, int)))
    return x
