"""The decimal numbers behind rounded constants: 0.9 for 0.8999999761581421."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from chainrule.graph.types import DType


def meant(value: float, dtype: DType) -> float:
    """Return the simplest number that ``dtype`` rounds to ``value``.

    A program says 0.9 and ε/K; float32 has rounded both, and their sum is no longer 1.
    Short decimals come first, then fractions; the number itself where there are none.

    >>> meant(float(np.float32(0.9)), DType.float32)
    0.9
    >>> meant(float(np.float32(0.1 / 3)), DType.float32) == 1 / 30
    True
    """
    if dtype is not DType.float32 or not np.isfinite(value):
        return value
    short = float(str(np.float32(value)))
    if float(f"{short:.6g}") == short:
        return short
    for limit in (10, 100, 1000, 10_000):
        rational = float(Fraction(value).limit_denominator(limit))
        if np.float32(rational) == np.float32(value):
            return rational
    return value
