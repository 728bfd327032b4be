"""XLA's operations for elementwise primitives, on JAX's arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import DType
from chainrule.primitives import elementwise, integers, trigonometry

#: (arrays…, attributes…) → result; spelt out so that the lambdas have types.
Lowering = (
    Callable[[Any], Any]
    | Callable[[Any, Any], Any]
    | Callable[[Any, Any, Any], Any]
    | Callable[[Any, Any, Any, Any], Any]
    | Callable[..., Any]
)


def _is_bool(x: Array) -> bool:
    return x.dtype == np.bool_


def is_float(x: Array) -> bool:
    """Return whether an array has a floating type."""
    return jnp.issubdtype(x.dtype, np.floating)


def same(x: Array, number: Any) -> Array:
    """Return an array like x, filled with a number."""
    return lax.full_like(x, number)


def least(dtype: Any) -> Any:
    """Return what no element of a type is smaller than."""
    if jnp.issubdtype(dtype, np.floating):
        return -np.inf
    return False if dtype == np.bool_ else np.iinfo(dtype).min


def _add(a: Array, b: Array) -> Array:
    return (lax.bitwise_or if _is_bool(a) else lax.add)(a, b)


def _mul(a: Array, b: Array) -> Array:
    return (lax.bitwise_and if _is_bool(a) else lax.mul)(a, b)


def _abs(x: Array) -> Array:
    signed = is_float(x) or jnp.issubdtype(x.dtype, np.signedinteger)
    return lax.abs(x) if signed else x


def larger(a: Array, b: Array) -> Array:
    """Return the larger of two, NaN where one is; of equals the second (of zeros)."""
    return (
        lax.select(lax.gt(a, b) | lax.ne(a, a), a, b) if is_float(a) else lax.max(a, b)
    )


def _smaller(a: Array, b: Array) -> Array:
    """Return the smaller of two, NaN where one is; of equals the second (of zeros)."""
    return (
        lax.select(lax.lt(a, b) | lax.ne(a, a), a, b) if is_float(a) else lax.min(a, b)
    )


def _sign(x: Array) -> Array:
    zero = same(x, 0)
    positive = lax.convert_element_type(lax.gt(x, zero), x.dtype)
    if jnp.issubdtype(x.dtype, np.unsignedinteger):
        return positive
    sign = positive - lax.convert_element_type(lax.lt(x, zero), x.dtype)
    return lax.select(lax.ne(x, x), x, sign) if is_float(x) else sign


def _isnan(x: Array) -> Array:
    return lax.ne(x, x)


def _round(x: Array) -> Array:
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


def _sigmoid(x: Array) -> Array:
    one, e = same(x, 1), lax.exp(-lax.abs(x))
    return lax.select(lax.lt(x, same(x, 0)), e, one) / (e + one)


def _copysign(x: Array, s: Array) -> Array:
    bits, top = _bits(x)
    joined = (_as(x, bits) & ~top) | (_as(s, bits) & top)
    return lax.bitcast_convert_type(joined, x.dtype)


def _bits(x: Array) -> tuple[np.dtype[Any], Any]:
    """Return the unsigned type of a float's size, and its number of the sign's bit."""
    bits = np.dtype(f"u{x.dtype.itemsize}")
    return bits, bits.type(1 << (8 * bits.itemsize - 1))


def _as(x: Array, bits: np.dtype[Any]) -> Array:
    return lax.bitcast_convert_type(x, bits)


def convert(x: Array, *, dtype: DType) -> Array:
    """Return x in another type; floats out of an integer's range are its ends.

    From and to bfloat16 by way of float32. XLA drops a conversion to a narrower type
    and back, and keeps a reduced precision that is asked for. It takes a product with
    a converted truth value for a choice, whose zeros hide NaN: these are chosen here.
    """
    if _is_bool(x) and dtype.is_float:
        one = lax.full(x.shape, 1, np.float32)
        x = lax.select(x, one, same(one, 0))
    if DType.bfloat16.numpy in (x.dtype, dtype.numpy):
        x = lax.convert_element_type(x, np.float32)
    if dtype is DType.bfloat16:
        x = lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)
    made = lax.convert_element_type(x, dtype.numpy)
    if not is_float(x) or not dtype.is_integer:
        return made
    limits = np.iinfo(dtype.numpy)
    low, high = float(limits.min), float(limits.max + 1)
    made = lax.select(lax.le(x, same(x, low)), same(made, limits.min), made)
    made = lax.select(lax.ge(x, same(x, high)), same(made, limits.max), made)
    return lax.select(lax.ne(x, x), same(made, 0), made)


def _any_left(held: tuple[Array, ...]) -> Array:
    return jnp.any(held[-1] != 0)


def _pow(x: Array, p: Array) -> Array:
    if is_float(x):
        return lax.pow(x, p)
    zero, one = same(x, 0), same(x, 1)

    def squared(held: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        powers, base, rest = held
        powers = lax.select(lax.ne(rest & one, zero), powers * base, powers)
        return powers, base * base, lax.shift_right_logical(rest, one)

    first = (one, x, lax.max(p, zero))
    powers, __, __ = lax.while_loop(_any_left, squared, first)
    if jnp.issubdtype(x.dtype, np.unsignedinteger):
        return powers
    odd = lax.select(lax.ne(p & one, zero), x, one)
    inverse = lax.select(lax.eq(lax.abs(x), one), odd, zero)
    return lax.select(lax.lt(p, zero), inverse, powers)


# -- quotients -------------------------------------------------------------------------


def _whole(a: Array, b: Array) -> tuple[Array, Array]:
    """Return floor(a/b) and the remainder of integers; both 0 where b is 0."""
    zero, one = same(a, 0), same(a, 1)
    none = lax.eq(b, zero)
    divisor = lax.select(none, one, b)
    quotient, rest = lax.div(a, divisor), lax.rem(a, divisor)
    if jnp.issubdtype(a.dtype, np.signedinteger):
        below = lax.ne(rest, zero) & lax.ne(lax.lt(rest, zero), lax.lt(divisor, zero))
        quotient = lax.select(below, quotient - one, quotient)
        rest = lax.select(below, rest + divisor, rest)
    return lax.select(none, zero, quotient), lax.select(none, zero, rest)


def _real(a: Array, b: Array) -> tuple[Array, Array]:
    """Return floor(a/b) and the remainder of floats, which has the sign of b."""
    zero, one = same(a, 0), same(a, 1)
    rest = lax.rem(a, b)
    quotient = (a - rest) / b
    below = lax.ne(rest, zero) & lax.ne(lax.lt(b, zero), lax.lt(rest, zero))
    quotient = lax.select(below, quotient - one, quotient)
    lower = lax.floor(quotient)
    lower = lax.select(lax.gt(quotient - lower, same(a, 0.5)), lower + one, lower)
    lower = lax.select(lax.eq(quotient, zero), _copysign(zero, a / b), lower)
    none = lax.eq(b, zero)
    positive = lax.select(below, rest + b, rest)
    positive = lax.select(lax.eq(rest, zero), _copysign(zero, b), positive)
    return lax.select(none, a / b, lower), lax.select(none, rest, positive)


def _quotient(which: int) -> Lowering:
    return lambda a, b: (_real if is_float(a) else _whole)(a, b)[which]


def _gcd(a: Array, b: Array) -> Array:
    """Return the greatest common divisor: Euclid's, of numbers without a sign."""
    kind, whole = a.dtype, np.dtype(f"u{a.dtype.itemsize}")
    one = np.array(1, whole)

    def step(held: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = held
        ended = lax.eq(b, same(b, 0))
        rest = lax.rem(a, lax.select(ended, same(b, one), b))
        return lax.select(ended, a, b), lax.select(ended, b, rest)

    # The smallest integer is its own absolute value, and right without a sign.
    pair = (_abs(a).astype(whole), _abs(b).astype(whole))
    return lax.while_loop(_any_left, step, pair)[0].astype(kind)


# -- bits ------------------------------------------------------------------------------


def _shift_right(x: Array, n: Array) -> Array:
    signed = jnp.issubdtype(x.dtype, np.signedinteger)
    return (lax.shift_right_arithmetic if signed else lax.shift_right_logical)(x, n)


def _cos_turn(v: Array) -> Array:
    share = jnp.where(jnp.abs(v) > 1, v - jnp.rint(v), v)
    return lax.cos(same(v, 2 * math.pi) * share)


ELEMENTWISE: dict[Primitive, Lowering] = {
    elementwise.add: _add,
    elementwise.sub: lax.sub,
    elementwise.mul: _mul,
    elementwise.div: lax.div,
    elementwise.neg: lax.neg,
    elementwise.exp: lax.exp,
    elementwise.log: lax.log,
    elementwise.log1p: lax.log1p,
    elementwise.expm1: lax.expm1,
    elementwise.tanh: lax.tanh,
    elementwise.sigmoid: _sigmoid,
    elementwise.erf: lax.erf,
    elementwise.erfc: lax.erfc,
    elementwise.sqrt: lax.sqrt,
    elementwise.abs_: _abs,
    elementwise.sign: _sign,
    elementwise.maximum: larger,
    elementwise.minimum: _smaller,
    elementwise.less: lax.lt,
    elementwise.equal: lax.eq,
    elementwise.where: lax.select,
    elementwise.isnan: _isnan,
    elementwise.convert: convert,
    elementwise.floor: lax.floor,
    elementwise.round_: _round,
    elementwise.copysign: _copysign,
    elementwise.nextafter: lax.nextafter,
    elementwise.pow_: _pow,
    trigonometry.sin: lax.sin,
    trigonometry.cos: lax.cos,
    trigonometry.cos_turn: _cos_turn,
    trigonometry.atan2: lax.atan2,
    integers.floor_divide: _quotient(0),
    integers.remainder: _quotient(1),
    integers.gcd: _gcd,
    integers.bitwise_and: lax.bitwise_and,
    integers.bitwise_or: lax.bitwise_or,
    integers.bitwise_xor: lax.bitwise_xor,
    integers.bitwise_not: lax.bitwise_not,
    integers.shift_left: lax.shift_left,
    integers.shift_right: _shift_right,
}
