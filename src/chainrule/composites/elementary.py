"""Elementary functions (sinh, arcsin, hypot, …) as composite graph operations.

Their values are put together from branches for small and large arguments. Their
derivatives are not those of the branches but functions again, in a circle that closes:
(sinh)′ = cosh and (cosh)′ = sinh. So a derivative of any order is as good as a value.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule import notation as write
from chainrule.composites.composite import composite
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.primitives.elementwise import (
    abs_,
    add,
    copysign,
    div,
    equal,
    exp,
    expm1,
    less,
    log,
    log1p,
    maximum,
    minimum,
    mul,
    neg,
    sigmoid,
    sqrt,
    sub,
    where,
)
from chainrule.primitives.integers import bitwise_and, bitwise_or
from chainrule.primitives.movement import full_like
from chainrule.primitives.trigonometry import atan2
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr

_SHAPES = ("", "0", "7", "3,4", "1031")
_LINES = tuple(Case((f"f[{s}]",)) for s in _SHAPES)
_PAIRS = tuple(Case((f"f[{s}]", f"f[{s}]")) for s in _SHAPES)
_WIDE = (*_LINES, Case(("f[31]",), ranges=((-30.0, 30.0),)))

#: The number from which 1 + x² rounds to x², in float64 too.
FAR = 1e8


def _one(x: Value) -> Value:
    return full_like(x, 1.0)


def _infinite(x: Value) -> Value:
    return equal(abs_(x), full_like(x, math.inf))


# -- hyperbolic functions --------------------------------------------------------------


@composite(
    vjp=(lambda g, y, x: mul(g, cosh(x)),),
    formula=lambda x: write.prefixed("sinh", x),
    source="Abramowitz & Stegun, 4.5.1: (eˣ − e⁻ˣ)/2",
    cases=_WIDE,
)
def sinh(x: Value) -> Value:
    """Return the hyperbolic sine (eˣ − e⁻ˣ)/2, without early overflow.

    For large |x| it multiplies by e^(x/2) twice.
    """
    one, half = _one(x), full_like(x, 0.5)
    a = abs_(x)
    large = less(one, a)
    t = expm1(where(large, full_like(x, 0.0), x))
    near = mul(half, add(t, div(t, add(t, one))))
    root = exp(mul(half, a))
    far = sub(mul(mul(half, root), root), div(div(half, root), root))
    return where(large, copysign(far, x), near)


@composite(
    vjp=(lambda g, y, x: mul(g, sinh(x)),),
    formula=lambda x: write.prefixed("cosh", x),
    source="Abramowitz & Stegun, 4.5.2: (eˣ + e⁻ˣ)/2",
    cases=_WIDE,
)
def cosh(x: Value) -> Value:
    """Return the hyperbolic cosine (eˣ + e⁻ˣ)/2, without early overflow.

    It multiplies by e^(x/2) twice.
    """
    half = full_like(x, 0.5)
    root = exp(mul(half, abs_(x)))
    return add(mul(mul(half, root), root), div(div(half, root), root))


# -- inverse functions -----------------------------------------------------------------


def _leg(x: Value) -> Value:
    """Return √(1 − x²), exact near ±1 too, to compute arcsin and arccos."""
    one = _one(x)
    return mul(sqrt(sub(one, x)), sqrt(add(one, x)))


def _cubed(x: Value, slope: Value) -> Value:
    """Return x s³ without underflow, for second derivatives of arcsin and the like.

    x s, which is about 1 for large x, comes first.
    """
    return mul(mul(x, slope), mul(slope, slope))


@composite(
    vjp=(lambda g, y, x: mul(g, _cubed(x, y)),),
    formula=lambda x: 1 / write.root(1 - x**2),
    source="Abramowitz & Stegun, 4.4.52",
    domain=((-1.0, 1.0),),
    cases=_LINES,
)
def asin_slope(x: Value) -> Value:
    """Return 1/√(1 − x²), the derivative of arcsin x; ∞ at ±1."""
    return div(_one(x), _leg(x))


@composite(
    vjp=(lambda g, y, x: mul(g, asin_slope(x)),),
    formula=lambda x: write.prefixed("arcsin", x),
    source="Abramowitz & Stegun, 4.4.1",
    domain=((-1.0, 1.0),),
    cases=_LINES,
)
def asin(x: Value) -> Value:
    """Return arcsin x, the angle from −π/2 to π/2 with the sine x."""
    return atan2(x, _leg(x))


@composite(
    vjp=(lambda g, y, x: neg(mul(g, asin_slope(x))),),
    formula=lambda x: write.prefixed("arccos", x),
    source="Abramowitz & Stegun, 4.4.2",
    domain=((-1.0, 1.0),),
    cases=_LINES,
)
def acos(x: Value) -> Value:
    """Return arccos x, the angle from 0 to π with the cosine x."""
    return atan2(_leg(x), x)


@composite(
    vjp=(lambda g, y, x: neg(mul(g, _cubed(x, y))),),
    formula=lambda x: 1 / write.root(x**2 + 1),
    source="Abramowitz & Stegun, 4.6.37",
    cases=_WIDE,
)
def asinh_slope(x: Value) -> Value:
    """Return 1/√(x² + 1), the derivative of arsinh x, without overflow."""
    one, a = _one(x), abs_(x)
    far = less(full_like(x, FAR), a)
    t = where(far, one, a)
    return div(one, where(far, a, sqrt(add(mul(t, t), one))))


@composite(
    vjp=(lambda g, y, x: mul(g, asinh_slope(x)),),
    formula=lambda x: write.prefixed("arsinh", x),
    source="Abramowitz & Stegun, 4.6.20: ln(x + √(x² + 1))",
    cases=_WIDE,
)
def asinh(x: Value) -> Value:
    """Return the inverse hyperbolic sine: ln(|x| + √(x² + 1)) with the sign of x.

    Far from 0 it is ln 2|x|.
    """
    one, a = _one(x), abs_(x)
    far = less(full_like(x, FAR), a)
    t = where(far, one, a)
    squared = mul(t, t)
    inner = add(t, div(squared, add(one, sqrt(add(squared, one)))))
    outer = add(log(where(far, a, one)), full_like(x, math.log(2)))
    return copysign(where(far, outer, log1p(inner)), x)


@composite(
    vjp=(lambda g, y, x: neg(mul(g, _cubed(x, y))),),
    formula=lambda x: 1 / write.root(x**2 - 1),
    source="Abramowitz & Stegun, 4.6.38",
    domain=((1.0, math.inf),),
    cases=_LINES,
)
def acosh_slope(x: Value) -> Value:
    """Return 1/√(x² − 1), the derivative of arcosh x, without overflow; ∞ at 1."""
    one = _one(x)
    return div(one, mul(sqrt(sub(x, one)), sqrt(add(x, one))))


@composite(
    vjp=(lambda g, y, x: mul(g, acosh_slope(x)),),
    formula=lambda x: write.prefixed("arcosh", x),
    source="Abramowitz & Stegun, 4.6.21: ln(x + √(x² − 1))",
    domain=((1.0, math.inf),),
    cases=_LINES,
)
def acosh(x: Value) -> Value:
    """Return the inverse hyperbolic cosine of x ≥ 1: ln(x + √(x² − 1)).

    It is computed as ln(1 + t + √t √(2 + t)) with t = x − 1.
    """
    one = _one(x)
    far = less(full_like(x, FAR), x)
    t = sub(where(far, full_like(x, 2.0), x), one)
    inner = add(t, mul(sqrt(t), sqrt(add(t, full_like(x, 2.0)))))
    outer = add(log(where(far, x, one)), full_like(x, math.log(2)))
    return where(far, outer, log1p(inner))


# -- of two numbers --------------------------------------------------------------------


def _length(a: Expr, b: Expr) -> Expr:
    return write.root(a**2 + b**2)


def _by_larger(a: Value, b: Value) -> tuple[Value, Value, Value]:
    """Return the parts from which √(a² + b²) is computed without overflow."""
    a, b = abs_(a), abs_(b)
    larger, one = maximum(a, b), _one(a)
    divisor = where(equal(larger, full_like(a, 0.0)), one, larger)
    t = div(minimum(a, b), divisor)
    return larger, divisor, sqrt(add(one, mul(t, t)))


def _hypot_slope_vjp(g: Value, y: Value, a: Value, b: Value) -> tuple[Value, Value]:
    """Return the derivatives of ``hypot_slope``: b²/h³ and −ab/h³, h = √(a² + b²).

    They are computed from the slopes a/h and b/h, so nothing overflows.
    """
    h, other = hypot(a, b), hypot_slope(b, a)
    h = where(equal(h, full_like(h, 0.0)), _one(h), h)
    turn = div(mul(g, other), h)
    return mul(turn, other), neg(mul(turn, y))


@composite(
    vjp=(
        lambda g, y, a, b: _hypot_slope_vjp(g, y, a, b)[0],
        lambda g, y, a, b: _hypot_slope_vjp(g, y, a, b)[1],
    ),
    formula=lambda a, b: a / _length(a, b),
    source="the derivative of √(a² + b²) to a, a cosine",
    kinks=_("the origin, where it and its derivatives are taken as 0"),
    cases=_PAIRS,
)
def hypot_slope(a: Value, b: Value) -> Value:
    """Return a/√(a² + b²), the derivative of √(a² + b²) to a; 0 at the origin.

    It does not overflow.
    """
    __, divisor, length = _by_larger(a, b)
    return div(div(a, divisor), length)


@composite(
    vjp=(
        lambda g, y, a, b: mul(g, hypot_slope(a, b)),
        lambda g, y, a, b: mul(g, hypot_slope(b, a)),
    ),
    formula=_length,
    source="C99, 7.12.7.3 and F.9.4.3",
    kinks=_("the origin, where derivatives of every order are taken as 0"),
    cases=_PAIRS,
)
def hypot(a: Value, b: Value) -> Value:
    """Return √(a² + b²), without overflow; ∞ where a or b is infinite."""
    infinite = bitwise_or(_infinite(a), _infinite(b))
    larger, __, length = _by_larger(a, b)
    return where(infinite, full_like(a, math.inf), mul(larger, length))


def _gap(a: Value, b: Value) -> Value:
    """Return a − b, or 0 for two equal infinities, for the logarithm of a sum."""
    alike = bitwise_and(equal(a, b), _infinite(a))
    return where(alike, full_like(a, 0.0), sub(a, b))


@composite(
    vjp=(
        lambda g, y, a, b: mul(g, sigmoid(_gap(a, b))),
        lambda g, y, a, b: mul(g, sigmoid(_gap(b, a))),
    ),
    formula=lambda a, b: write.ln(write.exp(a) + write.exp(b)),
    source="max(a, b) + ln(1 + e^(−|a − b|)), so nothing overflows; its derivatives are"
    " σ(a − b) and σ(b − a)",
    cases=_PAIRS,
)
def logaddexp(a: Value, b: Value) -> Value:
    """Return ln(eᵃ + eᵇ), the logarithm of a sum of exponentials, without overflow."""
    return add(maximum(a, b), log1p(exp(neg(abs_(_gap(a, b))))))
