"""Modified Bessel functions of the first kind, of whole orders.

Their derivatives are those of the neighbouring orders, so a derivative of any order is
as good as a value. A float32 is computed in float64.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule import notation as write
from chainrule.composites.composite import composite
from chainrule.composites.polynomials import horner, in_double
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.primitives.elementwise import (
    abs_,
    add,
    copysign,
    div,
    exp,
    less,
    mul,
    neg,
    sign,
    sqrt,
    sub,
    where,
)
from chainrule.primitives.movement import full_like

#: From here on the asymptotic series is exact to the last place.
FAR = 25.0

_CASES = (
    *(Case((f"f[{s}]",), {"order": n}) for s in ("", "0", "7") for n in (0, 1, 2)),
    Case(("f[31]",), {"order": 0}, ranges=((-40.0, 40.0),)),
    Case(("f[31]",), {"order": 3}, ranges=((-40.0, 40.0),)),
)
_SERIES: Any = {
    "source": "Abramowitz & Stegun, 9.6.10 for |x| < 25 and 9.7.1 above; 9.6.26",
    "cases": _CASES,
}


def _parts(x: Value, order: int) -> tuple[Value, Value, Value]:
    """Return whether x is far from 0, Iₙ(x) by its series, and √(2πa) e⁻ᵃ Iₙ(a).

    a = |x|; each is computed of a harmless number where it does not hold.
    """
    one, a = full_like(x, 1.0), abs_(x)
    far = less(full_like(x, FAR), a)
    half = mul(full_like(x, 0.5), where(far, one, x))
    # Σ (x²/4)ᵏ / (k! (n + k)!), each term made from the one before it.
    square, near = mul(half, half), one
    for k in range(44, 0, -1):
        near = add(one, mul(mul(square, full_like(x, 1 / (k * (k + order)))), near))
    for k in range(1, order + 1):
        near = mul(near, mul(half, full_like(x, 1 / k)))
    terms = [1.0]
    for k in range(1, 25):
        terms.append(terms[-1] * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k))
    return far, near, horner(div(one, where(far, a, full_like(x, FAR))), terms[::-1])


def _signed(y: Value, x: Value, order: int) -> Value:
    return copysign(y, x) if order % 2 else y


@composite(
    vjp=(
        lambda g, y, x, order: mul(
            mul(g, full_like(x, 0.5)),
            add(
                bessel_i(x, order=abs(order - 1)),
                bessel_i(x, order=order + 1),
            ),
        ),
    ),
    shown=lambda x, order: write.apply(f"I{order}", x),
    **_SERIES,
)
@in_double
def bessel_i(x: Value, order: int) -> Value:
    """Return Iₙ(x), the modified Bessel function of order n ≥ 0."""
    far, near, outer = _parts(x, order)
    a = where(far, abs_(x), full_like(x, FAR))
    root = exp(mul(full_like(x, 0.5), a))
    outer = mul(mul(div(root, sqrt(mul(full_like(x, 2 * math.pi), a))), outer), root)
    infinite = less(full_like(x, 800.0), a)
    outer = where(infinite, full_like(x, math.inf), outer)
    return where(far, _signed(outer, x, order), near)


def _scaled_vjp(g: Value, y: Value, x: Value, order: int) -> Value:
    beside = [scaled_bessel_i(x, order=n) for n in (abs(order - 1), order + 1)]
    slope = mul(full_like(x, 0.5), add(*beside))
    return mul(g, sub(slope, mul(sign(x), y)))


@composite(
    vjp=(_scaled_vjp,),
    shown=lambda x, order: write.exp(-write.absolute(x)) * write.apply(f"I{order}", x),
    **_SERIES,
)
@in_double
def scaled_bessel_i(x: Value, order: int) -> Value:
    """Return e^(−|x|) Iₙ(x), which does not overflow."""
    far, near, outer = _parts(x, order)
    a, end = abs_(x), full_like(x, FAR)
    outer = div(outer, sqrt(mul(full_like(x, 2 * math.pi), where(far, a, end))))
    near = mul(near, exp(neg(where(far, end, a))))
    return where(far, _signed(outer, x, order), near)
