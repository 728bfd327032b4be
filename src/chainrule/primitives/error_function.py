"""The error function for NumPy, which has none: erf x = 2/√π ∫₀ˣ e^(−t²) dt.

For |x| ≤ 1, erf x = x + x·P(x²). Above, erf x = 1 − erfc x with

    erfc x = e^(−x²) R(t) / (1 + 2x),    t = (x − 5/2) / (x + 5/2),

the form of Shepherd & Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²)
erfc x", Mathematics of Computation 36, 1981. P and R are Chebyshev expansions made with
60 digits and written as powers. What is computed in float64 is within 1.5 units in the
last place; a float32 is computed as a float64 and rounded once.
"""

from __future__ import annotations

import numpy as np

from chainrule.graph.node import Array

#: From here on erf x rounds to 1 in float64.
_ONE = 6.0
#: erf x / x − 1 for 0 ≤ x ≤ 1, by powers of x², highest first.
_SMALL = (
    -7.798543850549947e-10,
    1.3721520406351094e-08,
    -1.6208829856810202e-07,
    1.6447471190594618e-06,
    -1.4924740785377576e-05,
    0.00012055295112667001,
    -0.0008548325982543225,
    0.005223977607269946,
    -0.026866170643256995,
    0.1128379167094513,
    -0.37612638903183543,
    0.12837916709551256,
)
#: (1 + 2x) e^(x²) erfc x for 1 ≤ x ≤ 6, by powers of t, highest first.
_LARGE = (
    2.103692341741339e-06,
    2.0083290422090488e-05,
    6.2649161221592115e-06,
    -0.00011285013882795683,
    -8.845848107963556e-05,
    0.0006320354783447512,
    0.0004918624383370016,
    -0.004382072017195891,
    0.0009318930421674325,
    0.032760893036914096,
    -0.10296705604512968,
    0.15762991902697346,
    -0.09902453957353337,
    -0.12235676308242194,
    1.2648381843668615,
)


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    """The polynomial in x, highest power first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= x
        total += coefficient
    return total


def erf(x: Array) -> Array:
    """erf x, element by element, in the type of ``x``.

    >>> erf(np.array([0.0, 1.0, -20.0]))
    array([ 0.        ,  0.84270079, -1.        ])
    """
    wide = np.asarray(x, np.float64)
    size = np.abs(wide).reshape(-1)
    small = np.minimum(size, 1.0)
    y = small + small * _horner(small * small, _SMALL)
    (far,) = np.nonzero(size > 1.0)
    if far.size:
        large = np.minimum(size[far], _ONE)
        r = _horner((large - 2.5) / (large + 2.5), _LARGE)
        y[far] = 1.0 - np.exp(-large * large) * r / (1.0 + 2.0 * large)
    return np.copysign(y.reshape(wide.shape), wide).astype(x.dtype, copy=False)
