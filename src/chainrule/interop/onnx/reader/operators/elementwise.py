"""Operators element by element: arithmetic, comparisons, logic, activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.interop.onnx.reader import symbolic
from chainrule.interop.onnx.reader.graph import Node
from chainrule.interop.onnx.reader.table import axis_of, constant, operator
from chainrule.nn import functional
from chainrule.tensor import Tensor

Unary = Callable[[Tensor], Tensor]
Binary = Callable[[Tensor, Tensor], Tensor]

# -- functions that are ours under another name ---------------------------------------

UNARY: dict[str, Unary] = {
    "Abs": fn.abs,
    "Acos": fn.acos,
    "Acosh": fn.acosh,
    "Asin": fn.asin,
    "Asinh": fn.asinh,
    "Atan": fn.atan,
    "Atanh": fn.atanh,
    "BitwiseNot": fn.bitwise_not,
    "Ceil": fn.ceil,
    "Cos": fn.cos,
    "Cosh": fn.cosh,
    "Erf": fn.erf,
    "Exp": fn.exp,
    "Floor": fn.floor,
    "IsNaN": fn.isnan,
    "Log": fn.log,
    "Mish": functional.mish,
    "Neg": fn.neg,
    "Not": fn.logical_not,
    "Reciprocal": fn.reciprocal,
    "Relu": fn.relu,
    "Round": fn.round,
    "Sigmoid": fn.sigmoid,
    "Sign": fn.sign,
    "Sin": fn.sin,
    "Sinh": fn.sinh,
    "Softplus": lambda x: fn.logaddexp(x, fn.zeros_like(x)),
    "Softsign": functional.softsign,
    "Sqrt": fn.sqrt,
    "Tan": fn.tan,
    "Tanh": fn.tanh,
}
BINARY: dict[str, Binary] = {
    "Add": fn.add,
    "And": fn.logical_and,
    "BitwiseAnd": fn.bitwise_and,
    "BitwiseOr": fn.bitwise_or,
    "BitwiseXor": fn.bitwise_xor,
    "Equal": fn.eq,
    "Greater": fn.gt,
    "GreaterOrEqual": fn.ge,
    "Less": fn.lt,
    "LessOrEqual": fn.le,
    "Mul": fn.mul,
    "Or": fn.logical_or,
    "Sub": fn.sub,
    "Xor": fn.logical_xor,
}


def _unary(name: str, function: Unary) -> None:
    @operator(name)
    def row(x: Tensor) -> Tensor:
        return function(x)


def _binary(name: str, function: Binary) -> None:
    @operator(name, since=7, one_dtype=True, symbolic=symbolic.BINARY.get(name))
    def row(a: Tensor, b: Tensor) -> Tensor:
        return function(a, b)


for _name, _function in UNARY.items():
    _unary(_name, _function)
for _name, _function in BINARY.items():
    _binary(_name, _function)

# -- arithmetic ------------------------------------------------------------------------


def _aligned(name: str, function: Binary) -> None:
    @operator(name, since=1, one_dtype=True)
    def row(
        a: Tensor, b: Tensor, *, axis: int | None = None, broadcast: int = 0
    ) -> Tensor:
        """Before opset 7 the second input begins at an axis of the first."""
        if broadcast and axis is not None:
            after = a.ndim - axis_of(axis, a.ndim) - b.ndim
            b = fn.reshape(b, (*b.shape, *[1] * after))
        return function(a, b)


for _name, _function in BINARY.items():
    if not _name.startswith("Bitwise"):
        _aligned(_name, _function)


@operator("Div", since=7, one_dtype=True, symbolic=symbolic.BINARY["Div"])
def div(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype.is_float:
        return fn.div(a, b)
    return fn.div(a, b, rounding_mode="trunc")


_aligned("Div", div)


@operator("Mod", since=10, one_dtype=True)
def mod(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    return fn.fmod(a, b) if fmod else fn.remainder(a, b)


@operator("Pow", since=7, states=(1,))
def power(x: Tensor, exponent: Tensor) -> Tensor:
    """The result has the dtype of the base, whatever that of the exponent."""
    return fn.pow(x, exponent).astype(x.dtype)


_aligned("Pow", power)


@operator("Max", "Min", since=1, one_dtype=True)
def extreme(*xs: Tensor, node: Node) -> Tensor:
    choose = fn.maximum if node.op_type == "Max" else fn.minimum
    result = xs[0]
    for x in xs[1:]:
        result = choose(result, x)
    return result


@operator("Sum", "Mean", since=1, one_dtype=True)
def total(*xs: Tensor, node: Node) -> Tensor:
    result = xs[0]
    for x in xs[1:]:
        result = result + x
    return result if node.op_type == "Sum" else result / len(xs)


@operator("BitShift", since=11, one_dtype=True)
def bit_shift(x: Tensor, by: Tensor, *, direction: str) -> Tensor:
    if direction == "LEFT":
        return fn.bitwise_left_shift(x, by)
    return fn.bitwise_right_shift(x, by)


@operator("Clip", since=11, one_dtype=True)
def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    if low is not None:
        x = fn.maximum(x, low)
    return x if high is None else fn.minimum(x, high)


@operator("Clip", since=6)
def clip_6(
    x: Tensor,
    *,
    min: float = float(np.finfo("f4").min),
    max: float = float(np.finfo("f4").max),
) -> Tensor:
    return fn.clamp(x, min, max)


@operator("IsInf", since=10)
def is_inf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    if detect_negative and detect_positive:
        return fn.isinf(x)
    if detect_negative or detect_positive:
        return fn.isneginf(x) if detect_negative else fn.isposinf(x)
    return fn.zeros_like(x, dtype="bool")


@operator("Where", since=9, symbolic=symbolic.where)
def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return fn.where(condition, x, y)


# -- activations -----------------------------------------------------------------------


@operator("Celu", since=12)
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.celu(x, alpha=alpha)


@operator("Elu", since=6)
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return fn.where(x > 0, x, alpha * fn.expm1(fn.clamp_max(x, 0.0)))


@operator("Gelu", since=20)
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    return functional.gelu(x, approximate="tanh" if approximate == "tanh" else "none")


@operator("HardSigmoid", since=6)
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    return fn.clamp(alpha * x + beta, 0.0, 1.0)


@operator("HardSwish", since=14)
def hard_swish(x: Tensor) -> Tensor:
    return functional.hardswish(x)


@operator("LeakyRelu", since=6)
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    return fn.where(x < 0, alpha * x, x)


@operator("PRelu", since=7)
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    return fn.where(x < 0, slope * x, x)


@operator("PRelu", since=6)
def prelu_6(x: Tensor, slope: Tensor) -> Tensor:
    """A slope for all, or one for each channel."""
    if slope.size > 1:
        slope = fn.reshape(slope, (-1, *[1] * (x.ndim - 2)))
    return prelu(x, slope)


@operator("Selu", since=6)
def selu(
    x: Tensor,
    *,
    alpha: float = 1.67326319217681884765625,
    gamma: float = 1.05070102214813232421875,
) -> Tensor:
    return gamma * elu(x, alpha=alpha)


@operator("Shrink", since=9)
def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    zero = fn.zeros_like(x)
    return fn.where(x < -lambd, x + bias, fn.where(x > lambd, x - bias, zero)).astype(
        x.dtype
    )


@operator("Swish", since=24)
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return functional.silu(x) if alpha == 1 else x * fn.sigmoid(alpha * x)


@operator("SwiGLU", since=28, one_dtype=True)
def swiglu(gate: Tensor, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return swish(gate, alpha=alpha) * x


@operator("ThresholdedRelu", since=10)
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return fn.where(x > alpha, x, fn.zeros_like(x))


def as_constant(value: Any, like: Tensor) -> Tensor:
    """Return a number as a tensor of another one's dtype."""
    return constant(np.asarray(value, like.dtype.numpy))
