"""Derivatives of any order to many digits, and what a floating type makes of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp, mpf

Function = Callable[[Any], Any]

#: Bits of every value; the step of the differences, as a power of two; points a side.
BITS, STEP, SIDE = 480, 60, 4
#: Closer to 0 than this a derivative comes from those at 0.
CLOSE = 1e-12


@functools.cache
def weights() -> tuple[list[list[int]], int]:
    """Of the values at −4 … 4, for derivatives of order 0 … 8 at 0; what divides them.

    They are the derivatives of Lagrange's polynomials.
    """
    nodes = range(-SIDE, SIDE + 1)
    orders = len(nodes)
    table = [[Fraction(0)] * orders for _ in range(orders)]
    for i, at in enumerate(nodes):
        polynomial = [Fraction(1)]  # Lagrange's, 1 at this node and 0 at the others
        for other in nodes:
            if other != at:
                shifted = [Fraction(0), *polynomial]
                scaled = [c * other for c in polynomial] + [Fraction(0)]
                polynomial = [(a - b) / (at - other) for a, b in zip(shifted, scaled)]
        factorial = 1
        for k, c in enumerate(polynomial):
            factorial *= k or 1
            table[k][i] = c * factorial
    common = math.lcm(*(w.denominator for row in table for w in row))
    return [[int(w * common) for w in row] for row in table], common


def _differences(function: Function, orders: int) -> tuple[list[Any], list[Any]]:
    """Derivatives at 0, and how much of each may be the rounding of the values."""
    step = mpf(2) ** -STEP
    values = [function(step * i) for i in range(-SIDE, SIDE + 1)]
    size = max(map(abs, values))
    table, common = weights()
    made = [
        mp.fdot((w, v) for w, v in zip(row, values) if w) / (common * step**k)
        for k, row in zip(range(orders + 1), table)
    ]
    return made, [size * mpf(2) ** (10 - BITS) / step**k for k in range(orders + 1)]


@functools.cache
def _at_zero(function: Function) -> tuple[list[Any], list[Any]]:
    return _differences(function, 2 * SIDE - 1)


def derivatives(
    function: Function, x: float, orders: int, singular: bool
) -> tuple[list[Any], list[Any]]:
    """f, f′, f″ … at x of a function that is smooth there, and their errors.

    By differences: in units of x where 0 is singular or x is large, else in units of 1;
    and close to 0 by Taylor's series, as differences would need a step below x.
    """
    with mp.workprec(BITS):
        at = mpf(x)
        if singular or abs(at) > 1e30:
            made, errors = _differences(lambda s: function(at * (1 + s)), orders)
            return (
                [d / at**k for k, d in enumerate(made)],
                [e / abs(at) ** k for k, e in enumerate(errors)],
            )
        if at == 0:
            return _differences(function, orders)
        if abs(at) < CLOSE:
            c, errors = _at_zero(function)
            return [
                sum(c[k + j] * at**j / mp.factorial(j) for j in range(3))
                for k in range(orders + 1)
            ], errors
        return _differences(lambda s: function(at + s), orders)


def rounded(exact: Any, dtype: Any) -> float:
    """The nearest number of the type, 0 and ±∞ where it has none nearer."""
    with np.errstate(over="ignore", under="ignore"):
        return float(dtype(float(exact)))
