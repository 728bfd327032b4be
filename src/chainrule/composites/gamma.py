"""The gamma function's logarithm and its derivatives, and the Hurwitz zeta function.

Far from 0 all of them are asymptotic series with Bernoulli's numbers; from near 0 their
recurrences lead there, and from negative numbers their reflections. A float32 is
computed in float64.
"""

from __future__ import annotations

import math
from functools import lru_cache

from chainrule import notation as write
from chainrule.composites.composite import composite
from chainrule.composites.polynomials import horner, in_double
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.primitives.elementwise import (
    abs_,
    add,
    div,
    equal,
    floor,
    less,
    log,
    mul,
    neg,
    pow_,
    round_,
    sub,
    where,
)
from chainrule.primitives.integers import bitwise_and, bitwise_not, bitwise_or
from chainrule.primitives.movement import full_like
from chainrule.primitives.trigonometry import cos, sin
from chainrule.text import _

#: Bernoulli's numbers B₂, B₄, …, B₂₀.
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
BERNOULLI += (-3617 / 510, 43867 / 798, -174611 / 330)
#: Euler's constant γ.
EULER = 0.5772156649015329
#: The series start this far from 0.
SHIFT = 10

_LINES = tuple(Case((f"f[{s}]",)) for s in ("", "0", "7", "3,4"))
_WIDE = (*_LINES, Case(("f[31]",), ranges=((0.1, 30.0),)))
_POLES = _("0, −1, −2, …, where it has poles")


def _turns(x: Value) -> tuple[Value, Value]:
    """Return sin πx and cos πx up to the same sign, exact near whole numbers too."""
    angle = mul(full_like(x, math.pi), sub(x, round_(x)))
    return sin(angle), cos(angle)


@lru_cache
def _zeta_less_one(n: int) -> float:
    """Return ζ(n) − 1, by Euler and Maclaurin's sum from 30 on."""
    terms = [k**-n for k in range(2, 30)] + [30.0 ** (1 - n) / (n - 1), 30.0**-n / 2]
    weight = n * 30.0 ** (-n - 1)
    for i, b in enumerate(BERNOULLI[:5], 1):
        terms.append(b / math.factorial(2 * i) * weight)
        weight *= (n + 2 * i - 1) * (n + 2 * i) / 900
    return math.fsum(terms)


@composite(
    vjp=(lambda g, y, x: mul(g, digamma(x)),),
    shown=lambda x: write.ln(write.absolute(write.apply("Γ", x))),
    source="Abramowitz & Stegun, 6.1.33 below 2.5, 6.1.40 above 9, 6.1.15 between, and"
    " 6.1.17 for x < 0",
    domain=((0.0, math.inf),),
    kinks=_POLES,
    cases=(*_WIDE, Case(("f[9]",), ranges=((-0.9, -0.1),))),
)
@in_double
def lgamma(x: Value) -> Value:
    """Return ln |Γ(x)|; ∞ at 0, −1, −2, …, and exact near its zeros 1 and 2 too."""
    zero, one, two = (full_like(x, n) for n in (0.0, 1.0, 2.0))
    negative = less(x, zero)
    t = where(negative, sub(one, x), x)

    # Near 2, and from there by Γ(t) = Γ(t + 1) / t = Γ(t + 2) / (t (t + 1)).
    near, small = less(t, full_like(x, 2.5)), less(t, full_like(x, 1.5))
    tiny = less(t, full_like(x, 0.5))
    z = where(tiny, t, where(small, sub(t, one), sub(t, two)))
    z = where(near, z, zero)
    series = [(-1) ** n * _zeta_less_one(n) / n for n in range(26, 1, -1)]
    inner = mul(z, horner(z, [*series, 1 - EULER]))
    below = where(tiny, mul(t, add(t, one)), where(small, t, one))

    # Stirling's series for t ≥ 9.5, and from there by Γ(t) = Γ(t + 7) / (t … (t + 6)).
    low, product = less(t, full_like(x, 9.5)), where(near, two, t)
    middle = product
    for k in range(1, 7):
        product = mul(product, add(middle, full_like(x, k)))
    far = where(near, full_like(x, 9.5), where(low, add(t, full_like(x, 7.0)), t))
    w = div(one, far)
    terms = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1)]
    stirling = mul(sub(far, full_like(x, 0.5)), sub(log(far), one))
    stirling = add(stirling, full_like(x, math.log(2 * math.pi) / 2 - 0.5))
    stirling = add(stirling, mul(w, horner(mul(w, w), terms[::-1])))
    above = where(low, product, one)

    divisor = where(near, below, above)
    sine = div(abs_(_turns(x)[0]), full_like(x, math.pi))
    divisor = div(divisor, where(negative, sine, one))
    result = sub(where(near, inner, stirling), log(divisor))
    result = where(negative, neg(result), result)
    endless = equal(abs_(x), full_like(x, math.inf))
    return where(endless, full_like(x, math.inf), result)


@composite(
    vjp=(lambda g, y, x: mul(g, trigamma(x)),),
    shown=lambda x: write.apply("ψ", x),
    source="Abramowitz & Stegun, 6.3.18, 6.3.6, and 6.3.7 for x < 0",
    domain=((0.0, math.inf),),
    kinks=_POLES,
    cases=(*_WIDE, Case(("f[9]",), ranges=((-0.9, -0.1),))),
)
@in_double
def digamma(x: Value) -> Value:
    """Return ψ(x) = Γ′(x)/Γ(x); −∞ at 0 (∞ at −0), NaN at −1, −2, …"""
    zero, one = full_like(x, 0.0), full_like(x, 1.0)
    negative = less(x, zero)
    t = where(negative, sub(one, x), x)
    far = add(t, full_like(x, SHIFT))
    w = div(one, far)
    terms = [-b / (2 * k) for k, b in enumerate(BERNOULLI, 1)]
    result = mul(mul(w, w), horner(mul(w, w), terms[::-1]))
    result = add(sub(log(far), mul(full_like(x, 0.5), w)), result)
    for k in range(SHIFT):
        result = sub(result, div(one, add(t, full_like(x, k)) if k else t))
    sine, cosine = _turns(where(negative, x, full_like(x, 0.5)))
    pole = bitwise_and(negative, equal(sine, zero))
    turned = div(cosine, where(pole, full_like(x, math.nan), sine))
    turned = sub(result, mul(full_like(x, math.pi), turned))
    return where(negative, turned, result)


def trigamma(x: Value) -> Value:
    """Return ψ′(x) = ζ(2, x), the derivative of digamma."""
    return zeta(full_like(x, 2.0), x)


@composite(
    shown=lambda s, q: write.apply("ζ", s, q),
    source="Hurwitz's ζ(s, q) = Σ 1/(q + k)ˢ by Euler & Maclaurin's sum; for q < 0"
    " what lies between the poles is a difference of two",
    domain=((1.0, math.inf), (0.0, math.inf)),
    cases=tuple(
        Case((f"f[{n}]", f"f[{n}]"), ranges=((1.5, 6.0), (0.2, 9.0)))
        for n in ("", "0", "7", "3,4")
    ),
)
@in_double
def zeta(s: Value, q: Value) -> Value:
    """Return Hurwitz's ζ(s, q) = Σ 1/(q + k)ˢ over k ≥ 0, for s > 1.

    It is ∞ at s = 1 and at whole q ≤ 0, NaN for s < 1, and for negative q only where s
    is whole.
    """
    zero, one, inf = (full_like(q, n) for n in (0.0, 1.0, math.inf))
    negative = less(q, zero)
    start = where(negative, sub(q, floor(q)), q)
    pole = equal(start, zero)
    start = where(pole, one, start)
    valid = less(one, s)
    power = where(valid, s, full_like(s, 2.0))
    # Σ over k < ⌈−q⌉ of 1/(q + k)ˢ = ± (ζ(s, 1 − f) − ζ(s, 1 − q)), f = q − ⌊q⌋.
    other = _sum(power, where(negative, sub(one, start), one))
    other = sub(other, _sum(power, where(negative, sub(one, q), one)))
    half = mul(power, full_like(s, 0.5))
    odd = bitwise_not(equal(half, floor(half)))
    other = where(odd, neg(other), other)
    result = _sum(power, start)
    result = where(negative, add(result, other), result)
    broken = bitwise_and(negative, bitwise_not(equal(s, floor(s))))
    result = where(broken, full_like(s, math.nan), result)
    result = where(bitwise_or(pole, equal(s, one)), inf, result)
    return where(less(s, one), full_like(s, math.nan), result)


def _sum(s: Value, q: Value) -> Value:
    """Return ζ(s, q) for s > 1 and q > 0, by Euler and Maclaurin's sum."""
    one = full_like(q, 1.0)
    far = add(q, full_like(q, SHIFT))
    w = div(one, far)
    power = pow_(far, neg(s))
    inner, weight = full_like(q, 0.5), mul(s, w)
    for k, b in enumerate(BERNOULLI, 1):
        inner = add(inner, mul(full_like(q, b / math.factorial(2 * k)), weight))
        steps = [add(s, full_like(s, i)) for i in (2 * k - 1, 2 * k)]
        weight = mul(mul(weight, mul(steps[0], w)), mul(steps[1], w))
    rest = div(pow_(far, sub(one, s)), sub(s, one))
    result = add(rest, mul(power, inner))
    for k in range(SHIFT - 1, -1, -1):
        result = add(result, pow_(add(q, full_like(q, k)), neg(s)))
    return result
