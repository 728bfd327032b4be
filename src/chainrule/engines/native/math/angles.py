"""Code generation for sin, cos and atan2, as branch-free LLVM IR.

**Reduction.** |x| = n π/2 + r needs 2/π to as many bits as x has in front of its point:
1,100 for a double. With k the exponent of the last bit of x and g = ⌊k / 32⌋ (0 below),
X = x / 2^(32g) is whole, and so all that counts for the fraction of x · 2/π and for n
modulo 4 is 2^(32g) · 2/π modulo 4: a table of 31 rows. Four parts leave an error of
2⁻¹²⁴ quarter turns in X · 2/π, and no double is nearer to a multiple of π/2 than 2⁻⁶².

A float is computed as a double and rounded once. Its table has four rows, which are
selected; parts of 29 bits make their products with the 24 bits of a float exact.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from chainrule.engines.native.math.formats import FLOAT
from chainrule.engines.native.math.mathlib import Emitter

I32, I64, DOUBLE = ir.IntType(32), ir.IntType(64), ir.DoubleType()

#: The first 1,216 binary digits of 2/π.
TWO_OVER_PI = int(
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561"
    "B7246E3A424DD2E006492EEA09D1921CFE1DEB1CB129A73EE88235F52EBB4484"
    "E99C7026B45F7E413991D639835339F49C845F8BBDF9283B1FF897FFDE05980F"
    "EF2F118B5A0A6D1F6D367ECF27CB09B74F463F669E5FEA2D7527BAC7EBE5F17B"
    "3D0739F78A5292EA6BFB5FB11F8D5D0856033046FC7B6BAB",
    16,
)
DIGITS = 1216


def _quarter_rows(rows: int, bits: int) -> tuple[tuple[float, ...], ...]:
    """Return a table of the digits of 2/π, to reduce large arguments of sin and cos."""
    quarters: list[tuple[float, ...]] = []
    for g in range(rows):
        rest = (TWO_OVER_PI << 32 * g) % (4 << DIGITS)
        parts: list[float] = []
        for part in range(4):
            cut = max(rest.bit_length() - (bits if part < 3 else 53), 0)
            parts.append(math.ldexp(rest >> cut, cut - DIGITS))
            rest -= rest >> cut << cut
        quarters.append(tuple(parts))
    return tuple(quarters)


QUARTERS = _quarter_rows(31, 53)
#: With 29 bits in each part but the last, for floats.
QUARTERS_FLOAT = _quarter_rows(4, 29)
#: π/2, and what is left of it.
HALF_PI = (math.pi / 2, 6.123233995736766e-17)
#: (sin r / r − 1) / r² for |r| ≤ π/4, by powers of r², highest first.
SIN = (
    -7.586691093220582e-13,
    1.6058531516778162e-10,
    -2.5052106231802688e-08,
    2.755731921933731e-06,
    -0.00019841269841265063,
    0.008333333333333331,
    -0.16666666666666666,
)
SIN_FLOAT = (
    2.724989522564564e-06,
    -0.00019840086499539977,
    0.008333331874273549,
    -0.16666666663854166,
)
#: (cos r − 1 + r²/2) / r⁴, and for floats (cos r − 1) / r².
COS = (
    -1.1382623646050126e-11,
    2.0876146146534444e-09,
    -2.7557317271144996e-07,
    2.480158729876456e-05,
    -0.0013888888888887398,
    0.041666666666666664,
)
COS_FLOAT = (
    -2.723710857107433e-07,
    2.4799861846289672e-05,
    -0.0013888885090262563,
    0.04166666663738438,
    -0.49999999999963873,
)
#: (atan z / z − 1) / z² for |z| ≤ tan π/8, by powers of z².
ATAN = (
    0.016271943885337623,
    -0.03455809169455702,
    0.04551108089470035,
    -0.052303478639786426,
    0.05878914543008847,
    -0.06666423627929483,
    0.07692296304965267,
    -0.09090908751076246,
    0.11111111105106695,
    -0.14285714285659326,
    0.199999999999998,
    -0.3333333333333333,
)
ATAN_FLOAT = (
    0.050461280419651915,
    -0.08623896610072998,
    0.11071260434049413,
    -0.14284145547498545,
    0.19999977153950266,
    -0.3333333327895137,
)


def widened(b: ir.IRBuilder, x: Any) -> Any:
    """Emit LLVM code that converts floats to doubles."""
    lanes = x.type.count if isinstance(x.type, ir.VectorType) else 0
    return b.fpext(x, ir.VectorType(DOUBLE, lanes) if lanes else DOUBLE)


def two_sum(b: ir.IRBuilder, x: Any, y: Any) -> tuple[Any, Any]:
    """Emit LLVM code for x + y and its rounding error (Knuth's two-sum)."""
    total = b.fadd(x, y)
    part = b.fsub(total, x)
    lost = b.fadd(b.fsub(x, b.fsub(total, part)), b.fsub(y, part))
    return total, lost


def fast_two_sum(b: ir.IRBuilder, x: Any, y: Any) -> tuple[Any, Any]:
    """Emit LLVM code for x + y and its rounding error, for |x| ≥ |y| (Dekker)."""
    total = b.fadd(x, y)
    return total, b.fsub(y, b.fsub(total, x))


def _group(e: Emitter, size: Any, bits: int) -> tuple[Any, Any]:
    """Emit the row of the table of 2/π that fits |x|, and |x| scaled to it."""
    b = e.b
    exponent = b.lshr(e.bits(size), e.whole(52))
    last = e.whole(e.format.bias + bits - 1)
    above = b.lshr(b.sub(exponent, last), e.whole(5))
    g = b.select(b.icmp_unsigned("<", exponent, last), e.whole(0), above)
    return g, e.number(b.sub(e.bits(size), b.shl(g, e.whole(52 + 5))))


def _modulo_4(e: Emitter, t: Any) -> Any:
    """Emit LLVM code for t minus the nearest multiple of 4, to reduce an angle."""
    turns = e.intrinsic("rint", e.b.fmul(t, e.const(0.25)))
    return e.fma(turns, e.const(-4.0), t)


def _nearest(e: Emitter, t: Any) -> tuple[Any, Any]:
    """Emit LLVM code for the integer nearest to a small t, as float and as bits."""
    shift = e.const(1.5 * 2.0**52)
    shifted = e.b.fadd(t, shift)
    return e.b.fsub(shifted, shift), e.bits(shifted)


def _float_quarters(e: Emitter, size: Any) -> tuple[Any, Any]:
    """Emit LLVM code that reduces a float angle to quarter turns and a fraction."""
    b = e.b
    g, x = _group(e, size, 24)
    parts = [e.const(c) for c in QUARTERS_FLOAT[0]]
    for row in range(1, len(QUARTERS_FLOAT)):
        here = b.icmp_unsigned("==", g, e.whole(row))
        parts = [
            b.select(here, e.const(c), p) for c, p in zip(QUARTERS_FLOAT[row], parts)
        ]
    first, second = (_modulo_4(e, b.fmul(x, part)) for part in parts[:2])
    third = b.fmul(x, parts[2])
    total, lost = two_sum(b, first, second)
    n, bits = _nearest(e, b.fadd(total, third))
    r = b.fadd(b.fsub(total, n), third)
    return b.fadd(r, e.fma(x, parts[3], lost)), bits


def _table(module: ir.Module) -> ir.GlobalVariable:
    known = module.globals.get("chainrule.quarters")
    if known is None:
        numbers = [c for row in QUARTERS for c in row]
        kind = ir.ArrayType(DOUBLE, len(numbers))
        known = ir.GlobalVariable(module, kind, "chainrule.quarters")
        known.initializer = ir.Constant(kind, numbers)
        known.global_constant, known.linkage, known.align = True, "internal", 64
    return known


def _parts(e: Emitter, g: Any) -> list[Any]:
    """Emit LLVM code that loads a row of the table of 2/π."""
    b = e.b
    table = b.bitcast(_table(b.module), ir.PointerType())

    def read(row: Any, part: int) -> Any:
        at = b.add(b.mul(row, I64(4)), I64(part))
        return b.load(b.gep(table, [at], source_etype=DOUBLE), typ=DOUBLE, align=8)

    if not e.lanes:
        return [read(g, part) for part in range(4)]
    parts: list[Any] = [ir.Constant(e.type, ir.Undefined) for _ in range(4)]
    for lane in range(e.lanes):
        row = b.extract_element(g, I32(lane))
        parts = [
            b.insert_element(m, read(row, part), I32(lane))
            for part, m in enumerate(parts)
        ]
    return parts


def _quarters(e: Emitter, size: Any) -> tuple[Any, Any, Any]:
    """Emit LLVM code that reduces a double angle to quarter turns and a fraction.

    The fraction may be 2⁻⁶²: so what each sum of larger numbers loses is kept.
    """
    b = e.b
    g, x = _group(e, size, 53)
    c = _parts(e, g)
    products = [b.fmul(x, part) for part in c]
    lost = [e.fma(x, part, b.fneg(t)) for part, t in zip(c[:3], products)]
    total, lost_a = two_sum(b, _modulo_4(e, products[0]), _modulo_4(e, lost[0]))
    total, lost_b = two_sum(b, total, _modulo_4(e, products[1]))
    n, bits = _nearest(e, total)
    small, rest_a = two_sum(b, lost_a, lost_b)
    middle, rest_b = two_sum(b, lost[1], products[2])
    middle, rest_c = two_sum(b, middle, small)
    high, low = two_sum(b, b.fsub(total, n), middle)
    rest = b.fadd(b.fadd(rest_a, b.fadd(lost[2], products[3])), b.fadd(rest_b, rest_c))
    return (*fast_two_sum(b, high, b.fadd(low, rest)), bits)


def _few_quarters(e: Emitter, size: Any) -> tuple[Any, Any, Any]:
    """Emit LLVM code that reduces a double angle of a turn at most, with its rest."""
    b = e.b
    n, bits = _nearest(e, b.fmul(size, e.const(1 / HALF_PI[0])))
    product = b.fmul(n, e.const(HALF_PI[0]))
    lost = e.fma(n, e.const(HALF_PI[0]), b.fneg(product))
    r, rest = two_sum(b, size, b.fneg(product))
    tail = b.fsub(rest, e.fma(n, e.const(HALF_PI[1]), lost))
    return (*fast_two_sum(b, r, tail), bits)


def _sine(b: ir.IRBuilder, x: Any, turned: int, *, few: bool = False) -> Any:
    """Emit LLVM code for sin(|x| + turned · π/2), the base of sin and cos.

    ``few``: |x| is a turn at most, which needs no table.
    """
    narrow = Emitter(b, x)
    floats = narrow.format is FLOAT
    wide = widened(b, x) if floats else x
    e = Emitter(b, wide)
    size = e.intrinsic("fabs", wide)
    if floats:
        r, bits = _float_quarters(e, size)
        r = b.fmul(r, e.const(HALF_PI[0]))
        z = b.fmul(r, r)
        sine = e.fma(b.fmul(r, z), e.horner(z, SIN_FLOAT), r)
        cosine = e.fma(z, e.horner(z, COS_FLOAT), e.const(1.0))
    else:
        if few:
            r, tail, bits = _few_quarters(e, size)
        else:
            high, low, bits = _quarters(e, size)
            half = e.const(HALF_PI[0])
            r = b.fmul(high, half)
            lost = e.fma(high, half, b.fneg(r))
            tail = e.fma(low, half, e.fma(high, e.const(HALF_PI[1]), lost))
        z = b.fmul(r, r)
        halved = b.fmul(z, e.const(0.5))
        top = b.fsub(e.const(1.0), halved)
        sine = e.fma(b.fmul(r, z), e.horner(z, SIN), b.fmul(tail, top))
        sine = b.fadd(r, sine)
        small = b.fsub(b.fsub(e.const(1.0), top), halved)
        more = e.fma(b.fmul(z, z), e.horner(z, COS), b.fneg(b.fmul(r, tail)))
        cosine = b.fadd(top, b.fadd(small, more))
    quadrant = b.add(bits, e.whole(turned))
    odd = b.icmp_unsigned("!=", b.and_(quadrant, e.whole(1)), e.whole(0))
    y = b.select(odd, cosine, sine)
    sign = b.shl(b.lshr(quadrant, e.whole(1)), e.whole(63))
    if not turned:
        sign = b.xor(sign, b.and_(e.bits(wide), e.whole(1 << 63)))
    sign = b.and_(sign, e.whole(1 << 63))
    y = e.number(b.xor(e.bits(y), sign))
    y = b.select(b.fcmp_ordered("<", size, e.const(math.inf)), y, e.const(math.nan))
    if not turned:  # nothing is lost where sin x rounds to x
        tiny = b.fcmp_ordered("<", size, e.const(2.0**-27))
        y = b.select(tiny, wide, y)
    return b.fptrunc(y, x.type) if floats else y


def sin(b: ir.IRBuilder, x: Any) -> Any:
    """Emit LLVM code for sin x, for x in radians.

    Error: 0.50 ulp in float, 0.8 ulp in double, for every size of x.
    sin(±0) = ±0; NaN for ±inf and NaN.
    """
    return _sine(b, x, 0)


def cos(b: ir.IRBuilder, x: Any) -> Any:
    """Emit LLVM code for cos x, for x in radians.

    Error: 0.50 ulp in float, 0.8 ulp in double, for every size of x.
    cos(±0) = 1; NaN for ±inf and NaN.
    """
    return _sine(b, x, 1)


def cos_turn(b: ir.IRBuilder, v: Any) -> Any:
    """Emit LLVM code for cos 2πv; NaN for ±inf and NaN.

    Whole turns are taken away, which is exact, where |v| > 1. Error: that of cos, at
    2πv as it is rounded.
    """
    e = Emitter(b, v)
    whole = b.fcmp_ordered(">", e.intrinsic("fabs", v), e.const(1.0))
    share = b.select(whole, b.fsub(v, e.intrinsic("rint", v)), v)
    return _sine(b, b.fmul(share, e.const(2 * math.pi)), 1, few=True)


def atan2(b: ir.IRBuilder, y: Any, x: Any) -> Any:
    """Emit LLVM code for atan2(y, x), the angle of the point (x, y) from −π to π.

    With t = smaller / larger of |x| and |y|, atan t = π/4 + atan((t − 1) / (t + 1)) for
    t > tan π/8, so that one quotient z of at most that size is left. The angle is then
    ±atan z from a multiple of π/4; what the quotient, its two sides and that multiple
    lost in rounding is put back, and the sign is that of y.

    Error: 0.51 ulp in float, 0.7 ulp in double. C99's results for zeros and
    infinities; NaN where one is.
    """
    narrow = Emitter(b, x)
    floats = narrow.format is FLOAT
    wide_y, wide_x = (widened(b, y), widened(b, x)) if floats else (y, x)
    e = Emitter(b, wide_x)
    zero, one = e.const(0.0), e.const(1.0)
    ax, ay = e.intrinsic("fabs", wide_x), e.intrinsic("fabs", wide_y)
    swap = b.fcmp_ordered(">", ay, ax)
    large, small = b.select(swap, ay, ax), b.select(swap, ax, ay)
    # Only the quotient counts: keep its sides away from 0/0, ∞/∞ and overflow.
    inf = e.const(math.inf)
    endless = b.fcmp_ordered("==", large, inf)
    both = b.fcmp_ordered("==", small, inf)
    large = b.select(endless, one, large)
    small = b.select(endless, b.select(both, one, b.fmul(small, zero)), small)
    if not floats:
        scale = b.select(
            b.fcmp_ordered(">", large, e.const(2.0**1000)), e.const(2.0**-100), one
        )
        large, small = b.fmul(large, scale), b.fmul(small, scale)
    large = b.select(b.fcmp_ordered("==", large, zero), one, large)
    steep = b.fcmp_ordered(">", small, b.fmul(large, e.const(math.sqrt(2) - 1)))
    top, top_lost = two_sum(b, small, b.fneg(large))
    bottom, bottom_lost = fast_two_sum(b, large, small)
    top = b.select(steep, top, small)
    bottom = b.select(steep, bottom, large)
    z = b.fdiv(top, bottom)
    square = b.fmul(z, z)
    if floats:
        rest = b.fmul(b.fmul(z, square), e.horner(square, ATAN_FLOAT))
    else:
        lost = e.fma(b.fneg(z), bottom, top)
        sides = e.fma(b.fneg(z), bottom_lost, top_lost)
        lost = b.fdiv(b.fadd(lost, b.select(steep, sides, zero)), bottom)
        rest = e.fma(b.fmul(z, square), e.horner(square, ATAN), lost)
    left = b.icmp_signed("<", e.bits(wide_x), e.whole(0))
    flipped = b.xor(swap, left)

    def turn(eighths: int) -> tuple[Any, Any]:
        exact = {1: 3.061616997868383e-17, 2: 6.123233995736766e-17}
        exact |= {0: 0.0, 3: 9.184850993605148e-17, 4: 1.2246467991473532e-16}
        return e.const(eighths * math.pi / 4), e.const(exact[eighths])

    def choose(condition: Any, yes: Any, no: Any) -> tuple[Any, ...]:
        return tuple(b.select(condition, p, q) for p, q in zip(yes, no))

    upper = choose(left, turn(3), turn(1))
    axis = choose(swap, turn(2), choose(left, turn(4), turn(0)))
    # Above 45° the angle is counted from the axis, else from the diagonal.
    base, base_lost = choose(steep, upper, axis)
    z = b.select(flipped, b.fneg(z), z)
    rest = b.select(flipped, b.fneg(rest), rest)
    total, lost = fast_two_sum(b, base, z)
    none = b.fcmp_ordered("==", base, zero)
    total, lost = b.select(none, z, total), b.select(none, zero, lost)
    angle = b.fadd(total, b.fadd(lost, b.fadd(rest, base_lost)))
    odd = b.fcmp_unordered("uno", wide_x, wide_y)
    angle = b.select(odd, e.const(math.nan), e.intrinsic("copysign", angle, wide_y))
    return b.fptrunc(angle, x.type) if floats else angle
