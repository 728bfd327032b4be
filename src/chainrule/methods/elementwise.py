"""Elementwise tensor methods."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from chainrule.graph.build import context
from chainrule.graph.node import Value
from chainrule.methods.operators import clipped, power_of
from chainrule.operations import elementwise as ops
from chainrule.operations.arguments import axis_of, either
from chainrule.operations.operands import (
    TensorBase,
    float_pair,
    floating,
    pair,
    value_of,
)
from chainrule.operations.reductions import truth
from chainrule.primitives import elementwise as prims
from chainrule.primitives import integers, trigonometry
from chainrule.regions import activations, elementary
from chainrule.util import validation


class Elementwise(TensorBase):
    """Elementwise tensor methods; real results of integers are float32."""

    __slots__ = ()

    def _real(self, function: Any) -> Self:
        return self._new(function(floating(self.value)))

    # -- exponentials, logarithms, roots ---------------------------------------------

    def exp(self) -> Self:
        """Return eˣ."""
        return self._new(prims.exp(floating(self.value)))

    def exp2(self) -> Self:
        """Return 2ˣ."""
        return self._real(ops.exp2)

    def expm1(self) -> Self:
        """Return eˣ − 1, exact near 0 too."""
        return self._real(prims.expm1)

    def log(self) -> Self:
        """Return the natural logarithm."""
        return self._real(prims.log)

    def log1p(self) -> Self:
        """Return ln(1 + x), exact near 0 too."""
        return self._real(prims.log1p)

    def log2(self) -> Self:
        """Return the logarithm to base 2."""
        return self._real(ops.log2)

    def log10(self) -> Self:
        """Return the logarithm to base 10."""
        return self._real(ops.log10)

    def logaddexp(self, other: Any) -> Self:
        """Return ln(eˣ + eʸ), without overflow."""
        return self._new(elementary.logaddexp(*float_pair(self, other)))

    def sqrt(self) -> Self:
        """Return the square root; its derivative at 0 is infinite."""
        return self._real(prims.sqrt)

    def rsqrt(self) -> Self:
        """Return 1 / √x."""
        return self._new(ops.reciprocal(prims.sqrt(floating(self.value))))

    def reciprocal(self) -> Self:
        """Return 1 / x."""
        return self._real(ops.reciprocal)

    def square(self) -> Self:
        """Return x²."""
        return self._new(ops.square(self.value))

    def pow(self, exponent: Any) -> Self:
        """Return xᵖ, for numbers and tensors p: ``x ** p``."""
        return self._new(power_of(self, exponent))

    def hypot(self, other: Any) -> Self:
        """Return √(x² + y²), without overflow."""
        return self._new(elementary.hypot(*float_pair(self, other)))

    # -- circular and hyperbolic functions -------------------------------------------

    def sin(self) -> Self:
        """Return the sine of an angle in radians."""
        return self._real(trigonometry.sin)

    def cos(self) -> Self:
        """Return the cosine of an angle in radians."""
        return self._real(trigonometry.cos)

    def tan(self) -> Self:
        """Return the tangent of an angle in radians."""
        return self._real(ops.tan)

    def asin(self) -> Self:
        """Return the arcsine: the angle from −π/2 to π/2 with a given sine."""
        return self._real(elementary.asin)

    def acos(self) -> Self:
        """Return the arccosine: the angle from 0 to π with a given cosine."""
        return self._real(elementary.acos)

    def atan(self) -> Self:
        """Return the arctangent: the angle from −π/2 to π/2 with a given tangent."""
        return self._real(ops.atan)

    def atan2(self, other: Any) -> Self:
        """Return the angle of the point (other, self), from −π to π."""
        return self._new(trigonometry.atan2(*float_pair(self, other)))

    def sinh(self) -> Self:
        """Return (eˣ − e⁻ˣ) / 2."""
        return self._real(elementary.sinh)

    def cosh(self) -> Self:
        """Return (eˣ + e⁻ˣ) / 2."""
        return self._real(elementary.cosh)

    def tanh(self) -> Self:
        """Return the hyperbolic tangent (2.7)."""
        return self._new(prims.tanh(floating(self.value)))

    def asinh(self) -> Self:
        """Return the inverse hyperbolic sine ln(x + √(x² + 1))."""
        return self._real(elementary.asinh)

    def acosh(self) -> Self:
        """Return the inverse hyperbolic cosine ln(x + √(x² − 1)), ≥ 0."""
        return self._real(elementary.acosh)

    def atanh(self) -> Self:
        """Return the inverse hyperbolic tangent ½ ln((1 + x) / (1 − x))."""
        return self._real(ops.atanh)

    def erf(self) -> Self:
        """Return the error function 2/√π ∫₀ˣ e^(−t²) dt."""
        return self._real(prims.erf)

    def erfc(self) -> Self:
        """Return 1 − erf x, accurate also where the result is near 0."""
        return self._real(prims.erfc)

    # -- activations -----------------------------------------------------------------

    def relu(self) -> Self:
        """Return max(x, 0), with derivative 0 at 0 (2.7)."""
        return self._new(activations.relu(self.value))

    def sigmoid(self) -> Self:
        """Return 1 / (1 + e⁻ˣ) (2.7)."""
        return self._real(activations.sigmoid)

    def softmax(self, dim: int = -1, *, axis: int | None = None) -> Self:
        """Return e^xᵢ / Σⱼ e^xⱼ along ``dim`` (3.2.3)."""
        at = axis_of(self.shape, either(dim, axis, -1))
        return self._new(activations.softmax(floating(self.value), axis=at))

    def log_softmax(self, dim: int = -1, *, axis: int | None = None) -> Self:
        """Return ln softmax, computed without underflow."""
        at = axis_of(self.shape, either(dim, axis, -1))
        return self._new(activations.log_softmax(floating(self.value), axis=at))

    # -- signs, limits, rounding -----------------------------------------------------

    def abs(self) -> Self:
        """Return \\|x\\|, with derivative 0 at 0."""
        return self._new(prims.abs_(self.value))

    absolute = abs

    def neg(self) -> Self:
        """Return −x."""
        return self._new(prims.neg(self.value))

    negative = neg

    def positive(self) -> Self:
        """Return x as a new tensor."""
        return +self  # pyright: ignore[reportOperatorIssue]

    def sign(self) -> Self:
        """Return the sign −1, 0 or 1, with derivative 0."""
        return self._new(prims.sign(self.value))

    def signbit(self) -> Self:
        """Return whether x has a minus sign, as −0 has."""
        return self._new(ops.signbit(self.value))

    def copysign(self, other: Any) -> Self:
        """Return \\|x\\| with the sign of ``other``."""
        return self._new(prims.copysign(*float_pair(self, other)))

    def nextafter(self, other: Any) -> Self:
        """Return the next floating-point number from x towards ``other``."""
        return self._new(prims.nextafter(*float_pair(self, other)))

    def clamp(self, min: Any = None, max: Any = None) -> Self:
        """Clip x to limits, numbers or tensors; the derivative at a limit is 1."""
        return self._new(clipped(self, min, max))

    clip = clamp

    def maximum(self, other: Any) -> Self:
        """Return the larger of two; at equality the derivative is ``other``'s."""
        return self._new(prims.maximum(*pair(self, other)))

    def minimum(self, other: Any) -> Self:
        """Return the smaller of two; at equality the derivative is ``other``'s."""
        return self._new(prims.minimum(*pair(self, other)))

    def floor(self) -> Self:
        """Return the largest integer ≤ x."""
        return self._new(ops.floor(self.value))

    def ceil(self) -> Self:
        """Return the smallest integer ≥ x."""
        return self._new(ops.ceil(self.value))

    def trunc(self) -> Self:
        """Return the integer part of x."""
        return self._new(ops.trunc(self.value))

    def round(self, decimals: int = 0) -> Self:
        """Round to a number of decimals, halves to the even neighbour."""
        decimals = validation.whole("decimals", decimals, least=-300, most=300)
        return self._new(ops.round_(self.value, decimals))

    def nan_to_num(
        self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
    ) -> Self:
        """Replace NaN and ±∞ by numbers: by default 0, the largest and the smallest."""
        v = self.value
        if v.dtype.is_float:
            largest = float(finite_limit(v))
            posinf = largest if posinf is None else posinf
            neginf = -largest if neginf is None else neginf
        return self._new(ops.nan_to_num(v, nan, posinf or 0, neginf or 0))

    def lerp(self, end: Any, weight: Any) -> Self:
        """Return x + weight · (end − x), exact at both ends."""
        v, w = float_pair(self, end)
        t = pair(self._new(v), weight)[1]
        v, t = pair(self._new(v), self._new(t))
        return self._new(ops.lerp(v, ops.stretch(w, v.shape), t))

    def masked_fill(self, mask: Any, value: Any) -> Self:
        """Return x with ``value`` where ``mask`` is true."""
        number = value_of(value, self.dtype)
        return self._new(ops.select(value_of(mask), number, self.value))

    def where(self, condition: Any, other: Any) -> Self:
        """Return x where ``condition`` is true, else ``other``."""
        v, w = pair(self, other)
        return self._new(ops.select(value_of(condition), v, w))

    # -- truth -----------------------------------------------------------------------

    def isnan(self) -> Self:
        """Return whether each element is NaN."""
        return self._new(ops.isnan(self.value))

    def isinf(self) -> Self:
        """Return whether each element is ∞ or −∞."""
        return self._new(ops.isinf(self.value))

    def isclose(
        self,
        other: Any,
        rtol: float = 1e-5,
        atol: float = 1e-8,
        equal_nan: bool = False,
    ) -> Self:
        """Return whether \\|x − y\\| ≤ atol + rtol · \\|y\\|, element by element."""
        v, w = pair(self, other)
        return self._new(ops.isclose(v, w, rtol, atol, equal_nan))

    def allclose(
        self,
        other: Any,
        rtol: float = 1e-5,
        atol: float = 1e-8,
        equal_nan: bool = False,
    ) -> Any:
        """Return whether all elements are close; see :meth:`isclose`.

        A truth value, unless traced.
        """
        made = self.isclose(other, rtol, atol, equal_nan).all()  # pyright: ignore
        return made if context.trace is not None else bool(made)

    def isfinite(self) -> Self:
        """Return whether each element is finite: neither ±∞ nor NaN."""
        return self._new(ops.isfinite(self.value))

    def logical_not(self) -> Self:
        """Return whether each element is 0 (logical not)."""
        return self._new(integers.bitwise_not(truth(self.value)))

    def logical_and(self, other: Any) -> Self:
        """Return whether both elements differ from 0."""
        return self._new(integers.bitwise_and(*_truths(self, other)))

    def logical_or(self, other: Any) -> Self:
        """Return whether at least one of two elements differs from 0."""
        return self._new(integers.bitwise_or(*_truths(self, other)))

    def logical_xor(self, other: Any) -> Self:
        """Return whether exactly one of two elements differs from 0."""
        return self._new(integers.bitwise_xor(*_truths(self, other)))

    def eq(self, other: Any) -> Self:
        """Return x = y, element by element."""
        return self._new(prims.equal(*pair(self, other)))

    def ne(self, other: Any) -> Self:
        """Return x ≠ y, element by element."""
        return self._new(ops.not_equal(*pair(self, other)))

    def lt(self, other: Any) -> Self:
        """Return x < y, element by element."""
        return self._new(prims.less(*pair(self, other)))

    def le(self, other: Any) -> Self:
        """Return x ≤ y, element by element."""
        return self._new(ops.less_equal(*pair(self, other)))

    def gt(self, other: Any) -> Self:
        """Return x > y, element by element."""
        return self._new(prims.less(*pair(other, self)))

    def ge(self, other: Any) -> Self:
        """Return x ≥ y, element by element."""
        return self._new(ops.less_equal(*pair(other, self)))

    # -- arithmetic by name ----------------------------------------------------------

    def add(self, other: Any, *, alpha: float = 1) -> Self:
        """Return x + alpha · y."""
        if alpha != 1:
            other = self._new(ops.mul(*pair(self._new(value_of(other)), alpha)))
        return self._new(ops.add(*pair(self, other)))

    def sub(self, other: Any, *, alpha: float = 1) -> Self:
        """Return x − alpha · y."""
        if alpha != 1:
            other = self._new(ops.mul(*pair(self._new(value_of(other)), alpha)))
        return self._new(prims.sub(*pair(self, other)))

    def mul(self, other: Any) -> Self:
        """Return x · y."""
        return self._new(ops.mul(*pair(self, other)))

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Self:
        """Return x / y, optionally rounded: ``"floor"`` or ``"trunc"``."""
        if rounding_mode is None:
            return self._new(prims.div(*float_pair(self, other)))
        validation.choice("floor", "trunc")("rounding_mode", rounding_mode)
        return self._new(ops.divided(*pair(self, other), rounding_mode))

    subtract, multiply, divide, true_divide = sub, mul, div, div
    greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne

    def floor_divide(self, other: Any) -> Self:
        """Return ⌊x / y⌋."""
        return self._new(integers.floor_divide(*pair(self, other)))

    def remainder(self, other: Any) -> Self:
        """Return the remainder of ⌊x / y⌋, with the sign of y."""
        return self._new(integers.remainder(*pair(self, other)))

    def bitwise_and(self, other: Any) -> Self:
        """Return the bitwise and: bits set in both operands."""
        return self._new(integers.bitwise_and(*pair(self, other)))

    def bitwise_or(self, other: Any) -> Self:
        """Return the bitwise or: bits set in at least one operand."""
        return self._new(integers.bitwise_or(*pair(self, other)))

    def bitwise_xor(self, other: Any) -> Self:
        """Return the bitwise exclusive or: bits set in exactly one operand."""
        return self._new(integers.bitwise_xor(*pair(self, other)))

    def bitwise_not(self) -> Self:
        """Return the bitwise complement."""
        return self._new(integers.bitwise_not(self.value))

    def bitwise_left_shift(self, other: Any) -> Self:
        """Shift the bits left: x · 2ʸ."""
        return self._new(integers.shift_left(*pair(self, other)))

    def bitwise_right_shift(self, other: Any) -> Self:
        """Shift the bits right: ⌊x / 2ʸ⌋."""
        return self._new(integers.shift_right(*pair(self, other)))


def finite_limit(v: Value) -> Any:
    """Return the largest finite number of a value's floating dtype."""
    return np.finfo(v.dtype.numpy).max


def _truths(a: Any, b: Any) -> tuple[Value, Value]:
    v, w = pair(a, b)
    return truth(v), truth(w)
