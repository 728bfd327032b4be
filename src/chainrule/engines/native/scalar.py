"""One table: each elementwise primitive on scalars, in LLVM IR.

A loop over elements calls these in its body; the loop vectoriser turns them into vector
code. Nothing here branches, so every lane does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from chainrule.engines.native import mathlib
from chainrule.graph.node import Node
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import DType
from chainrule.primitives import elementwise

I1, I8, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))
POINTER = ir.PointerType()

_TYPES: dict[DType, Any] = {
    DType.bool: I8,
    DType.uint8: I8,
    DType.uint32: I32,
    DType.int32: I32,
    DType.int64: I64,
    DType.float32: ir.FloatType(),
    DType.float64: ir.DoubleType(),
}


def memory_type(dtype: DType) -> Any:
    """The type of an element in memory; a bool takes a byte."""
    return _TYPES[dtype]


def register_type(dtype: DType) -> Any:
    """The type of an element in a register; a bool is one bit there."""
    return I1 if dtype is DType.bool else _TYPES[dtype]


def load(b: ir.IRBuilder, pointer: Any, dtype: DType) -> Any:
    """An element from memory."""
    value = b.load(pointer, typ=memory_type(dtype), align=dtype.itemsize)
    if dtype is DType.bool:
        return b.icmp_unsigned("!=", value, I8(0))
    return value


def store(b: ir.IRBuilder, value: Any, pointer: Any, dtype: DType) -> Any:
    """An element to memory."""
    if dtype is DType.bool:
        value = b.zext(value, I8)
    return b.store(value, pointer, align=dtype.itemsize)


def number(dtype: DType, value: float) -> Any:
    """A constant."""
    return ir.Constant(register_type(dtype), value if dtype.is_float else int(value))


def compute(b: ir.IRBuilder, node: Node, operands: Sequence[Any]) -> Any:
    """One elementwise node on one element."""
    return SCALAR[node.primitive](b, node, *operands)


def _kind(node: Node) -> DType:
    return node.inputs[0].dtype


def _arithmetic(floating: str, integer: str) -> Callable[..., Any]:
    def emit(b: ir.IRBuilder, node: Node, x: Any, y: Any) -> Any:
        return getattr(b, floating if _kind(node).is_float else integer)(x, y)

    return emit


def _compare(b: ir.IRBuilder, dtype: DType, test: str, x: Any, y: Any) -> Any:
    if dtype.is_float:
        return b.fcmp_ordered(test, x, y)
    if dtype.kind == "int":
        return b.icmp_signed(test, x, y)
    return b.icmp_unsigned(test, x, y)


def is_nan(b: ir.IRBuilder, dtype: DType, x: Any) -> Any:
    """Whether x is NaN; never for integers."""
    return b.fcmp_unordered("uno", x, x) if dtype.is_float else I1(0)


def larger(b: ir.IRBuilder, dtype: DType, x: Any, y: Any) -> Any:
    """The larger of two, y where they are equal, NaN where one is (as NumPy's)."""
    take = b.or_(_compare(b, dtype, ">", x, y), is_nan(b, dtype, x))
    return b.select(take, x, y)


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
    above = b.select(_compare(b, dtype, ">", x, zero), one, zero)
    if dtype.kind not in ("int", "float"):
        return above
    sign = b.select(_compare(b, dtype, "<", x, zero), number(dtype, -1), above)
    return b.select(is_nan(b, dtype, x), x, sign) if dtype.is_float else sign


def _convert(b: ir.IRBuilder, node: Node, x: Any) -> Any:
    return convert(b, _kind(node), node.attrs["dtype"], x)


def convert(b: ir.IRBuilder, old: DType, new: DType, x: Any) -> Any:
    """x, an ``old``, as a ``new``; towards zero where integers are made of floats."""
    to = register_type(new)
    if old is new:
        return x
    if new is DType.bool:
        if old.is_float:
            return b.fcmp_unordered("!=", x, number(old, 0))
        return b.icmp_unsigned("!=", x, number(old, 0))
    if old.is_float and new.is_float:
        return b.fpext(x, to) if new.itemsize > old.itemsize else b.fptrunc(x, to)
    if old.is_float:
        # By way of int64, so that −1.0 to an unsigned type wraps as NumPy's does.
        wide = b.fptosi(x, I64)
        return b.trunc(wide, to) if to is not I64 else wide
    if new.is_float:
        return b.sitofp(x, to) if old.kind == "int" else b.uitofp(x, to)
    if register_type(old).width == to.width:
        return x
    if register_type(old).width > to.width:
        return b.trunc(x, to)
    return b.sext(x, to) if old.kind == "int" else b.zext(x, to)


def _shift(b: ir.IRBuilder, node: Node, x: Any) -> Any:
    shift = b.ashr if _kind(node).kind == "int" else b.lshr
    return shift(x, x.type(node.attrs["bits"]))


#: (builder, node, operands…) → result; spelt out so that the lambdas have types.
Emit = (
    Callable[[ir.IRBuilder, Node, Any], Any]
    | Callable[[ir.IRBuilder, Node, Any, Any], Any]
    | Callable[[ir.IRBuilder, Node, Any, Any, Any], Any]
    | Callable[..., Any]
)

SCALAR: dict[Primitive, Emit] = {
    elementwise.add: _arithmetic("fadd", "add"),
    elementwise.sub: _arithmetic("fsub", "sub"),
    elementwise.mul: _arithmetic("fmul", "mul"),
    elementwise.div: _arithmetic("fdiv", "sdiv"),
    elementwise.neg: _neg,
    elementwise.exp: lambda b, node, x: mathlib.exp(b, x),
    elementwise.log: lambda b, node, x: mathlib.log(b, x),
    elementwise.log1p: lambda b, node, x: mathlib.log1p(b, x),
    elementwise.expm1: lambda b, node, x: mathlib.expm1(b, x),
    elementwise.tanh: lambda b, node, x: mathlib.tanh(b, x),
    elementwise.erf: lambda b, node, x: mathlib.erf(b, x),
    elementwise.sqrt: _intrinsic("llvm.sqrt"),
    elementwise.abs_: _abs,
    elementwise.sign: _sign,
    elementwise.maximum: lambda b, node, x, y: larger(b, _kind(node), x, y),
    elementwise.less: lambda b, node, x, y: _compare(b, _kind(node), "<", x, y),
    elementwise.equal: lambda b, node, x, y: _compare(b, _kind(node), "==", x, y),
    elementwise.where: lambda b, node, c, x, y: b.select(c, x, y),
    elementwise.convert: _convert,
    elementwise.shift_right: _shift,
}
