"""The normal distribution's logarithm and quantiles, and the scaled error function.

A float32 is computed in float64.
"""

from __future__ import annotations

import math

from chainrule import notation as write
from chainrule.composites.activations import normal_distribution
from chainrule.composites.composite import composite
from chainrule.composites.polynomials import horner, in_double, numbers
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
    log1p,
    mul,
    neg,
    sqrt,
    sub,
    where,
)
from chainrule.primitives.error_function import TAIL
from chainrule.primitives.integers import bitwise_or
from chainrule.primitives.movement import full_like

_SHAPES = ("", "0", "7", "3,4")
_LINES = tuple(Case((f"f[{s}]",)) for s in _SHAPES)
_WIDE = (*_LINES, Case(("f[31]",), ranges=((-8.0, 30.0),)))


def _times(number: float, x: Value) -> Value:
    return mul(full_like(x, number), x)


@composite(
    vjp=(
        lambda g, y, x: mul(
            g, sub(_times(2.0, mul(x, y)), full_like(x, 2 / math.sqrt(math.pi)))
        ),
    ),
    shown=lambda x: write.prefixed("erfcx", x),
    source="e^(x²) erfc x by the form of Shepherd & Laframboise, 1981; for x < 0 it is"
    " 2 e^(x²) − erfcx(−x)",
    cases=_WIDE,
)
@in_double
def erfcx(x: Value) -> Value:
    """Return e^(x²) erfc x, the scaled complementary error function."""
    a, negative = abs_(x), less(x, full_like(x, 0.0))
    t = sub(full_like(x, 1.0), div(full_like(x, 7.0), add(a, full_like(x, 3.5))))
    tail = div(horner(t, TAIL), add(full_like(x, 1.0), _times(2.0, a)))
    square = where(negative, mul(x, x), full_like(x, 0.0))
    return where(negative, sub(_times(2.0, exp(square)), tail), tail)


@composite(
    vjp=(lambda g, y, x: neg(mul(g, mul(y, add(x, y)))),),
    shown=lambda x: write.apply("φ", x) / write.apply("Φ", x),
    source="φ(x) / Φ(x) = √(2/π) / erfcx(−x/√2), the inverse of Mills' ratio of −x",
    cases=_WIDE,
)
def normal_score(x: Value) -> Value:
    """Return φ(x)/Φ(x), the derivative of ln Φ(x), without underflow of Φ."""
    return div(full_like(x, math.sqrt(2 / math.pi)), erfcx(_times(-math.sqrt(0.5), x)))


@composite(
    vjp=(lambda g, y, x: mul(g, normal_score(x)),),
    shown=lambda x: write.ln(write.apply("Φ", x)),
    source="ln Φ(x), below −1 as ln(½ erfcx(−x/√2)) − x²/2",
    cases=_WIDE,
)
def log_normal_distribution(x: Value) -> Value:
    """Return ln Φ(x), the logarithm of the normal distribution, without underflow."""
    minus, half = full_like(x, -1.0), full_like(x, 0.5)
    below = less(x, minus)
    far, near = where(below, x, minus), where(below, minus, x)
    tail = log(mul(half, erfcx(_times(-math.sqrt(0.5), far))))
    tail = sub(tail, mul(half, mul(far, far)))
    return where(below, tail, log1p(neg(normal_distribution(neg(near)))))


@composite(
    vjp=(lambda g, y, x: neg(mul(g, add(full_like(x, 1.0), log(x)))),),
    formula=lambda x: -x * write.ln(x),
    source="Shannon 1948; 0 at 0, where its slope is infinite",
    domain=((0.0, math.inf),),
    cases=_LINES,
)
def entropy(x: Value) -> Value:
    """Return −x ln x, 0 at 0 and −∞ below."""
    zero, one = full_like(x, 0.0), full_like(x, 1.0)
    negative, at_zero = less(x, zero), equal(x, zero)
    usual = where(bitwise_or(negative, at_zero), one, x)
    result = where(at_zero, zero, neg(mul(x, log(usual))))
    return where(negative, full_like(x, -math.inf), result)


#: Numerators and denominators by powers of r, from the highest to the lowest: in the
#: middle, in the tails, and far out. Wichura, "Algorithm AS 241: The percentage points
#: of the normal distribution", Applied Statistics 37, 1988.
_MIDDLE = (
    numbers("""
    2509.0809287301226727 33430.575583588128105 67265.770927008700853
    45921.953931549871457 13731.693765509461125 1971.5909503065514427
    133.14166789178437745 3.3871328727963666080
    """),
    numbers("""
    5226.4952788528545610 28729.085735721942674 39307.895800092710610
    21213.794301586595867 5394.1960214247511077 687.18700749205790830
    42.313330701600911252 1
    """),
)
_TAIL = (
    numbers("""
    7.74545014278341407640e-4 2.27238449892691845833e-2 2.41780725177450611770e-1
    1.27045825245236838258 3.64784832476320460504 5.76949722146069140550
    4.63033784615654529590 1.42343711074968357734
    """),
    numbers("""
    1.05075007164441684324e-9 5.47593808499534494600e-4 1.51986665636164571966e-2
    1.48103976427480074590e-1 6.89767334985100004550e-1 1.67638483018380384940
    2.05319162663775882187 1
    """),
)
_FAR = (
    numbers("""
    2.01033439929228813265e-7 2.71155556874348757815e-5 1.24266094738807843860e-3
    2.65321895265761230930e-2 2.96560571828504891230e-1 1.78482653991729133580
    5.46378491116411436990 6.65790464350110377720
    """),
    numbers("""
    2.04426310338993978564e-15 1.42151175831644588870e-7 1.84631831751005468180e-5
    7.86869131145613259100e-4 1.48753612908506148525e-2 1.36929880922735805310e-1
    5.99832206555887937690e-1 1
    """),
)


def _quantile(q: Value, tail: Value) -> Value:
    """Return the x with Φ(x) = ½ + q, where ½ − |q| is given too: the nearer tail."""
    zero, inf = full_like(q, 0.0), full_like(q, math.inf)

    def ratio(r: Value, of: tuple[tuple[float, ...], ...]) -> Value:
        return div(horner(r, of[0]), horner(r, of[1]))

    inside = less(abs_(q), full_like(q, 0.425))
    near = where(inside, q, zero)
    middle = mul(near, ratio(sub(full_like(q, 0.180625), mul(near, near)), _MIDDLE))
    outside = less(tail, zero)
    gone = bitwise_or(outside, equal(tail, zero))
    some = where(inside, full_like(q, 0.01), where(gone, full_like(q, 1e-300), tail))
    r = sqrt(neg(log(some)))
    five = full_like(q, 5.0)
    outer = where(
        less(r, five),
        ratio(sub(r, full_like(q, 1.6)), _TAIL),
        ratio(sub(r, five), _FAR),
    )
    outer = where(equal(tail, zero), inf, outer)
    outer = where(outside, full_like(q, math.nan), outer)
    return where(inside, middle, copysign(outer, q))


@composite(
    vjp=(
        lambda g, y, p: mul(
            mul(g, full_like(p, math.sqrt(2 * math.pi))),
            exp(_times(0.5, mul(y, y))),
        ),
    ),
    shown=lambda p: write.prefixed("probit", p),
    source="Wichura 1988, Algorithm AS 241",
    domain=((0.0, 1.0),),
    cases=_LINES,
)
@in_double
def normal_quantile(p: Value) -> Value:
    """Return the x with Φ(x) = p; ∓∞ at 0 and 1, NaN outside."""
    half = full_like(p, 0.5)
    low = less(p, half)
    return _quantile(sub(p, half), where(low, p, sub(full_like(p, 1.0), p)))


@composite(
    vjp=(
        lambda g, y, x: mul(
            mul(g, full_like(x, math.sqrt(math.pi) / 2)), exp(mul(y, y))
        ),
    ),
    shown=lambda x: write.prefixed("erfinv", x),
    source="Φ⁻¹((1 + x)/2)/√2, from the tail (1 − |x|)/2; Wichura 1988",
    domain=((-1.0, 1.0),),
    cases=_LINES,
)
@in_double
def erfinv(x: Value) -> Value:
    """Return the y with erf y = x; ±∞ at ±1, NaN outside."""
    tail = _times(0.5, sub(full_like(x, 1.0), abs_(x)))
    return _times(math.sqrt(0.5), _quantile(_times(0.5, x), tail))
