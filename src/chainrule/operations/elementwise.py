"""Elementwise functions of values of one dtype and shape.

What has no primitive of its own is composed so that neither value nor derivative
overflows where the function itself does not: what would, in the branch that ``where``
does not take, is given a harmless argument there.
"""

from __future__ import annotations

import math

from chainrule.errors import ArgumentError
from chainrule.graph.build import bind
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.operands import (
    broadcast_shapes,
    cast,
    filled,
    floating,
    number_dtype,
    promote,
    stretch,
)
from chainrule.primitives import elementwise as prims
from chainrule.primitives.elementwise import (
    abs_,
    copysign,
    div,
    equal,
    less,
    log,
    log1p,
    maximum,
    minimum,
    neg,
    pow_,
    sqrt,
    sub,
    where,
)
from chainrule.primitives.integers import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    floor_divide,
)
from chainrule.primitives.trigonometry import atan2, cos, sin
from chainrule.text import _


def number(n: float, x: Value) -> Value:
    """Return the number ``n`` filled into the dtype and shape of ``x``."""
    return filled(n, x.dtype, x.shape)


def constant_truth(truth: bool, x: Value) -> Value:
    return filled(truth, DType.bool, x.shape)


# -- arithmetic -----------------------------------------------------------------------


def add(a: Value, b: Value) -> Value:
    """Return a + b; for truth values, the logical or."""
    return bind(bitwise_or if a.dtype is DType.bool else prims.add, (a, b), {})


def mul(a: Value, b: Value) -> Value:
    """Return a · b; for truth values, the logical and."""
    return bind(bitwise_and if a.dtype is DType.bool else prims.mul, (a, b), {})


def power(x: Value, p: float) -> Value:
    """Return xᵖ for a number p; small integers by multiplication, ½ by the root."""
    if x.dtype is DType.bool:
        x = cast(x, number_dtype(p, x.dtype))
    if not x.dtype.is_float and isinstance(p, float):
        x = floating(x)
    if not x.dtype.is_float and p < 0:
        raise ArgumentError(
            _("An integer to a negative power is no integer."),
            expected=_("an exponent ≥ 0, or floats"),
            got=f"{x.dtype.name} ** {p}",
            fix=f"x.float() ** {p}",
        )
    x = cast(x, number_dtype(p, x.dtype))
    if p == 1:
        return x
    if p == 2:
        return mul(x, x)
    if p == 3:
        return mul(mul(x, x), x)
    if p == -1:
        return reciprocal(x)
    if p == 0.5:
        return sqrt(x)
    x = cast(x, number_dtype(p + 0, x.dtype))  # a truth value counts as 0 or 1
    return pow_(x, number(p, x))


def square(x: Value) -> Value:
    return power(x, 2)


def reciprocal(x: Value) -> Value:
    return div(number(1, x), x)


def select(condition: Value, a: Value, b: Value) -> Value:
    """Return ``a`` where ``condition`` is true, else ``b``, all three broadcast."""
    condition = cast(condition, DType.bool)
    dtype = promote(a.dtype, b.dtype)
    a, b = cast(a, dtype), cast(b, dtype)
    shape = broadcast_shapes(broadcast_shapes(condition.shape, a.shape), b.shape)
    return where(stretch(condition, shape), stretch(a, shape), stretch(b, shape))


def clip(x: Value, low: Value | None, high: Value | None) -> Value:
    """Clip x to limits; at a limit the derivative is that of x."""
    if low is not None:
        x = maximum(low, x)
    return x if high is None else minimum(high, x)


def lerp(a: Value, b: Value, weight: Value) -> Value:
    """Return a + w (b − a), from the nearer end, so that both ends are exact."""
    span = sub(b, a)
    near_b = sub(b, mul(span, sub(number(1, weight), weight)))
    return where(less(weight, number(0.5, weight)), add(a, mul(weight, span)), near_b)


# -- comparisons ----------------------------------------------------------------------


def less_equal(a: Value, b: Value) -> Value:
    return bitwise_or(less(a, b), equal(a, b))


def not_equal(a: Value, b: Value) -> Value:
    return bitwise_not(equal(a, b))


def isnan(x: Value) -> Value:
    return prims.isnan(x) if x.dtype.is_float else constant_truth(False, x)


def isinf(x: Value) -> Value:
    if not x.dtype.is_float:
        return constant_truth(False, x)
    return equal(abs_(x), number(math.inf, x))


def isfinite(x: Value) -> Value:
    if not x.dtype.is_float:
        return constant_truth(True, x)
    return less(abs_(x), number(math.inf, x))


def isclose(a: Value, b: Value, rtol: float, atol: float, nan: bool) -> Value:
    """Return whether |a − b| ≤ atol + rtol · |b|; integers are compared in float64."""
    made = equal(a, b)
    if nan:
        made = bitwise_or(made, bitwise_and(isnan(a), isnan(b)))
    if not (rtol or atol):
        return made
    a, b = [x if x.dtype.is_float else cast(x, DType.float64) for x in (a, b)]
    finite = bitwise_and(isfinite(a), isfinite(b))
    a, b = [where(finite, x, number(0, x)) for x in (a, b)]
    margin = add(number(atol, b), mul(number(rtol, b), abs_(b)))
    near = less_equal(abs_(sub(a, b)), margin)
    return bitwise_or(made, bitwise_and(finite, near))


def signbit(x: Value) -> Value:
    """Return whether x has a minus sign, as −0 has."""
    if x.dtype.is_float:
        x = copysign(number(1, x), x)
    return less(x, number(0, x))


def nan_to_num(x: Value, nan: float, posinf: float, neginf: float) -> Value:
    if not x.dtype.is_float:
        return x
    made = where(isnan(x), number(nan, x), x)
    made = where(equal(x, number(math.inf, x)), number(posinf, x), made)
    return where(equal(x, number(-math.inf, x)), number(neginf, x), made)


# -- rounding -------------------------------------------------------------------------


def floor(x: Value) -> Value:
    return prims.floor(x) if x.dtype.is_float else x


def ceil(x: Value) -> Value:
    return neg(prims.floor(neg(x))) if x.dtype.is_float else x


def trunc(x: Value) -> Value:
    return copysign(prims.floor(abs_(x)), x) if x.dtype.is_float else x


def round_(x: Value, decimals: int = 0) -> Value:
    """Round to a number of decimals, halves to the even neighbour."""
    if not x.dtype.is_float:
        if decimals < 0:
            raise ArgumentError(
                _("Integers are not rounded to tens."),
                expected=_("decimals ≥ 0, which leaves integers as they are"),
                got=_(
                    "decimals={decimals} for {name}",
                    decimals=decimals,
                    name=x.dtype.name,
                ),
                fix="x.double().round(decimals=…)",
            )
        return x
    if not decimals:
        return prims.round_(x)
    scale = number(10.0**decimals, x)
    return div(prims.round_(mul(x, scale)), scale)


def divided(a: Value, b: Value, mode: str) -> Value:
    """Return a / b, rounded down (``"floor"``) or towards zero (``"trunc"``)."""
    if mode == "floor":
        return floor_divide(a, b)
    if a.dtype.is_float:
        return trunc(div(a, b))
    down = floor_divide(a, b)
    zero = number(0, a)
    rest = not_equal(mul(down, b), a)
    below = bitwise_and(rest, bitwise_xor(less(a, zero), less(b, zero)))
    return add(down, cast(below, a.dtype))


# -- exponentials and logarithms ------------------------------------------------------


def exp2(x: Value) -> Value:
    return pow_(number(2, x), x)


def log2(x: Value) -> Value:
    return div(log(x), number(math.log(2), x))


def log10(x: Value) -> Value:
    return div(log(x), number(math.log(10), x))


# -- circular and hyperbolic functions ------------------------------------------------


def tan(x: Value) -> Value:
    return div(sin(x), cos(x))


def atan(x: Value) -> Value:
    return atan2(x, number(1, x))


def atanh(x: Value) -> Value:
    return mul(sub(log1p(x), log1p(neg(x))), number(0.5, x))
