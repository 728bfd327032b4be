"""Bessel functions J, Y and the modified K, of whole orders.

Near 0, J is a mean of waves: the integral of a periodic function, which sums of equal
steps give to the last place. Y follows by Neumann's series of J, whose terms are means
of the same waves. K is an integral that equal steps give as well. Far from 0 all of
them are Hankel's asymptotic series. Derivatives are those of the neighbouring orders. A
float32 is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule import notation as write
from chainrule.composites.bessel import FAR
from chainrule.composites.composite import Composite, composite
from chainrule.composites.gamma import EULER
from chainrule.composites.polynomials import horner, in_double
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.primitives.elementwise import (
    abs_,
    add,
    copysign,
    div,
    equal,
    exp,
    less,
    log,
    mul,
    neg,
    sqrt,
    sub,
    where,
)
from chainrule.primitives.movement import full_like
from chainrule.primitives.trigonometry import cos, sin

_CASES = tuple(
    Case((f"f[{s}]",), {"order": n}, ranges=((low, high),))
    for s, n, low, high in (
        *(("", 0, 0.1, 2.0), ("7", 1, 0.1, 2.0), ("0", 0, 0.1, 2.0)),
        *(("31", 0, 0.1, 40.0), ("31", 1, 0.1, 40.0), ("31", 3, 0.5, 40.0)),
    )
)


def _times(number: float, x: Value) -> Value:
    return mul(full_like(x, number), x)


def _hankel(order: int) -> list[float]:
    """Return the coefficients of Hankel's series in 1/x (A&S 9.2.9 and 9.7.2)."""
    terms = [1.0]
    for k in range(1, 25):
        terms.append(terms[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k))
    return terms


def _far_waves(a: Value, order: int) -> tuple[Value, Value]:
    """Return Jₙ(a) and Yₙ(a) for a ≥ 25."""
    w, terms = div(full_like(a, 1.0), a), _hankel(order)
    square = neg(mul(w, w))
    p, q = horner(square, terms[::2][::-1]), horner(square, terms[1::2][::-1])
    q = mul(q, w)
    turn = (2 * order + 1) * math.pi / 4
    s, c = sin(a), cos(a)
    cosine = add(_times(math.cos(turn), c), _times(math.sin(turn), s))
    sine = sub(_times(math.cos(turn), s), _times(math.sin(turn), c))
    size = sqrt(_times(2 / math.pi, w))
    first = sub(mul(p, cosine), mul(q, sine))
    return mul(size, first), mul(size, add(mul(p, sine), mul(q, cosine)))


def _mean(a: Value, order: int, steps: int, weight: Callable[[float], float]) -> Value:
    """Return the mean over θ in (0, π/2) of weight(θ) times a wave of a sin θ.

    The wave is a cosine for even orders and a sine for odd ones.
    """
    wave, total = (sin if order % 2 else cos), full_like(a, 0.0)
    for j in range(steps):
        angle = math.pi * (j + 0.5) / (2 * steps)
        part = wave(_times(math.sin(angle), a))
        total = add(total, _times(weight(angle) / steps, part))
    return total


def _harmonic(order: int) -> Callable[[float], float]:
    """Return the weight with which the mean of waves is a J of that order."""
    if order % 2:
        return lambda angle: math.sin(order * angle)
    return lambda angle: math.cos(order * angle)


def _slope(name: str, sign: float) -> Any:
    """Return the rule f′ₙ = ½ (fₙ₋₁ − fₙ₊₁) of J and Y; −½ (… + …) of K."""

    def rule(g: Value, y: Value, x: Value, order: int) -> Value:
        f = _COMPOSITES[name]
        after = f(x, order=order + 1)
        if order == 0:
            return neg(mul(g, after))
        before = f(x, order=order - 1)
        half = sub(_times(sign, before), after)
        return mul(g, _times(0.5, half))

    return rule


@composite(
    vjp=(_slope("j", 1.0),),
    shown=lambda x, order: write.apply(f"J{order}", x),
    source="Abramowitz & Stegun, 9.1.18 and 9.1.21 by equal steps for |x| < 25,"
    " 9.2.5 above; 9.1.27",
    cases=(*_CASES, Case(("f[9]",), {"order": 1}, ranges=((-9.0, 9.0),))),
)
@in_double
def bessel_j(x: Value, order: int) -> Value:
    """Return Jₙ(x), the Bessel function of the first kind of order n ≥ 0."""
    a, end = abs_(x), full_like(x, FAR)
    far = less(end, a)
    near = _mean(where(far, end, a), order, 16 + order, _harmonic(order))
    near = where(far, _far_waves(where(far, a, end), order)[0], near)
    infinite = equal(a, full_like(x, math.inf))
    near = where(infinite, full_like(x, 0.0), near)
    return mul(near, copysign(full_like(x, 1.0), x)) if order % 2 else near


@composite(
    vjp=(_slope("y", 1.0),),
    shown=lambda x, order: write.apply(f"Y{order}", x),
    source="Neumann's series, Abramowitz & Stegun 9.1.88 f., for x < 25; 9.2.6 above;"
    " 9.1.27",
    domain=((0.0, math.inf),),
    cases=_CASES,
)
@in_double
def bessel_y(x: Value, order: int) -> Value:
    """Return Yₙ(x), the Bessel function of the second kind; −∞ at 0, NaN below."""
    if order > 1:
        return _raised(bessel_y, x, order, -1.0)
    end, zero = full_like(x, FAR), full_like(x, 0.0)
    far, positive = less(end, x), less(zero, x)
    a = where(far, end, where(positive, x, full_like(x, 1.0)))

    def weight(angle: float) -> float:
        total = 0.0
        for k in range(1, 31):
            share = (order + 2 * k) / (k * (order + k))
            total += (-1) ** k * share * _harmonic(order + 2 * k)(angle)
        return -2 / math.pi * total

    shift = EULER if order == 0 else EULER - 1
    own = _mean(a, order, 32, _harmonic(order))
    logarithm = add(log(_times(0.5, a)), full_like(x, shift))
    result = add(_times(2 / math.pi, mul(logarithm, own)), _mean(a, order, 32, weight))
    if order == 1:
        result = sub(result, div(_times(2 / math.pi, _mean(a, 0, 32, _harmonic(0))), a))
    result = where(far, _far_waves(where(far, x, end), order)[1], result)
    result = where(equal(x, full_like(x, math.inf)), zero, result)
    at_zero = where(equal(x, zero), full_like(x, -math.inf), full_like(x, math.nan))
    return where(positive, result, at_zero)


def _raised(f: Composite, x: Value, order: int, sign: float) -> Value:
    """Return f of an order > 1: fₙ₊₁ = (2n/x) fₙ ± fₙ₋₁, stable for Y and K."""
    before, now = f(x, order=0), f(x, order=1)
    for n in range(1, order):
        ahead = mul(div(full_like(x, 2.0 * n), x), now)
        before, now = now, add(ahead, _times(sign, before))
    return now


def _scaled_slope(g: Value, y: Value, x: Value, order: int) -> Value:
    beside = [scaled_bessel_k(x, order=n) for n in (abs(order - 1), order + 1)]
    return mul(g, sub(y, _times(0.5, add(*beside))))


#: The steps with which the integral of K is summed.
_STEP = 0.14


@composite(
    vjp=(_scaled_slope,),
    shown=lambda x, order: write.exp(x) * write.apply(f"K{order}", x),
    source="Abramowitz & Stegun, 9.6.11 for x < 2, 9.6.24 by equal steps up to"
    " 25, 9.7.2 above; 9.6.26",
    domain=((0.0, math.inf),),
    cases=_CASES,
)
@in_double
def scaled_bessel_k(x: Value, order: int) -> Value:
    """Return eˣ Kₙ(x), of the modified second kind; ∞ at 0, NaN below."""
    if order > 1:
        return _raised(scaled_bessel_k, x, order, 1.0)
    zero, two, end = (full_like(x, n) for n in (0.0, 2.0, FAR))
    positive, near, far = less(zero, x), less(x, two), less(end, x)

    a = where(near, where(positive, x, two), two)
    half = _times(0.5, a)
    square, factorials, harmonics = mul(half, half), [], []
    for k in range(18):
        digammas = [
            sum(1 / j for j in range(1, n)) - EULER for n in (k + 1, k + 1 + order)
        ]
        factorials.append(1 / (math.factorial(k) * math.factorial(k + order)))
        harmonics.append(factorials[-1] * sum(digammas) / 2)
    own, other = horner(square, factorials[::-1]), horner(square, harmonics[::-1])
    small = sub(other, mul(log(half), own))
    if order:  # K₁ = 1/x + ln(x/2) I₁ − …
        small = sub(div(full_like(x, 1.0), a), mul(half, small))
    small = mul(exp(a), small)

    b = where(near, two, where(far, end, x))
    middle = full_like(x, _STEP / 2)
    for j in range(1, 28):
        t = j * _STEP
        part = exp(_times(1 - math.cosh(t), b))
        middle = add(middle, _times(_STEP * math.cosh(order * t), part))

    c = where(far, x, end)
    outer = horner(div(full_like(x, 1.0), c), _hankel(order)[::-1])
    outer = mul(outer, sqrt(div(full_like(x, math.pi / 2), c)))

    result = where(near, small, where(far, outer, middle))
    at_zero = where(equal(x, zero), full_like(x, math.inf), full_like(x, math.nan))
    return where(positive, result, at_zero)


@composite(
    vjp=(_slope("k", -1.0),),
    shown=lambda x, order: write.apply(f"K{order}", x),
    source="e⁻ˣ times eˣ Kₙ(x)",
    domain=((0.0, math.inf),),
    cases=_CASES,
)
@in_double
def bessel_k(x: Value, order: int) -> Value:
    """Return Kₙ(x), the modified Bessel function of the second kind; ∞ at 0."""
    return mul(exp(neg(x)), scaled_bessel_k(x, order=order))


_COMPOSITES = {"j": bessel_j, "y": bessel_y, "k": bessel_k}
