"""Rows of elementwise primitives: arithmetic, functions, types, integers, bits."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from chainrule.graph.types import DType
from chainrule.interop.onnx.writer.emitter import Ref
from chainrule.interop.onnx.writer.kernels import Refusal
from chainrule.interop.onnx.writer.table import Call, number_in, operators, row
from chainrule.primitives import elementwise as p
from chainrule.primitives import error_function, integers
from chainrule.primitives import trigonometry as t
from chainrule.text import _

operators(
    {
        p.add: "Add",
        p.sub: "Sub",
        p.mul: "Mul",
        p.div: "Div",
        p.exp: "Exp",
        p.log: "Log",
        p.tanh: "Tanh",
        p.sigmoid: "Sigmoid",
        p.sqrt: "Sqrt",
        p.abs_: "Abs",
        p.sign: "Sign",
        p.floor: "Floor",
        p.round_: "Round",
        p.minimum: "Min",
        t.sin: "Sin",
        t.cos: "Cos",
    },
    broadcasts=True,
)


@row(p.maximum, broadcasts=True)
def of_maximum(c: Call) -> Ref:
    if c.x.dtype.is_float and number_in(c.values[1]) == 0:
        return c.x.op("Relu")
    return c.op("Max")


@row(p.neg)
def of_neg(c: Call) -> Ref:
    unsigned = {
        DType.uint8: DType.int32,
        DType.uint16: DType.int32,
        DType.uint32: DType.int64,
        DType.uint64: DType.int64,
    }
    return (-c.x.cast(unsigned.get(c.x.dtype, c.x.dtype))).cast(c.x.dtype)


@row(p.less, broadcasts=True)
def of_less(c: Call) -> Ref:
    return c.x < c.y


@row(p.equal, broadcasts=True)
def of_equal(c: Call) -> Ref:
    return c.x.equals(c.y)


@row(p.where, broadcasts=True)
def of_where(c: Call) -> Ref:
    condition, a, b = c.inputs
    return condition.where(a, b)


@row(p.isnan)
def of_isnan(c: Call) -> Ref:
    return c.x.bits("IsNaN")


@row(p.pow_, dtypes=(DType.float32, DType.float64), broadcasts=True)
def of_pow(c: Call) -> Ref:
    if not c.x.dtype.is_float:
        raise Refusal(_("ONNX Runtime computes powers of integers in float64"))
    return c.op("Pow")


@row(p.log1p)
def of_log1p(c: Call) -> Ref:
    """ln(1 + x) without cancellation: x ln(u)/(u − 1), u = 1 + x (Kahan)."""
    x, u = c.x, c.x + 1.0
    log = u.op("Log")
    close = (x * log) / (u - 1.0)
    return u.equals(1.0).where(x, u.equals(math.inf).where(log, close))


@row(p.expm1)
def of_expm1(c: Call) -> Ref:
    """eˣ − 1 without cancellation: (u − 1) x/ln u, u = eˣ (Kahan)."""
    x, u = c.x, c.x.op("Exp")
    less = u - 1.0
    close = (less * x) / u.op("Log")
    far = u.equals(math.inf) | less.equals(-1.0)
    return u.equals(1.0).where(x, far.where(less, close))


def _horner(x: Ref, coefficients: tuple[float, ...]) -> Ref:
    total = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        total = total * x + coefficient
    return total


def _erf_small(x: Ref) -> Ref:
    """Return erf x for |x| ≤ 1, as the reference does."""
    return x + x * _horner(x * x, error_function.SMALL)


def _erfc_tail(x: Ref) -> Ref:
    """Return erfc x for x ≥ ½ in float64, as the reference does.

    e^(−x²) is that of a square of few bits, times e to the rest.
    """
    front = x.cast(DType.float32).cast(DType.float64)
    rest = (x - front) * (x + front)
    power = (-(front * front)).op("Exp") * (-rest).op("Exp")
    t = (x - 3.5) / (x + 3.5)
    return power * _horner(t, error_function.TAIL) / (x * 2.0 + 1.0)


@row(p.erf)
def of_erf(c: Call) -> Ref:
    if c.x.dtype is DType.float32:
        return c.x.op("Erf")
    x = c.x
    size = x.op("Abs").op("Min", 6.0)
    near = _erf_small(x.op("Max", -1.0).op("Min", 1.0))
    far = x.op("Sign") * (1.0 - _erfc_tail(size.op("Max", 0.5)))
    return (size < 1.0).where(near, far)


@row(p.erfc)
def of_erfc(c: Call) -> Ref:
    """1 − erf x, of which nothing is left for large x unless it has its own formula."""
    x = c.x.cast(DType.float64)
    size = x.op("Abs")
    near = 1.0 - _erf_small(x.op("Max", -0.5).op("Min", 0.5))
    tail = _erfc_tail(size.op("Max", 0.5).op("Min", 27.5))
    far = (x < 0.0).where(2.0 - tail, tail)
    far = (x > 27.5).where(0.0, far)
    return (size < 0.5).where(near, far).cast(c.x.dtype)


# -- signs -----------------------------------------------------------------------------


def _negative(x: Ref) -> Ref:
    """Return whether the sign bit is set, which for −0 shows in 1/x."""
    return (x < 0.0) | (x.equals(0.0) & (_one(x) / x < 0.0))


def _one(x: Ref) -> Ref:
    return x.emitter.scalar(1.0, x.dtype)


@row(p.copysign, broadcasts=True)
def of_copysign(c: Call) -> Ref:
    size = c.x.op("Abs")
    return _negative(c.y).where(-size, size)


@row(t.atan2, dtypes=(DType.float32,), broadcasts=True)
def of_atan2(c: Call) -> Ref:
    """The angle of (x, y): that of |y|/|x|, turned into the quarter of the signs."""
    y, x = c.inputs
    if y.dtype is not DType.float32:
        raise Refusal(_("ONNX Runtime has Atan for float32 alone"))
    high, wide = y.op("Abs"), x.op("Abs")
    angle = (high / wide).op("Atan")
    angle = high.equals(wide).where(math.pi / 4, angle)
    angle = (high + wide).equals(0.0).where(0.0, angle)
    # As a difference of equal numbers: π and what is behind it, in two floats.
    turned = (math.pi - angle) - 8.742278e-08
    angle = _negative(x).where(turned, angle)
    return _negative(y).where(-angle, angle)


# -- types -----------------------------------------------------------------------------


@row(p.convert)
def of_convert(c: Call) -> Ref:
    """A cast; from floats to integers what is out of range becomes the nearest."""
    x, dtype = c.x, c.attrs["dtype"]
    if not (x.dtype.is_float and dtype.is_integer):
        return x.cast(dtype)
    limits = np.iinfo(dtype.numpy)
    low, high = float(limits.min), float(limits.max + 1)
    inside = (x > low) & (x < high)
    result = inside.where(x, 0.0).cast(dtype)
    wide = DType.int32 if dtype.itemsize < 4 else dtype
    if dtype is DType.uint64:  # its upper half is chosen bit by bit
        least, most, wide = 0, -1, DType.int64
    elif dtype is DType.uint32:
        least, most, wide = limits.min, limits.max, DType.int64
    else:
        least, most = limits.min, limits.max
    chosen = (x > low).where(result.cast(wide), least)
    return (
        (x < high)
        .where(
            chosen, x.bits("IsNaN").where(c.e.scalar(0, wide), c.e.scalar(most, wide))
        )
        .cast(dtype)
    )


# -- division, integers, bits ----------------------------------------------------------


def _modulo(a: Ref, b: Ref) -> Ref:
    """Return the remainder with the sign of the divisor."""
    if not a.dtype.is_float:  # the smallest integer by −1 is an exception of processors
        odd = b.equals(0) if a.dtype.kind == "uint" else b.equals(0) | b.equals(-1)
        safe = odd.where(1, b)
        return odd.where(0, a.op("Mod", safe))
    rest, other = _short_of(a, b)
    return other.where(rest + b, rest)


def _short_of(a: Ref, b: Ref) -> tuple[Ref, Ref]:
    """Return C's remainder, and where its sign is not the divisor's."""
    rest = a.op("Mod", b, fmod=1)
    return rest, ~rest.equals(0.0) & ((rest < 0.0).bits("Xor", b < 0.0))


@row(integers.remainder, broadcasts=True)
def of_remainder(c: Call) -> Ref:
    return _modulo(c.x, c.y)


@row(integers.floor_divide, broadcasts=True)
def of_floor_divide(c: Call) -> Ref:
    a, b = c.inputs
    if a.dtype.is_float:
        rest, other = _short_of(a, b)
        quotient = (a - rest) / b
        quotient = other.where(quotient - 1.0, quotient)
        floor = quotient.op("Floor")
        floor = (quotient - floor > 0.5).where(floor + 1.0, floor)
        return b.equals(0.0).where(a / b, floor)
    if a.dtype is DType.uint64:
        raise Refusal(_("ONNX Runtime's Div takes no uint64"))
    zero = b.equals(0)
    if a.dtype.kind == "uint":
        return zero.where(0, a / zero.where(1, b))
    minus = b.equals(-1)
    safe = (zero | minus).where(1, b)
    quotient = a / safe  # towards zero, and the rest has the sign of a
    rest = a - quotient * safe
    other = ~rest.equals(0) & ((rest < 0).bits("Xor", safe < 0))
    quotient = other.where(quotient - 1, quotient)
    return zero.where(0, minus.where(-a, quotient))


def _bitwise(c: Call, operator: str) -> Ref:
    if c.x.dtype is DType.bool:
        return c.op(operator)
    if c.e.opset < 18:
        raise Refusal(_("opset {since} is the first with it", since=18))
    return c.op(f"Bitwise{operator}")


for _primitive, _operator in {
    integers.bitwise_and: "And",
    integers.bitwise_or: "Or",
    integers.bitwise_xor: "Xor",
    integers.bitwise_not: "Not",
}.items():
    row(_primitive, broadcasts=True)(partial(_bitwise, operator=_operator))


_UNSIGNED = {
    DType.int8: DType.uint8,
    DType.int16: DType.uint16,
    DType.int32: DType.uint32,
    DType.int64: DType.uint64,
}


def _shift(x: Ref, count: Ref, direction: str) -> Ref:
    """Shift bits of a type without sign by less than its bits."""
    return x.op("BitShift", count, direction=direction)


def _outside(count: Ref, bits: int) -> Ref:
    """Return the mask of shift counts outside of 0 … ``bits`` − 1."""
    many = count.cast(DType.int64) if count.dtype is not DType.uint64 else count
    outside = many > bits - 1
    return outside if count.dtype.kind == "uint" else outside | (many < 0)


@row(integers.shift_left, broadcasts=True)
def of_shift_left(c: Call) -> Ref:
    dtype, bits = c.x.dtype, c.x.dtype.itemsize * 8
    plain = _UNSIGNED.get(dtype, dtype)
    outside = _outside(c.y, bits)
    by = outside.where(0, c.y).cast(plain)
    return outside.where(0, _shift(c.x.cast(plain), by, "LEFT").cast(dtype))


@row(integers.shift_right, broadcasts=True)
def of_shift_right(c: Call) -> Ref:
    dtype, bits = c.x.dtype, c.x.dtype.itemsize * 8
    plain = _UNSIGNED.get(dtype, dtype)
    outside = _outside(c.y, bits)
    by = outside.where(0, c.y).cast(plain)
    if plain is dtype:
        return outside.where(0, _shift(c.x, by, "RIGHT"))
    # Below zero all bits are turned round, before and after: −1 − x.
    below = c.x < 0
    turned = below.where(-c.x - 1, c.x)
    moved = _shift(turned.cast(plain), by, "RIGHT").cast(dtype)
    moved = outside.where(0, moved)
    return below.where(-moved - 1, moved)
