"""Code generation for the floating-point power x^p, as branch-free LLVM IR.

xᵖ = e^(p ln |x|) with a sign. An error of the exponent is one of the result, and the
exponent is up to 745: so ln |x| is computed to 2⁻⁶⁵ of itself, as a sum of two doubles.
A float is computed as a double, of which one is enough, and rounded once.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from chainrule.engines.native.math import mathlib
from chainrule.engines.native.math.angles import fast_two_sum, two_sum, widened
from chainrule.engines.native.math.formats import FLOAT
from chainrule.engines.native.math.mathlib import Emitter

#: ln 2 with 40 bits, whose product with an exponent is exact, and the rest.
LN2 = (0.6931471805592082, 7.371002565167799e-13)
THIRD = (0.3333333333333333, 1.850371707708594e-17)
#: (atanh s / s − 1 − s²/3) / s⁴ for |s| ≤ (√2 − 1) / (√2 + 1), by powers of s².
ATANH = (
    0.058621637442365496,
    0.05853063208666071,
    0.06667404400449427,
    0.07692297443480121,
    0.09090909168050205,
    0.11111111110826381,
    0.14285714285714685,
    0.2,
)
#: Exponents beyond these overflow, or vanish even as denormals.
RANGE = (-746.0, 710.0)


def _logarithm(e: Emitter, x: Any) -> tuple[Any, Any]:
    """Emit LLVM code for ln x in two parts (for the power), for a normal x > 0.

    x = 2ᵏ m with √½ ≤ m < √2 and s = (m − 1) / (m + 1). In ln m = 2s (1 + s²/3 +
    s⁴ P(s²)) all but P is carried in two parts.
    """
    b, number = e.b, e.format
    one = number.bias << number.mantissa
    field = b.add(e.bits(x), e.whole(one - number.sqrt_half))
    exponent = b.lshr(field, e.whole(number.mantissa))
    rest = b.and_(field, e.whole((1 << number.mantissa) - 1))
    m = e.number(b.add(rest, e.whole(number.sqrt_half)))
    whole = 2.0**number.mantissa
    k = b.fsub(
        e.number(b.or_(exponent, e.bits(e.const(whole)))),
        e.const(whole + number.bias),
    )
    top = b.fsub(m, e.const(1.0))
    bottom, bottom_lost = two_sum(b, m, e.const(1.0))
    s = b.fdiv(top, bottom)
    minus = b.fneg(s)
    s_lost = b.fdiv(e.fma(minus, bottom_lost, e.fma(minus, bottom, top)), bottom)
    z = b.fmul(s, s)
    z_lost = e.fma(b.fadd(s, s), s_lost, e.fma(s, s, b.fneg(z)))
    third = b.fmul(z, e.const(THIRD[0]))
    third_lost = e.fma(z, e.const(THIRD[0]), b.fneg(third))
    third_lost = b.fadd(third_lost, b.fmul(z, e.const(THIRD[1])))
    third_lost = e.fma(z_lost, e.const(THIRD[0]), third_lost)
    high, low = fast_two_sum(b, third, b.fmul(b.fmul(z, z), e.horner(z, ATANH)))
    low = b.fadd(low, third_lost)
    twice = b.fadd(s, s)
    more = b.fmul(twice, high)
    more_lost = e.fma(twice, high, b.fneg(more))
    more_lost = b.fadd(
        more_lost, e.fma(twice, low, b.fmul(b.fadd(s_lost, s_lost), high))
    )
    m_log, lost = fast_two_sum(b, twice, more)
    lost = b.fadd(lost, b.fadd(b.fadd(s_lost, s_lost), more_lost))
    total, more = two_sum(b, b.fmul(k, e.const(LN2[0])), m_log)
    lost = b.fadd(more, b.fadd(lost, b.fmul(k, e.const(LN2[1]))))
    return fast_two_sum(b, total, lost)


def _exponential(e: Emitter, x: Any, rest: Any) -> Any:
    """Emit LLVM code for e^(x + rest) (for the power), with a small rest."""
    b, number = e.b, e.format
    shift = e.const(1.5 * 2.0**number.mantissa + 2 * number.bias)
    shifted = e.fma(x, e.const(1.4426950408889634), shift)
    n = b.fsub(shifted, shift)
    exact = e.fma(n, e.const(-number.ln2[0]), x)
    r = b.fadd(exact, e.fma(n, e.const(-number.ln2[1]), rest))
    lost = e.fma(n, e.const(-number.ln2[1]), b.fadd(b.fsub(exact, r), rest))
    tail = e.fma(b.fmul(r, r), e.horner(r, number.expm1), lost)
    y = b.fadd(e.const(1.0), b.fadd(r, tail))
    half = b.lshr(e.bits(shifted), e.whole(1))
    y = b.fmul(y, e.power(half))
    return b.fmul(y, e.power(b.sub(e.bits(shifted), half)))


def pow_(b: ir.IRBuilder, x: Any, p: Any) -> Any:
    """Emit LLVM code for x to the power p, with C99's results for 0, ∞ and NaN.

    Error: 0.50 ulp in float, 0.9 ulp in double.
    """
    narrow = Emitter(b, x)
    floats = narrow.format is FLOAT
    base, exponent = (widened(b, x), widened(b, p)) if floats else (x, p)
    e = Emitter(b, base)
    zero, one, inf = e.const(0.0), e.const(1.0), e.const(math.inf)
    size = e.intrinsic("fabs", base)
    if floats:
        logarithm, rest = mathlib.log(b, size), zero
    else:
        logarithm, rest = _logarithm(e, size)
        least = e.const(2.0 ** (1 - e.format.bias))
        vanishes = b.fcmp_ordered("<", size, least)
        endless = b.fcmp_ordered("==", size, inf)
        logarithm = b.select(vanishes, e.const(-math.inf), logarithm)
        logarithm = b.select(endless, inf, logarithm)
        rest = b.select(b.or_(vanishes, endless), zero, rest)
    power = b.fmul(exponent, logarithm)
    if floats:
        y = mathlib.exp(b, power)
    else:
        lost = e.fma(exponent, logarithm, b.fneg(power))
        lost = e.fma(exponent, rest, lost)
        inside = e.above(e.below(power, RANGE[1]), RANGE[0])
        clipped = b.fcmp_unordered("!=", inside, power)
        y = _exponential(e, inside, b.select(clipped, zero, lost))
    unit = b.and_(
        b.fcmp_ordered("==", size, one), b.fcmp_ordered("==", exponent, exponent)
    )
    y = b.select(unit, one, y)
    # A negative base takes whole exponents alone; odd ones keep its sign.
    whole = b.fcmp_ordered("==", e.intrinsic("trunc", exponent), exponent)
    half = b.fmul(exponent, e.const(0.5))
    odd = b.and_(whole, b.fcmp_unordered("!=", e.intrinsic("trunc", half), half))
    negative = b.icmp_signed("<", e.bits(base), e.whole(0))
    finite = b.and_(b.fcmp_ordered("<", base, zero), b.fcmp_ordered("<", size, inf))
    y = b.select(b.and_(finite, b.not_(whole)), e.const(math.nan), y)
    y = b.select(b.and_(negative, odd), b.fneg(y), y)
    nan = b.fcmp_unordered("uno", base, exponent)
    y = b.select(nan, e.const(math.nan), y)
    always = b.or_(
        b.fcmp_ordered("==", exponent, zero), b.fcmp_ordered("==", base, one)
    )
    y = b.select(always, one, y)
    return b.fptrunc(y, x.type) if floats else y
