"""Elementwise functions of one, two or three tensors.

Those of one are the methods of tensors, called with a tensor or what makes one. Of two
operands one may be a number, which then follows the dtype of the other.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from chainrule.errors import CallError, ChainruleError
from chainrule.methods.operators import clipped, power_of
from chainrule.operations import elementwise as ops
from chainrule.operations.operands import (
    both,
    float_pair,
    is_number,
    pair,
    value_of,
)
from chainrule.operations.reductions import truth
from chainrule.primitives import elementwise as prims
from chainrule.primitives import integers, trigonometry
from chainrule.regions import elementary
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "allclose",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clamp",
    "clip",
    "copysign",
    "cos",
    "cosh",
    "div",
    "divide",
    "eq",
    "equal",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "hypot",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "lerp",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "masked_fill",
    "maximum",
    "minimum",
    "mul",
    "multiply",
    "nan_to_num",
    "ne",
    "neg",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "reciprocal",
    "relu",
    "remainder",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "softmax",
    "sqrt",
    "square",
    "sub",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
    "where",
]

P = ParamSpec("P")
R = TypeVar("R")


#: Exceptions that Python and NumPy raise at arguments that make no sense.
INVALID_CALL = (TypeError, ValueError, ArithmeticError, LookupError)
INVALID_CALL += (AttributeError, BufferError)


def call_error(function: Callable[..., Any], error: Exception) -> CallError:
    """Return a CallError for an exception that a call's arguments raised."""
    name = function.__name__
    return CallError(
        _("{name} is not called like that.", name=name),
        expected=f"{name}{inspect.signature(function)}".replace("(self, ", "(x, "),
        got=f"{type(error).__name__}: {error}",
    )


def raises_call_error(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to convert Python's and NumPy's errors to a CallError."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except ChainruleError:
            raise
        except INVALID_CALL as error:
            raise call_error(function, error) from error

    return call


def function(
    method: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], R]:
    """Return a tensor method as a function of a tensor, or of array-like data."""

    def call(x: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(as_tensor(x), *args, **kwargs)
        except ChainruleError:
            raise
        except INVALID_CALL as error:
            raise call_error(method, error) from error

    call.__name__ = call.__qualname__ = method.__name__
    call.__doc__, call.__module__ = method.__doc__, "chainrule"
    call.__wrapped__ = method  # pyright: ignore[reportFunctionMemberAccess]
    return call


abs = function(Tensor.abs)
absolute = function(Tensor.absolute)
acos = function(Tensor.acos)
acosh = function(Tensor.acosh)
asin = function(Tensor.asin)
asinh = function(Tensor.asinh)
atan = function(Tensor.atan)
atanh = function(Tensor.atanh)
bitwise_not = function(Tensor.bitwise_not)
ceil = function(Tensor.ceil)
cos = function(Tensor.cos)
cosh = function(Tensor.cosh)
equal = function(Tensor.equal)
erf = function(Tensor.erf)
erfc = function(Tensor.erfc)
exp = function(Tensor.exp)
exp2 = function(Tensor.exp2)
isclose = function(Tensor.isclose)
allclose = function(Tensor.allclose)
expm1 = function(Tensor.expm1)
floor = function(Tensor.floor)
isfinite = function(Tensor.isfinite)
isinf = function(Tensor.isinf)
isnan = function(Tensor.isnan)
log = function(Tensor.log)
log10 = function(Tensor.log10)
log1p = function(Tensor.log1p)
log2 = function(Tensor.log2)
log_softmax = function(Tensor.log_softmax)
logical_not = function(Tensor.logical_not)
masked_fill = function(Tensor.masked_fill)
nan_to_num = function(Tensor.nan_to_num)
neg = function(Tensor.neg)
negative = function(Tensor.negative)
positive = function(Tensor.positive)
reciprocal = function(Tensor.reciprocal)
relu = function(Tensor.relu)
round = function(Tensor.round)
rsqrt = function(Tensor.rsqrt)
sigmoid = function(Tensor.sigmoid)
sign = function(Tensor.sign)
signbit = function(Tensor.signbit)
sin = function(Tensor.sin)
sinh = function(Tensor.sinh)
softmax = function(Tensor.softmax)
sqrt = function(Tensor.sqrt)
square = function(Tensor.square)
tan = function(Tensor.tan)
tanh = function(Tensor.tanh)
trunc = function(Tensor.trunc)


def _scaled(x: Any, alpha: Any) -> Any:
    """Return an operand times PyTorch's ``alpha``."""
    if isinstance(alpha, int | float) and alpha == 1:
        return x
    return (x if is_number(x) else as_tensor(x)) * alpha


def add(x1: Any, x2: Any, /, *, alpha: Any = 1) -> Tensor:
    """Return x1 + alpha · x2; for truth values, the logical or."""
    return wrap(ops.add(*pair(x1, _scaled(x2, alpha))))


def atan2(x1: Any, x2: Any, /) -> Tensor:
    """Return the angle of the point (x2, x1), from −π to π."""
    return wrap(trigonometry.atan2(*float_pair(x1, x2)))


def bitwise_and(x1: Any, x2: Any, /) -> Tensor:
    """Return the bitwise and: bits set in both operands."""
    return wrap(integers.bitwise_and(*pair(x1, x2)))


def bitwise_or(x1: Any, x2: Any, /) -> Tensor:
    """Return the bitwise or: bits set in at least one operand."""
    return wrap(integers.bitwise_or(*pair(x1, x2)))


def bitwise_xor(x1: Any, x2: Any, /) -> Tensor:
    """Return the bitwise exclusive or: bits set in exactly one operand."""
    return wrap(integers.bitwise_xor(*pair(x1, x2)))


def bitwise_left_shift(x1: Any, x2: Any, /) -> Tensor:
    """Shift the bits left: x1 · 2^x2."""
    return wrap(integers.shift_left(*pair(x1, x2)))


def bitwise_right_shift(x1: Any, x2: Any, /) -> Tensor:
    """Shift the bits right: ⌊x1 / 2^x2⌋."""
    return wrap(integers.shift_right(*pair(x1, x2)))


def copysign(x1: Any, x2: Any, /) -> Tensor:
    """Return |x1| with the sign of x2."""
    return wrap(prims.copysign(*float_pair(x1, x2)))


def divide(x1: Any, x2: Any, /, *, rounding_mode: str | None = None) -> Tensor:
    """Return x1 / x2, optionally rounded: ``"floor"`` or ``"trunc"``.

    Integers become float32, unless ``rounding_mode`` rounds the quotient.
    """
    if rounding_mode is None:
        return wrap(prims.div(*float_pair(x1, x2)))
    v, w = pair(x1, x2)
    return wrap(v).div(wrap(w), rounding_mode=rounding_mode)


def floor_divide(x1: Any, x2: Any, /) -> Tensor:
    """Return ⌊x1 / x2⌋."""
    return wrap(integers.floor_divide(*pair(x1, x2)))


def hypot(x1: Any, x2: Any, /) -> Tensor:
    """Return √(x1² + x2²), without overflow."""
    return wrap(elementary.hypot(*float_pair(x1, x2)))


def less(x1: Any, x2: Any, /) -> Tensor:
    """Return x1 < x2, element by element."""
    return wrap(prims.less(*pair(x1, x2)))


def less_equal(x1: Any, x2: Any, /) -> Tensor:
    """Return x1 ≤ x2, element by element."""
    return wrap(ops.less_equal(*pair(x1, x2)))


def logaddexp(x1: Any, x2: Any, /) -> Tensor:
    """Return ln(e^x1 + e^x2), without overflow."""
    return wrap(elementary.logaddexp(*float_pair(x1, x2)))


def maximum(x1: Any, x2: Any, /) -> Tensor:
    """Return the larger of two tensors; at equality the derivative is x2's.

    >>> maximum(Tensor([-1.0, 2.0]), 0.0)
    tensor([0., 2.])
    """
    return wrap(prims.maximum(*pair(x1, x2)))


def minimum(x1: Any, x2: Any, /) -> Tensor:
    """Return the smaller of two tensors; at equality the derivative is x2's."""
    return wrap(prims.minimum(*pair(x1, x2)))


def multiply(x1: Any, x2: Any, /) -> Tensor:
    """Return x1 · x2; for truth values, the logical and."""
    return wrap(ops.mul(*pair(x1, x2)))


def nextafter(x1: Any, x2: Any, /) -> Tensor:
    """Return the next floating-point number from x1 towards x2."""
    return wrap(prims.nextafter(*float_pair(x1, x2)))


def eq(x1: Any, x2: Any, /) -> Tensor:
    """Return x1 = x2, element by element; :func:`equal` returns one bool for all."""
    return wrap(prims.equal(*pair(x1, x2)))


def not_equal(x1: Any, x2: Any, /) -> Tensor:
    """Return x1 ≠ x2, element by element."""
    return wrap(ops.not_equal(*pair(x1, x2)))


def remainder(x1: Any, x2: Any, /) -> Tensor:
    """Return the remainder of ⌊x1 / x2⌋, with the sign of x2."""
    return wrap(integers.remainder(*pair(x1, x2)))


def subtract(x1: Any, x2: Any, /, *, alpha: Any = 1) -> Tensor:
    """Return x1 − alpha · x2."""
    return wrap(prims.sub(*pair(x1, _scaled(x2, alpha))))


def greater(x1: Any, x2: Any, /) -> Tensor:
    """Return x1 > x2, element by element."""
    return wrap(prims.less(*pair(x2, x1)))


def greater_equal(x1: Any, x2: Any, /) -> Tensor:
    """Return x1 ≥ x2, element by element."""
    return wrap(ops.less_equal(*pair(x2, x1)))


def pow(x1: Any, x2: Any, /) -> Tensor:
    """Return x1^x2, which is 1 where x2 is 0, whatever x1."""
    return wrap(power_of(x1, x2))


def logical_and(x1: Any, x2: Any, /) -> Tensor:
    """Return whether both elements differ from 0."""
    return wrap(integers.bitwise_and(*map(truth, pair(x1, x2))))


def logical_or(x1: Any, x2: Any, /) -> Tensor:
    """Return whether at least one of two elements differs from 0."""
    return wrap(integers.bitwise_or(*map(truth, pair(x1, x2))))


def logical_xor(x1: Any, x2: Any, /) -> Tensor:
    """Return whether exactly one of two elements differs from 0."""
    return wrap(integers.bitwise_xor(*map(truth, pair(x1, x2))))


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """Clip x to limits, numbers or tensors; at a limit the derivative is that of x.

    >>> clip(Tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1. ,  0.5,  1. ])
    """
    return wrap(clipped(x, min, max))


def where(condition: Any, x1: Any, x2: Any, /) -> Tensor:
    """Return x1 where ``condition`` is true, else x2; shapes broadcast.

    >>> where(Tensor([True, False]), 1.0, Tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    v, w = both(x1, x2)
    return wrap(ops.select(value_of(condition), v, w))


def lerp(start: Any, end: Any, weight: Any) -> Tensor:
    """Return start + weight · (end − start), exact at both ends."""
    return as_tensor(start).lerp(end, weight)


bitwise_invert = bitwise_not
clamp = clip
mul, sub, div, true_divide = multiply, subtract, divide, divide
ne, lt, le, gt, ge = not_equal, less, less_equal, greater, greater_equal
