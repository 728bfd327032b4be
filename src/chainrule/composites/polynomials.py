"""Polynomials of graph values, and computation in float64: for special functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.primitives.elementwise import add, convert, mul
from chainrule.primitives.movement import full_like


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers of a text, a table of coefficients."""
    return tuple(map(float, text.split()))


def horner(x: Value, coefficients: Iterable[float]) -> Value:
    """Return a polynomial in x by Horner's rule, highest power first."""
    first, *rest = coefficients
    total = full_like(x, first)
    for coefficient in rest:
        total = add(mul(total, x), full_like(x, coefficient))
    return total


def in_double(function: Callable[..., Value]) -> Callable[..., Value]:
    """Decorate a function of values to compute a float32 in float64, rounded once."""

    @wraps(function)
    def computed(*values: Value, **attrs: Any) -> Value:
        if {v.dtype for v in values} != {DType.float32}:
            return function(*values, **attrs)
        wide = [convert(v, dtype=DType.float64) for v in values]
        return convert(function(*wide, **attrs), dtype=DType.float32)

    return computed
