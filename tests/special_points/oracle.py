"""Derivatives of any order to many digits, and what a floating type makes of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from mpmath import mp, mpf

Function = Callable[[Any], Any]

#: Bits of the derivatives; their differences take (n + 1) times as many.
BITS = 160


@functools.cache
def _at_zero(function: Function, orders: int) -> list[Any]:
    with mp.workprec(BITS):
        return list(mp.diffs(function, 0, orders))


def derivatives(function: Function, x: float, orders: int, singular: bool) -> list[Any]:
    """f, f′, f″ … at x of a function that is smooth there.

    By differences: in units of x where 0 is singular or x is large, else in units of 1;
    and close to 0 by Taylor's series, as differences would need a step below x.
    """
    with mp.workprec(BITS):
        at = mpf(x)
        if singular or abs(at) > 1e6:
            made = mp.diffs(lambda s: function(at * (1 + s)), 0, orders)
            return [d / at**k for k, d in enumerate(made)]
        if abs(at) < 1e-12:
            c = _at_zero(function, orders + 3)
            return [
                sum(c[k + j] * at**j / mp.factorial(j) for j in range(4))
                for k in range(orders + 1)
            ]
        return list(mp.diffs(lambda s: function(at + s), 0, orders))


def rounded(exact: Any, dtype: Any) -> float:
    """The nearest number of the type, 0 and ±∞ where it has none nearer."""
    with np.errstate(over="ignore", under="ignore"):
        return float(dtype(float(exact)))
