"""Elementwise functions: exponentials, angles, activations, signs, rounding.

What has no primitive of its own is composed so that neither value nor derivative
overflows where the function itself does not: what would, in the branch that ``where``
does not take, is given a harmless argument there. Real results of integers are float32.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.composites import activations, elementary
from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.graph.types import DType, as_dtype
from chainrule.operations.arguments import axis_of
from chainrule.operations.arithmetic import isnan, number
from chainrule.operations.op import op
from chainrule.operations.operands import astype
from chainrule.operations.shapes import of_lines
from chainrule.primitives import elementwise as prims
from chainrule.primitives import movement, trigonometry
from chainrule.primitives.elementwise import div, equal, mul, where
from chainrule.text import _
from chainrule.util import validation

# -- exponentials, logarithms, roots --------------------------------------------------


@op(floats=True, in_place=True)
def exp(x: Value) -> Value:
    """Return the exponential eˣ of each element of a tensor."""
    return prims.exp(x)


@op(floats=True, in_place=True)
def exp2(x: Value) -> Value:
    """Return the power 2ˣ of each element of a tensor."""
    return prims.pow_(number(2, x), x)


@op(floats=True, in_place=True)
def expm1(x: Value) -> Value:
    """Return eˣ − 1 of each element of a tensor, exact near 0 too."""
    return prims.expm1(x)


@op(floats=True, in_place=True)
def log(x: Value) -> Value:
    """Return the natural logarithm of each element of a tensor."""
    return prims.log(x)


@op(floats=True, in_place=True)
def log1p(x: Value) -> Value:
    """Return ln(1 + x) of each element of a tensor, exact near 0 too."""
    return prims.log1p(x)


@op(floats=True, in_place=True)
def log2(x: Value) -> Value:
    """Return the logarithm to base 2 of each element of a tensor."""
    return div(prims.log(x), number(math.log(2), x))


@op(floats=True, in_place=True)
def log10(x: Value) -> Value:
    """Return the logarithm to base 10 of each element of a tensor."""
    return div(prims.log(x), number(math.log(10), x))


@op(floats=True)
def logaddexp(x: Value, other: Value) -> Value:
    """Return ln(eˣ + eʸ) of two tensors, without overflow."""
    return elementary.logaddexp(x, other)


@op(floats=True, in_place=True)
def sqrt(x: Value) -> Value:
    """Return the square root of each element; its derivative at 0 is infinite."""
    return prims.sqrt(x)


@op(floats=True, in_place=True)
def rsqrt(x: Value) -> Value:
    """Return 1 / √x of each element of a tensor."""
    return reciprocal(prims.sqrt(x))


@op(floats=True, in_place=True)
def reciprocal(x: Value) -> Value:
    """Return the reciprocal 1 / x of each element of a tensor."""
    return div(number(1, x), x)


@op(floats=True, in_place=True)
def hypot(x: Value, other: Value) -> Value:
    """Return √(x² + y²) of two tensors, without overflow."""
    return elementary.hypot(x, other)


# -- circular and hyperbolic functions ------------------------------------------------


@op(floats=True, in_place=True)
def sin(x: Value) -> Value:
    """Return the sine of an angle in radians."""
    return trigonometry.sin(x)


@op(floats=True, in_place=True)
def cos(x: Value) -> Value:
    """Return the cosine of an angle in radians."""
    return trigonometry.cos(x)


@op(floats=True, in_place=True)
def tan(x: Value) -> Value:
    """Return the tangent of an angle in radians."""
    return div(trigonometry.sin(x), trigonometry.cos(x))


@op("arcsin", floats=True, in_place=True)
def asin(x: Value) -> Value:
    """Return the arcsine: the angle from −π/2 to π/2 with a given sine."""
    return elementary.asin(x)


@op("arccos", floats=True, in_place=True)
def acos(x: Value) -> Value:
    """Return the arccosine: the angle from 0 to π with a given cosine."""
    return elementary.acos(x)


@op("arctan", floats=True, in_place=True)
def atan(x: Value) -> Value:
    """Return the arctangent: the angle from −π/2 to π/2 with a given tangent."""
    return trigonometry.atan2(x, number(1, x))


@op("arctan2", floats=True, in_place=True)
def atan2(x: Value, other: Value) -> Value:
    """Return the angle of the point (other, x), from −π to π."""
    return trigonometry.atan2(x, other)


@op(floats=True, in_place=True)
def sinh(x: Value) -> Value:
    """Return the hyperbolic sine (eˣ − e⁻ˣ) / 2."""
    return elementary.sinh(x)


@op(floats=True, in_place=True)
def cosh(x: Value) -> Value:
    """Return the hyperbolic cosine (eˣ + e⁻ˣ) / 2."""
    return elementary.cosh(x)


@op(floats=True, in_place=True)
def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent (2.7)."""
    return prims.tanh(x)


@op("arcsinh", floats=True, in_place=True)
def asinh(x: Value) -> Value:
    """Return the inverse hyperbolic sine ln(x + √(x² + 1))."""
    return elementary.asinh(x)


@op("arccosh", floats=True, in_place=True)
def acosh(x: Value) -> Value:
    """Return the inverse hyperbolic cosine ln(x + √(x² − 1)), ≥ 0."""
    return elementary.acosh(x)


@op("arctanh", floats=True, in_place=True)
def atanh(x: Value) -> Value:
    """Return the inverse hyperbolic tangent ½ ln((1 + x) / (1 − x))."""
    twice = prims.sub(prims.log1p(x), prims.log1p(prims.neg(x)))
    return mul(twice, number(0.5, x))


@op(floats=True, in_place=True)
def erf(x: Value) -> Value:
    """Return the error function 2/√π ∫₀ˣ e^(−t²) dt."""
    return prims.erf(x)


@op(floats=True, in_place=True)
def erfc(x: Value) -> Value:
    """Return the complementary error function 1 − erf x, accurate near 0 too."""
    return prims.erfc(x)


# -- activations ----------------------------------------------------------------------


@op(in_place=True)
def relu(x: Value) -> Value:
    """Return the ReLU max(x, 0) of a tensor, with derivative 0 at 0 (2.7)."""
    return activations.relu(x)


@op(floats=True, in_place=True)
def sigmoid(x: Value) -> Value:
    """Return the sigmoid 1 / (1 + e⁻ˣ) of a tensor (2.7)."""
    return activations.sigmoid(x)


@op(floats=True)
@of_lines
def softmax(x: Value, dim: int = -1, *, dtype: Any = None) -> Value:
    """Return the softmax e^xᵢ / Σⱼ e^xⱼ of a tensor along ``dim`` (3.2.3)."""
    return _normalized(activations.softmax, x, dim, dtype)


@op(floats=True)
@of_lines
def log_softmax(x: Value, dim: int = -1, *, dtype: Any = None) -> Value:
    """Return the logarithm of the softmax along ``dim``, without underflow."""
    return _normalized(activations.log_softmax, x, dim, dtype)


def _normalized(composite: Any, x: Value, dim: int, dtype: Any) -> Value:
    """Return a softmax along ``dim``, of no elements none."""
    axis = axis_of(x.shape, dim)
    x = x if dtype is None else astype(x, as_dtype(dtype))
    return composite(x, axis=axis) if x.shape[axis] != 0 else movement.copy(x)


# -- signs, rounding ------------------------------------------------------------------


@op("sgn", in_place=True)
def sign(x: Value) -> Value:
    """Return the sign −1, 0 or 1 of each element of a tensor, with derivative 0."""
    return x if x.dtype is DType.bool else prims.sign(x)


@op
def signbit(x: Value) -> Value:
    """Return whether each element of a tensor has a minus sign, as −0 has."""
    if x.dtype.is_float:
        x = prims.copysign(number(1, x), x)
    return prims.less(x, number(0, x))


@op(floats=True, in_place=True)
def copysign(x: Value, other: Value) -> Value:
    r"""Return \|x\| with the sign of ``other``, element by element."""
    return prims.copysign(x, other)


@op(floats=True, in_place=True, wide=False)
def nextafter(x: Value, other: Value) -> Value:
    """Return the next floating-point number from x towards ``other``."""
    return prims.nextafter(x, other)


@op(in_place=True)
def floor(x: Value) -> Value:
    """Return the largest integer ≤ x for each element of a tensor."""
    return prims.floor(x) if x.dtype.is_float else x


@op(in_place=True)
def ceil(x: Value) -> Value:
    """Return the smallest integer ≥ x for each element of a tensor."""
    return prims.neg(prims.floor(prims.neg(x))) if x.dtype.is_float else x


@op("fix", in_place=True)
def trunc(x: Value) -> Value:
    """Return the integer part of each element of a tensor."""
    if not x.dtype.is_float:
        return x
    return prims.copysign(prims.floor(prims.abs_(x)), x)


@op(in_place=True)
def round_(x: Value, decimals: int = 0) -> Value:
    """Round a tensor to a number of decimals, halves to the even neighbour."""
    decimals = validation.whole("decimals", decimals, least=-300, most=300)
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


@op(in_place=True, wide=False)
def nan_to_num(
    x: Value,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Value:
    """Replace a tensor's NaN and ±∞ by numbers, by default 0 and the extremes."""
    if not x.dtype.is_float:
        return x
    limit = float(x.dtype.limits.max)
    high = limit if posinf is None else posinf
    low = -limit if neginf is None else neginf
    result = where(isnan(x), number(nan, x), x)
    result = where(equal(x, number(math.inf, x)), number(high, x), result)
    return where(equal(x, number(-math.inf, x)), number(low, x), result)
