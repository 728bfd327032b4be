"""Functions of the elements of several tensors, and the parts of floating numbers.

Scaled products and quotients, limits, remainders, powers of two, common divisors.
"""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

from chainrule.composites import elementary
from chainrule.errors import ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.arithmetic import (
    add,
    clamp,
    div,
    isfinite,
    isinf,
    isnan,
    le,
    mul,
    ne,
    number,
    pow_,
    sub_scaled,
    times,
)
from chainrule.operations.elementwise import trunc
from chainrule.operations.op import op
from chainrule.operations.operands import (
    astype,
    broadcast_to,
    full,
    is_number,
    operands,
    promoted,
    value_of,
)
from chainrule.primitives import elementwise as prims
from chainrule.primitives import integers
from chainrule.primitives.elementwise import where
from chainrule.primitives.integers import bitwise_and, bitwise_xor
from chainrule.primitives.rules import same, show
from chainrule.text import _

# -- sums and limits ------------------------------------------------------------------


@op(in_place=True)
def addcmul(x: Value, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Value:
    """Return x + value · tensor1 · tensor2, element by element.

    >>> import chainrule as cr
    >>> cr.addcmul(cr.tensor([1.0, 2.0]), cr.tensor([3.0, 4.0]), 2.0, value=0.5)
    tensor([4., 6.])
    """
    return add(*promoted(x, times(mul(*operands(tensor1, tensor2)), value)))


@op(in_place=True)
def addcdiv(x: Value, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Value:
    """Return x + value · tensor1 / tensor2; the quotient of integers is a float."""
    return add(*promoted(x, times(div(tensor1, tensor2), value)))


@op
def rsub(x: Any, other: Any, *, alpha: Any = 1) -> Value:
    """Return other − alpha · x of tensors."""
    return sub_scaled(other, x, alpha=alpha)


@op(in_place=True)
def clamp_min(x: Value, min: Any) -> Value:
    """Raise the elements of a tensor to a limit; the limit has x's derivative."""
    return clamp(x, min=min)


@op(in_place=True)
def clamp_max(x: Value, max: Any) -> Value:
    """Lower the elements of a tensor to a limit; the limit has x's derivative."""
    return clamp(x, max=max)


def _known(result: Value, x: Value, other: Value) -> Value:
    """Return a result where neither operand is NaN, else the operand that is not."""
    return where(isnan(other), x, where(isnan(x), other, result))


@op
def fmax(x: Value, other: Value) -> Value:
    """Return the larger elements, ignoring NaN; a tie has x's derivative.

    >>> import chainrule as cr
    >>> cr.fmax(cr.tensor([1.0, cr.nan]), cr.tensor([2.0, 3.0]))
    tensor([2., 3.])
    """
    return _known(prims.maximum(other, x), x, other)


@op
def fmin(x: Value, other: Value) -> Value:
    """Return the smaller elements, ignoring NaN; a tie has x's derivative."""
    return _known(prims.minimum(other, x), x, other)


@op(in_place=True)
def heaviside(x: Value, values: Value) -> Value:
    """Return 0 where x < 0, 1 where x > 0, and ``values`` where x = 0; 0 for NaN."""
    zero = number(0, x)
    step = astype(prims.less(zero, x), x.dtype)
    return where(prims.equal(x, zero), values, step)


@op(in_place=True, wide=False)
def fill(x: Value, value: Any) -> Value:
    """Return a tensor of x's shape and dtype that has one value everywhere."""
    v = value_of(value, x.dtype)
    if v.shape:
        raise ShapeError(_("fill takes one number."), got=show(v.shape))
    return broadcast_to(v, x.shape)


# -- remainders, powers, divisors -----------------------------------------------------


@op(in_place=True)
def fmod(x: Value, other: Value) -> Value:
    """Return the remainder of x / other with the sign of x, exact; 0 by the integer 0.

    >>> import chainrule as cr
    >>> cr.fmod(cr.tensor([5.5, -5.5]), 2), cr.tensor([5.5, -5.5]) % 2
    (tensor([ 1.5, -1.5]), tensor([1.5, 0.5]))
    """
    if x.dtype.is_float:
        sign = prims.copysign(number(1, x), x)
        return mul(integers.remainder(mul(x, sign), prims.abs_(other)), sign)
    rest, zero = integers.remainder(x, other), number(0, x)
    apart = bitwise_xor(prims.less(rest, zero), prims.less(x, zero))
    return where(bitwise_and(apart, ne(rest, zero)), prims.sub(rest, other), rest)


@op(in_place=True)
def frac(x: Value) -> Value:
    """Return the fractional part x − trunc(x) of floats, with the sign of x."""
    same("frac", 1, "floats")(x.type)
    return prims.sub(x, trunc(x))


@op(in_place=True)
def float_power(x: Any, exponent: Any) -> Value:
    """Return the power xᵖ of tensors, computed in float64."""
    x, exponent = [
        float(y) if is_number(y) else astype(value_of(y), DType.float64)
        for y in (x, exponent)
    ]
    return pow_(x, exponent)


@op(floats=True, in_place=True)
def ldexp(x: Value, other: Value) -> Value:
    """Return x · 2^other of two tensors."""
    return mul(x, prims.pow_(number(2, other), other))


T = TypeVar("T")


class Scaled(NamedTuple, Generic[T]):
    """Floating numbers as mantissa · 2^exponent."""

    mantissa: T
    exponent: T


@op
def frexp(x: Value) -> Scaled:
    r"""Split floats into mantissa · 2^exponent with ½ ≤ \|mantissa\| < 1.

    Zeros, infinities and NaN are their own mantissas, with exponent 0.

    >>> import chainrule as cr
    >>> cr.frexp(cr.tensor([3.0, -0.25])).mantissa
    tensor([ 0.75, -0.5 ])
    """
    same("frexp", 1, "floats")(x.type)
    v = astype(x, DType.float64)
    one, half, two = [number(n, v) for n in (1, 0.5, 2)]
    # What is less than any normal number is made larger first.
    small = prims.less(prims.abs_(v), number(2.0**-960, v))
    v = mul(v, where(small, number(2.0**100, v), one))
    some = bitwise_and(isfinite(v), ne(v, number(0, v)))
    v = where(some, v, one)
    size = prims.abs_(v)
    e = add(prims.floor(div(prims.log(size), number(math.log(2), v))), one)
    part = prims.floor(mul(e, half))
    powers = [prims.pow_(two, prims.neg(n)) for n in (part, prims.sub(e, part))]
    m = mul(mul(v, powers[0]), powers[1])  # but for the logarithm's rounding
    above, below = le(one, prims.abs_(m)), prims.less(prims.abs_(m), half)
    m = where(above, mul(m, half), where(below, mul(m, two), m))
    e = prims.sub(add(e, astype(above, v.dtype)), astype(below, v.dtype))
    e = prims.sub(e, where(small, number(100, v), number(0, v)))
    mantissa = where(some, astype(m, x.dtype), x)
    return Scaled(mantissa, astype(where(some, e, number(0, v)), DType.int32))


@op(in_place=True)
def gcd(x: Value, other: Value) -> Value:
    """Return the greatest common divisors of integers, ≥ 0; 0 of two zeros.

    >>> import chainrule as cr
    >>> cr.gcd(cr.tensor([12, -18]), 8), cr.lcm(cr.tensor([12, -18]), 8)
    (tensor([4, 2]), tensor([24, 72]))
    """
    return integers.gcd(x, other)


@op(in_place=True)
def lcm(x: Value, other: Value) -> Value:
    """Return the least common multiples of integers, ≥ 0; 0 where one is 0."""
    quotient = integers.floor_divide(x, integers.gcd(x, other))
    return prims.abs_(mul(quotient, other))


# -- logarithms, angles ---------------------------------------------------------------


@op(floats=True)
def logaddexp2(x: Value, other: Value) -> Value:
    """Return log₂(2ˣ + 2ʸ) of two tensors, without overflow."""
    unit = number(math.log(2), x)
    return div(elementary.logaddexp(mul(x, unit), mul(other, unit)), unit)


@op(floats=True, in_place=True)
def deg2rad(x: Value) -> Value:
    """Return angles in radians of a tensor of angles in degrees."""
    return mul(x, number(math.pi / 180, x))


@op(floats=True, in_place=True)
def rad2deg(x: Value) -> Value:
    """Return angles in degrees of a tensor of angles in radians."""
    return mul(x, number(180 / math.pi, x))


# -- tests ----------------------------------------------------------------------------


@op
def isposinf(x: Value) -> Value:
    """Return whether each element of a tensor is ∞."""
    return bitwise_and(isinf(x), prims.less(number(0, x), x))


@op
def isneginf(x: Value) -> Value:
    """Return whether each element of a tensor is −∞."""
    return bitwise_and(isinf(x), prims.less(x, number(0, x)))


@op
def isreal(x: Value) -> Value:
    """Return whether each element is a real number: true, as all of them are."""
    return full(True, DType.bool, x.shape)
