"""The table of elementwise primitives' code generators: LLVM IR for one element.

A loop over elements calls these in its body; the loop vectoriser turns them into vector
code. Nothing here branches, so every lane does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from chainrule.engines.native.math import angles, integer_quotients, mathlib, power
from chainrule.graph.node import Node
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import DType
from chainrule.primitives import elementwise, integers, random, trigonometry
from chainrule.primitives.random import PARITY, ROTATIONS, ROUNDS

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
POINTER = ir.PointerType()

_TYPES: dict[DType, Any] = {
    DType.bool: I8,
    DType.uint8: I8,
    DType.uint16: I16,
    DType.uint32: I32,
    DType.uint64: I64,
    DType.int8: I8,
    DType.int16: I16,
    DType.int32: I32,
    DType.int64: I64,
    DType.float32: ir.FloatType(),
    DType.float64: ir.DoubleType(),
    DType.bfloat16: I16,  # bits that are moved, and converted where one computes
}


def memory_type(dtype: DType) -> Any:
    """Return the LLVM type of an element in memory; a bool takes a byte."""
    return _TYPES[dtype]


def register_type(dtype: DType) -> Any:
    """Return the LLVM type of an element in a register; a bool is one bit."""
    return I1 if dtype is DType.bool else _TYPES[dtype]


def load(b: ir.IRBuilder, pointer: Any, dtype: DType) -> Any:
    """Emit LLVM code that loads an array element from memory."""
    value = b.load(pointer, typ=memory_type(dtype), align=dtype.itemsize)
    if dtype is DType.bool:
        return b.icmp_unsigned("!=", value, I8(0))
    return value


def store(b: ir.IRBuilder, value: Any, pointer: Any, dtype: DType) -> Any:
    """Emit LLVM code that stores an array element to memory."""
    if dtype is DType.bool:
        value = b.zext(value, I8)
    return b.store(value, pointer, align=dtype.itemsize)


def number(dtype: DType, value: float) -> Any:
    """Return a number as an LLVM constant of a dtype."""
    if dtype is DType.bfloat16:
        return I16(int(np.asarray(value, dtype.numpy).view(np.uint16)))
    return ir.Constant(register_type(dtype), value if dtype.is_float else int(value))


def compute(b: ir.IRBuilder, node: Node, operands: Sequence[Any]) -> Any:
    """Emit LLVM code that computes an elementwise node for one element."""
    return SCALAR[node.primitive](b, node, *operands)


def _kind(node: Node) -> DType:
    return node.inputs[0].dtype


#: Operations on floats, integers and truth values.
_OPERATIONS = {
    "sum": ("fadd", "add", "or_"),
    "sub": ("fsub", "sub", ""),
    "prod": ("fmul", "mul", "and_"),
    "div": ("fdiv", "", ""),
}


def combined(b: ir.IRBuilder, operation: str, dtype: DType, x: Any, y: Any) -> Any:
    """Emit LLVM code for x + y or x · y of two elements; or/and of truth values."""
    kind = 0 if dtype.is_float else 2 if dtype is DType.bool else 1
    return getattr(b, _OPERATIONS[operation][kind])(x, y)


def _arithmetic(operation: str) -> Callable[..., Any]:
    def emit(b: ir.IRBuilder, node: Node, x: Any, y: Any) -> Any:
        return combined(b, operation, _kind(node), x, y)

    return emit


def compare(b: ir.IRBuilder, dtype: DType, test: str, x: Any, y: Any) -> Any:
    """Emit an LLVM comparison such as x < y, which is false for NaN."""
    if dtype.is_float:
        return b.fcmp_ordered(test, x, y)
    if dtype.kind == "int":
        return b.icmp_signed(test, x, y)
    return b.icmp_unsigned(test, x, y)


def is_nan(b: ir.IRBuilder, dtype: DType, x: Any) -> Any:
    """Emit LLVM code that tests whether x is NaN; false for integers."""
    return b.fcmp_unordered("uno", x, x) if dtype.is_float else b.icmp_signed("<", x, x)


def larger(b: ir.IRBuilder, dtype: DType, x: Any, y: Any) -> Any:
    """Emit LLVM code for the larger of two elements; NaN if one is NaN."""
    chosen = b.select(compare(b, dtype, ">", x, y), x, y)  # an instruction
    return b.select(is_nan(b, dtype, x), x, chosen) if dtype.is_float else chosen


def smaller(b: ir.IRBuilder, dtype: DType, x: Any, y: Any) -> Any:
    """Emit LLVM code for the smaller of two elements; NaN if one is NaN."""
    chosen = b.select(compare(b, dtype, "<", x, y), x, y)  # an instruction
    return b.select(is_nan(b, dtype, x), x, chosen) if dtype.is_float else chosen


def _neg(b: ir.IRBuilder, node: Node, x: Any) -> Any:
    return b.fneg(x) if _kind(node).is_float else b.neg(x)


def _intrinsic(name: str) -> Callable[..., Any]:
    def emit(b: ir.IRBuilder, node: Node, x: Any) -> Any:
        return b.call(b.module.declare_intrinsic(name, [x.type]), [x])

    return emit


def _abs(b: ir.IRBuilder, node: Node, x: Any) -> Any:
    dtype = _kind(node)
    if dtype.is_float:
        return _intrinsic("llvm.fabs")(b, node, x)
    if dtype.kind == "int":
        return b.select(b.icmp_signed("<", x, x.type(0)), b.neg(x), x)
    return x


def _sign(b: ir.IRBuilder, node: Node, x: Any) -> Any:
    dtype = _kind(node)
    zero, one = number(dtype, 0), number(dtype, 1)
    above = b.select(compare(b, dtype, ">", x, zero), one, zero)
    if dtype.kind not in ("int", "float"):
        return above
    sign = b.select(compare(b, dtype, "<", x, zero), number(dtype, -1), above)
    return b.select(is_nan(b, dtype, x), x, sign) if dtype.is_float else sign


def _convert(b: ir.IRBuilder, node: Node, x: Any) -> Any:
    return convert(b, _kind(node), node.attrs["dtype"], x)


def convert(b: ir.IRBuilder, old: DType, new: DType, x: Any) -> Any:
    """Emit LLVM code that converts x between dtypes; floats truncate to integers."""
    to = register_type(new)
    if old is new:
        return x
    if old is DType.bfloat16:  # the upper half of a float32
        upper = b.shl(b.zext(x, I32), I32(16))
        return convert(b, DType.float32, new, b.bitcast(upper, ir.FloatType()))
    if new is DType.bfloat16:
        return _rounded(b, convert(b, old, DType.float32, x))
    if new is DType.bool:
        if old.is_float:
            return b.fcmp_unordered("!=", x, number(old, 0))
        return b.icmp_unsigned("!=", x, number(old, 0))
    if old.is_float and new.is_float:
        return b.fpext(x, to) if new.itemsize > old.itemsize else b.fptrunc(x, to)
    if old.is_float:
        # Out of range: the nearest end; NaN: 0.
        name = "fptosi" if new.kind == "int" else "fptoui"
        name = f"llvm.{name}.sat.i{to.width}.{'f32' if old is DType.float32 else 'f64'}"
        function = b.module.globals.get(name)
        if function is None:
            signature = ir.FunctionType(to, [x.type])
            function = ir.Function(b.module, signature, name)
        return b.call(function, [x])
    if new.is_float:
        return b.sitofp(x, to) if old.kind == "int" else b.uitofp(x, to)
    if register_type(old).width == to.width:
        return x
    if register_type(old).width > to.width:
        return b.trunc(x, to)
    return b.sext(x, to) if old.kind == "int" else b.zext(x, to)


def _rounded(b: ir.IRBuilder, x: Any) -> Any:
    """Emit LLVM code that rounds a float32 to bfloat16: to nearest, a tie to even.

    Half a unit of the last place that stays is added to the bits, less one where that
    place is even; a carry goes into the exponent, and into infinity. A NaN, which a
    carry could change, becomes that of its sign.
    """
    bits = b.bitcast(x, I32)
    odd = b.and_(b.lshr(bits, I32(16)), I32(1))
    upper = b.lshr(b.add(bits, b.add(odd, I32(0x7FFF))), I32(16))
    nan = b.or_(b.and_(b.lshr(bits, I32(16)), I32(0x8000)), I32(0x7FC0))
    return b.trunc(b.select(b.fcmp_unordered("uno", x, x), nan, upper), I16)


def _copysign(b: ir.IRBuilder, node: Node, x: Any, sign: Any) -> Any:
    return mathlib.Emitter(b, x).intrinsic("copysign", x, sign)


def _pow(b: ir.IRBuilder, node: Node, x: Any, p: Any) -> Any:
    if _kind(node).is_float:
        return power.pow_(b, x, p)
    return integer_quotients.whole_power(b, _kind(node), x, p)


def _shift_left(b: ir.IRBuilder, node: Node, x: Any, bits: Any) -> Any:
    """Emit LLVM code for a left shift, which is 0 if all bits are shifted out."""
    inside = b.icmp_unsigned("<", bits, x.type(x.type.width))
    return b.select(inside, b.shl(x, b.select(inside, bits, x.type(0))), x.type(0))


def _shift_right(b: ir.IRBuilder, node: Node, x: Any, bits: Any) -> Any:
    last = x.type(x.type.width - 1)
    inside = b.icmp_unsigned("<=", bits, last)
    if _kind(node).kind == "int":
        return b.ashr(x, b.select(inside, bits, last))
    return b.select(inside, b.lshr(x, b.select(inside, bits, x.type(0))), x.type(0))


def threefry(
    b: ir.IRBuilder, key: tuple[Any, Any], x0: Any, x1: Any
) -> tuple[Any, Any]:
    """Emit LLVM code for two random words: counters under a key (Threefry-2x32)."""
    k0, k1 = key
    u32 = k0.type
    schedule = (k0, k1, b.xor(b.xor(k0, k1), u32(PARITY)))
    x0, x1 = b.add(x0, k0), b.add(x1, k1)
    for block in range(ROUNDS // 4):
        for distance in ROTATIONS[block % 2]:
            x0 = b.add(x0, x1)
            x1 = b.or_(b.shl(x1, u32(distance)), b.lshr(x1, u32(32 - distance)))
            x1 = b.xor(x1, x0)
        x0 = b.add(x0, schedule[(block + 1) % 3])
        x1 = b.add(b.add(x1, schedule[(block + 2) % 3]), u32(block + 1))
    return x0, x1


def _encrypted(b: ir.IRBuilder, node: Node, k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    return threefry(b, (k0, k1), x0, x1)[0]


#: (builder, node, operands…) → result; spelt out so that the lambdas have types.
Emit = (
    Callable[[ir.IRBuilder, Node, Any], Any]
    | Callable[[ir.IRBuilder, Node, Any, Any], Any]
    | Callable[[ir.IRBuilder, Node, Any, Any, Any], Any]
    | Callable[..., Any]
)

SCALAR: dict[Primitive, Emit] = {
    random.encrypted: _encrypted,
    elementwise.add: _arithmetic("sum"),
    elementwise.sub: _arithmetic("sub"),
    elementwise.mul: _arithmetic("prod"),
    elementwise.div: _arithmetic("div"),
    elementwise.neg: _neg,
    elementwise.exp: lambda b, node, x: mathlib.exp(b, x),
    elementwise.log: lambda b, node, x: mathlib.log(b, x),
    elementwise.log1p: lambda b, node, x: mathlib.log1p(b, x),
    elementwise.expm1: lambda b, node, x: mathlib.expm1(b, x),
    elementwise.tanh: lambda b, node, x: mathlib.tanh(b, x),
    elementwise.sigmoid: lambda b, node, x: mathlib.sigmoid(b, x),
    elementwise.erf: lambda b, node, x: mathlib.erf(b, x),
    elementwise.erfc: lambda b, node, x: mathlib.erfc(b, x),
    elementwise.sqrt: _intrinsic("llvm.sqrt"),
    elementwise.abs_: _abs,
    elementwise.sign: _sign,
    elementwise.minimum: lambda b, node, x, y: smaller(b, _kind(node), x, y),
    elementwise.isnan: lambda b, node, x: is_nan(b, _kind(node), x),
    elementwise.floor: _intrinsic("llvm.floor"),
    elementwise.round_: _intrinsic("llvm.rint"),
    elementwise.copysign: _copysign,
    elementwise.nextafter: lambda b, node, x, y: integer_quotients.next_after(b, x, y),
    elementwise.pow_: _pow,
    trigonometry.sin: lambda b, node, x: angles.sin(b, x),
    trigonometry.cos: lambda b, node, x: angles.cos(b, x),
    trigonometry.cos_turn: lambda b, node, v: angles.cos_turn(b, v),
    trigonometry.atan2: lambda b, node, y, x: angles.atan2(b, y, x),
    integers.floor_divide: lambda b, node, x, y: integer_quotients.divided(
        b, _kind(node), x, y
    )[0],
    integers.remainder: lambda b, node, x, y: integer_quotients.divided(
        b, _kind(node), x, y
    )[1],
    integers.gcd: lambda b, node, x, y: integer_quotients.gcd(b, _kind(node), x, y),
    integers.bitwise_and: lambda b, node, x, y: b.and_(x, y),
    integers.bitwise_or: lambda b, node, x, y: b.or_(x, y),
    integers.bitwise_xor: lambda b, node, x, y: b.xor(x, y),
    integers.bitwise_not: lambda b, node, x: b.not_(x),
    integers.shift_left: _shift_left,
    integers.shift_right: _shift_right,
    elementwise.maximum: lambda b, node, x, y: larger(b, _kind(node), x, y),
    elementwise.less: lambda b, node, x, y: compare(b, _kind(node), "<", x, y),
    elementwise.equal: lambda b, node, x, y: compare(b, _kind(node), "==", x, y),
    elementwise.where: lambda b, node, c, x, y: b.select(c, x, y),
    elementwise.convert: _convert,
}


# -- indices ---------------------------------------------------------------------------


def checked(b: ir.IRBuilder, at: Any, dtype: DType, rows: Any, status: Any) -> Any:
    """Emit LLVM code that loads an index and reports one that is out of range."""
    index = convert(b, dtype, DType.int64, load(b, at, dtype))
    outside = b.icmp_unsigned(">=", index, rows)
    with b.if_then(outside, likely=False):
        b.store(I8(1), status)
    return b.select(outside, I64(0), index)
