"""Code generation for integer quotients, divisors and powers, as LLVM IR.

The remainder of two floats is exact, however large their quotient is: parts of the
divisor shifted up to the dividend are taken away until nothing is left to take. That
and the powers and common divisors of integers are loops, so what contains them is not
vectorised.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from chainrule.engines.native.math.mathlib import Emitter
from chainrule.graph.types import DType


def _function(b: ir.IRBuilder, name: str, kind: Any, body: Any, *arguments: Any) -> Any:
    """Emit the call of an LLVM helper function, which is defined on first use."""
    full = f"chainrule.{name}.{kind}"
    function = b.module.globals.get(full)
    if function is None:
        signature = ir.FunctionType(kind, [kind] * len(arguments))
        function = ir.Function(b.module, signature, full)
        function.linkage = "internal"
        inner = ir.IRBuilder(function.append_basic_block("entry"))
        inner.ret(body(inner, *function.args))
    return b.call(function, arguments)


def _fmod(b: ir.IRBuilder, a: Any, d: Any) -> Any:
    """Emit LLVM code for the remainder of a divided by d, for finite a ≥ 0, d > 0.

    Each turn takes q · d · 2ᵏ away with q of so few bits that the product is exact.
    """
    e = Emitter(b, a)
    mantissa = e.whole(e.format.mantissa)
    start = b.block
    head = b.function.append_basic_block("head")
    body, done = (
        b.function.append_basic_block("body"),
        b.function.append_basic_block("done"),
    )
    b.branch(head)
    b.position_at_end(head)
    rest = b.phi(a.type, "rest")
    rest.add_incoming(a, start)
    b.cbranch(b.fcmp_ordered(">=", rest, d), body, done)
    b.position_at_end(body)
    apart = b.sub(b.lshr(e.bits(rest), mantissa), b.lshr(e.bits(d), mantissa))
    spare = e.whole(e.format.mantissa - 2)
    k = b.select(b.icmp_signed(">", apart, spare), b.sub(apart, spare), e.whole(0))
    step = e.number(b.add(e.bits(d), b.shl(k, mantissa)))
    q = e.intrinsic("trunc", b.fdiv(rest, step))
    left = e.fma(b.fneg(q), step, rest)
    zero = e.const(0.0)
    left = b.select(b.fcmp_ordered("<", left, zero), b.fadd(left, step), left)
    left = b.select(b.fcmp_ordered(">=", left, step), b.fsub(left, step), left)
    rest.add_incoming(left, b.block)
    b.branch(head)
    b.position_at_end(done)
    return rest


def _parts(b: ir.IRBuilder, a: Any, d: Any) -> tuple[Any, Any]:
    """Emit LLVM code for the floor quotient and the remainder of two floats."""
    e = Emitter(b, a)
    zero, one, inf = e.const(0.0), e.const(1.0), e.const(math.inf)
    size, divisor = e.intrinsic("fabs", a), e.intrinsic("fabs", d)
    # What has no remainder is kept out of the loop, and gets its result below.
    fits = b.and_(
        b.fcmp_ordered("<", size, inf),
        b.and_(b.fcmp_ordered(">", divisor, zero), b.fcmp_ordered("<", divisor, inf)),
    )
    exact = _function(
        b,
        "fmod",
        a.type,
        _fmod,
        b.select(fits, size, zero),
        b.select(fits, divisor, one),
    )
    nan = e.const(math.nan)
    endless = b.and_(b.fcmp_ordered("<", size, inf), b.fcmp_ordered("==", divisor, inf))
    exact = b.select(fits, exact, b.select(endless, size, nan))
    rest = e.intrinsic("copysign", exact, a)
    quotient = b.fdiv(b.fsub(a, rest), d)
    some = b.fcmp_unordered("!=", rest, zero)
    apart = b.xor(b.fcmp_ordered("<", d, zero), b.fcmp_ordered("<", rest, zero))
    below = b.and_(some, apart)
    quotient = b.select(below, b.fsub(quotient, one), quotient)
    rest = b.select(below, b.fadd(rest, d), rest)
    rest = b.select(some, rest, e.intrinsic("copysign", zero, d))
    whole = e.intrinsic("floor", quotient)
    short = b.fcmp_ordered(">", b.fsub(quotient, whole), e.const(0.5))
    whole = b.select(short, b.fadd(whole, one), whole)
    plain = b.fdiv(a, d)
    nothing = b.fcmp_ordered("==", quotient, zero)
    whole = b.select(nothing, e.intrinsic("copysign", zero, plain), whole)
    by_zero = b.fcmp_ordered("==", d, zero)
    return b.select(by_zero, plain, whole), b.select(by_zero, nan, rest)


def _whole_parts(b: ir.IRBuilder, dtype: DType, a: Any, d: Any) -> tuple[Any, Any]:
    """Emit LLVM code for floor quotient and remainder of integers; 0 if d is 0."""
    zero, one = a.type(0), a.type(1)
    none = b.icmp_unsigned("==", d, zero)
    if dtype.kind == "uint":
        safe = b.select(none, one, d)
        q, r = b.udiv(a, safe), b.urem(a, safe)
        return b.select(none, zero, q), b.select(none, zero, r)
    least = a.type(-(1 << (a.type.width - 1)))
    minus = b.and_(b.icmp_signed("==", a, least), b.icmp_signed("==", d, a.type(-1)))
    safe = b.select(b.or_(none, minus), one, d)
    q, r = b.sdiv(a, safe), b.srem(a, safe)
    apart = b.icmp_signed("<", b.xor(r, safe), zero)
    below = b.and_(b.icmp_signed("!=", r, zero), apart)
    q = b.select(below, b.sub(q, one), q)
    r = b.select(below, b.add(r, safe), r)
    return b.select(none, zero, q), b.select(none, zero, r)


def divided(b: ir.IRBuilder, dtype: DType, a: Any, d: Any) -> tuple[Any, Any]:
    """Emit LLVM code for the floor quotient and the remainder of two elements."""
    return _parts(b, a, d) if dtype.is_float else _whole_parts(b, dtype, a, d)


def _power(b: ir.IRBuilder, x: Any, p: Any) -> Any:
    """Emit LLVM code for an integer power with p ≥ 0, by repeated squaring."""
    start = b.block
    head = b.function.append_basic_block("head")
    body, done = (
        b.function.append_basic_block("body"),
        b.function.append_basic_block("done"),
    )
    b.branch(head)
    b.position_at_end(head)
    result, square, left = (b.phi(x.type) for _ in range(3))
    for phi, first in ((result, x.type(1)), (square, x), (left, p)):
        phi.add_incoming(first, start)
    b.cbranch(b.icmp_unsigned("!=", left, x.type(0)), body, done)
    b.position_at_end(body)
    odd = b.trunc(left, ir.IntType(1))
    result.add_incoming(b.select(odd, b.mul(result, square), result), b.block)
    square.add_incoming(b.mul(square, square), b.block)
    left.add_incoming(b.lshr(left, x.type(1)), b.block)
    b.branch(head)
    b.position_at_end(done)
    return result


def whole_power(b: ir.IRBuilder, dtype: DType, x: Any, p: Any) -> Any:
    """Emit LLVM code for an integer power; a negative p rounds towards zero."""
    zero, one = x.type(0), x.type(1)
    if dtype.kind == "uint":
        return _function(b, "power", x.type, _power, x, p)
    negative = b.icmp_signed("<", p, zero)
    result = _function(b, "power", x.type, _power, x, b.select(negative, zero, p))
    minus = b.icmp_signed("==", x, x.type(-1))
    odd = b.icmp_unsigned("!=", b.and_(p, one), zero)
    sign = b.select(b.and_(minus, odd), x.type(-1), one)
    unit = b.or_(minus, b.icmp_signed("==", x, one))
    return b.select(negative, b.select(unit, sign, zero), result)


def _euclid(b: ir.IRBuilder, x: Any, y: Any) -> Any:
    """Emit LLVM code for the greatest common divisor of two unsigned integers."""
    start = b.block
    head, body, done = (
        b.function.append_basic_block(name) for name in ("head", "body", "done")
    )
    b.branch(head)
    b.position_at_end(head)
    larger, rest = b.phi(x.type), b.phi(x.type)
    larger.add_incoming(x, start)
    rest.add_incoming(y, start)
    b.cbranch(b.icmp_unsigned("!=", rest, x.type(0)), body, done)
    b.position_at_end(body)
    larger.add_incoming(rest, b.block)
    rest.add_incoming(b.urem(larger, rest), b.block)
    b.branch(head)
    b.position_at_end(done)
    return larger


def gcd(b: ir.IRBuilder, dtype: DType, x: Any, y: Any) -> Any:
    """Emit LLVM code for the greatest common divisor of two integers."""
    if dtype.kind == "int":
        x, y = (b.select(b.icmp_signed("<", v, v.type(0)), b.neg(v), v) for v in (x, y))
    return _function(b, "gcd", x.type, _euclid, x, y)


def next_after(b: ir.IRBuilder, x: Any, to: Any) -> Any:
    """Emit LLVM code for the next floating-point number from x towards ``to``."""
    e = Emitter(b, x)
    bits, zero = e.bits(x), e.const(0.0)
    outwards = b.xor(b.fcmp_ordered("<", to, x), b.fcmp_ordered(">", x, zero))
    step = b.select(outwards, e.whole(1), e.whole(-1))
    sign = b.and_(e.bits(to), e.whole(1 << (e.format.width - 1)))
    none = b.icmp_unsigned("==", b.shl(bits, e.whole(1)), e.whole(0))
    moved = b.select(none, b.or_(sign, e.whole(1)), b.add(bits, step))
    moved = b.select(b.fcmp_ordered("==", x, to), e.bits(to), moved)
    odd = b.fcmp_unordered("uno", x, to)
    return b.select(odd, e.const(math.nan), e.number(moved))
