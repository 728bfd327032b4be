"""Tensor functions of arithmetic, comparison, logic and bits: Python's operators.

Numbers follow the dtype of a tensor: ``x * 2.0`` is float32 where x is. Integers and
floats together are floats, of the float's width.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.apply import apply
from chainrule.graph.context import context
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.narrow import NARROW, in_single
from chainrule.operations.op import op
from chainrule.operations.operands import (
    TensorBase,
    astype,
    broadcast_shapes,
    broadcast_to,
    float_operands,
    floating,
    follows,
    full,
    is_number,
    number_dtype,
    number_operand,
    operands,
    promote,
    promoted,
    value_of,
)
from chainrule.primitives import elementwise as prims
from chainrule.primitives import integers, movement
from chainrule.primitives.reduce import reduce_prod
from chainrule.text import _
from chainrule.util import validation


def number(n: float, x: Value) -> Value:
    """Return a number as a value in the dtype and shape of another value x."""
    return full(n, x.dtype, x.shape)


# -- sums, products, quotients --------------------------------------------------------


@op(operator="add", method=False, public=False)
def add(x: Value, other: Value) -> Value:
    """Return the sum x + other of two tensors; for truth values, the logical or."""
    return apply(
        integers.bitwise_or if x.dtype is DType.bool else prims.add, (x, other), {}
    )


@op(operator="sub", method=False, public=False)
def sub(x: Value, other: Value) -> Value:
    """Return the difference x − other of two tensors."""
    return apply(prims.sub, (x, other), {})


@op(name="add", in_place=True)
def add_scaled(x: Any, other: Any, *, alpha: Any = 1) -> Value:
    """Return x + alpha · other of tensors; for truth values, the logical or."""
    return add(*operands(x, _scaled(other, alpha)))


@op("subtract", name="sub", in_place=True)
def sub_scaled(x: Any, other: Any, *, alpha: Any = 1) -> Value:
    """Return x − alpha · other of tensors."""
    return sub(*operands(x, _scaled(other, alpha)))


def _scaled(other: Any, alpha: Any) -> Any:
    """Return alpha · other for addition; a number stays a number."""
    if is_one(alpha):
        return other
    if not is_number(other) and not isinstance(other, TensorBase):
        other = TensorBase._new(value_of(other))
    return other * alpha


def is_one(factor: Any) -> bool:
    """Return whether a factor such as ``alpha`` is the number 1, and not a tensor."""
    return isinstance(factor, int | float) and factor == 1


def times(v: Value, factor: Any) -> Value:
    """Return the product of a value and a number or tensor."""
    return mul(*promoted(v, number_operand(v, factor)))


@op("multiply", operator="mul", in_place=True)
def mul(x: Value, other: Value) -> Value:
    """Return the product x · other; for truth values, the logical and."""
    return apply(
        integers.bitwise_and if x.dtype is DType.bool else prims.mul, (x, other), {}
    )


@op("divide", "true_divide", operator="truediv", in_place=True, wide=False)
def div(
    x: Any, other: Any, *, rounding_mode: Literal["floor", "trunc"] | None = None
) -> Value:
    """Return the quotient x / other of tensors; optionally ``"floor"`` or ``"trunc"``.

    Integers become float32, unless ``rounding_mode`` rounds the quotient.
    """
    if rounding_mode is None:
        values = float_operands(x, other)
        if values[0].dtype is NARROW:
            return in_single(div)(x, other)
        return apply(prims.div, values, {})
    validation.choice("floor", "trunc")("rounding_mode", rounding_mode)
    values = operands(x, other)
    if values[0].dtype is NARROW:
        return in_single(div)(x, other, rounding_mode=rounding_mode)
    x, other = values
    if rounding_mode == "floor":
        return floor_divide(x, other)
    if x.dtype.is_float:
        ratio = prims.div(x, other)
        return prims.copysign(prims.floor(prims.abs_(ratio)), ratio)
    down, zero = floor_divide(x, other), number(0, x)
    inexact = not_equal(mul(down, other), x)
    negative = integers.bitwise_xor(prims.less(x, zero), prims.less(other, zero))
    return add(down, astype(integers.bitwise_and(inexact, negative), x.dtype))


@op(operator="floordiv", in_place=True)
def floor_divide(x: Value, other: Value) -> Value:
    """Return the integer quotient ⌊x / other⌋ of two tensors."""
    return integers.floor_divide(x, other)


@op(operator="mod", in_place=True)
def remainder(x: Value, other: Value) -> Value:
    """Return the remainder of x / other, with the sign of ``other``."""
    return integers.remainder(x, other)


@op("negative", operator="neg", in_place=True)
def neg(x: Value) -> Value:
    """Return the negative −x of a tensor."""
    return prims.neg(x)


@op(operator="pos", wide=False)
def positive(x: Value) -> Value:
    """Return a copy of the tensor x: the unary operator +x."""
    return movement.copy(x)


@op("absolute", operator="abs", in_place=True)
def abs_(x: Value) -> Value:
    r"""Return the absolute value \|x\| of a tensor, with derivative 0 at 0."""
    return prims.abs_(x)


# -- powers ---------------------------------------------------------------------------


@op(operator="pow", in_place=True)
def pow_(x: Any, exponent: Any) -> Value:
    """Return the power xᵖ of a tensor, 1 where p is 0; p is a number or a tensor."""
    if isinstance(exponent, np.generic):
        exponent = exponent.item()
    if isinstance(exponent, int | float) and not is_number(x):
        return power(value_of(x), exponent)
    v, w = operands(x, exponent)
    if v.dtype is DType.bool:
        v, w = astype(v, DType.int64), astype(w, DType.int64)
    return prims.pow_(v, w)


def power(x: Value, p: float) -> Value:
    """Return xᵖ of a value for a number p, by products or a root where possible."""
    if x.dtype is DType.bool:
        x = astype(x, number_dtype(p, x.dtype))
    if not x.dtype.is_float and isinstance(p, float):
        x = floating(x)
    if not x.dtype.is_float and p < 0:
        raise ArgumentError(
            _("An integer to a negative power is no integer."),
            expected=_("an exponent ≥ 0, or floats"),
            got=f"{x.dtype.name} ** {p}",
            fix=f"x.float() ** {p}",
        )
    x = astype(x, number_dtype(p, x.dtype))
    if p == 1:
        return x
    if p == 2:
        return mul(x, x)
    if p == 3:
        return mul(mul(x, x), x)
    if p == -1:
        return prims.div(number(1, x), x)
    if p == 0.5:
        return prims.sqrt(x)
    x = astype(x, number_dtype(p + 0, x.dtype))  # a truth value counts as 0 or 1
    return prims.pow_(x, number(p, x))


@op(in_place=True)
def square(x: Value) -> Value:
    """Return the square x² of a tensor."""
    return power(x, 2)


# -- limits and selection -------------------------------------------------------------


@op
def maximum(x: Value, other: Value) -> Value:
    """Return the larger of two tensors' elements; a tie has ``other``'s derivative.

    >>> import chainrule as cr
    >>> cr.maximum(cr.tensor([-1.0, 2.0]), 0.0)
    tensor([0., 2.])
    """
    return prims.maximum(x, other)


@op
def minimum(x: Value, other: Value) -> Value:
    """Return the smaller of two tensors' elements; a tie has ``other``'s derivative."""
    return prims.minimum(x, other)


@op("clip", in_place=True)
def clamp(x: Value, min: Any = None, max: Any = None) -> Value:
    """Clip a tensor to limits, numbers or tensors; a limit has x's derivative.

    >>> import chainrule as cr
    >>> cr.clip(cr.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1. ,  0.5,  1. ])
    """
    limits = [None if y is None else number_operand(x, y) for y in (min, max)]
    for w in limits:
        if w is not None:
            x, __ = promoted(x, w)
    low, high = [
        None if w is None else broadcast_to(astype(w, x.dtype), x.shape) for w in limits
    ]
    if low is not None:
        x = prims.maximum(low, x)
    return x if high is None else prims.minimum(high, x)


def select(condition: Value, a: Value, b: Value) -> Value:
    """Return elements of ``a`` where a condition is true, else of ``b``, broadcast."""
    condition = astype(condition, DType.bool)
    dtype = promote(a.dtype, b.dtype)
    shape = broadcast_shapes(broadcast_shapes(condition.shape, a.shape), b.shape)
    a, b = astype(a, dtype), astype(b, dtype)
    a, b = broadcast_to(a, shape), broadcast_to(b, shape)
    return prims.where(broadcast_to(condition, shape), a, b)


@op(method=False, wide=False)
def where(condition: Any, x: Any, other: Any) -> Value:
    """Return elements of x where ``condition`` is true, else of ``other``, broadcast.

    >>> import chainrule as cr
    >>> cr.where(cr.tensor([True, False]), 1.0, cr.tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    return select(value_of(condition), *operands_of_own_shapes(x, other))


@op(name="where", public=False, wide=False)
def where_method(x: Any, condition: Any, other: Any) -> Value:
    """Return the tensor's elements where ``condition`` is true, else of ``other``."""
    return where(condition, x, other)


def operands_of_own_shapes(a: Any, b: Any) -> tuple[Value, Value]:
    """Return two operands of ``where`` as values of one dtype, in their own shapes."""
    weak = getattr(a, "_weak", None) and not is_number(b)
    if weak or (is_number(a) and follows(a, b)):
        w = value_of(b)
        return number_operand(w, a), w
    v = value_of(a)
    return v, number_operand(v, b)


@op(in_place=True, wide=False)
def masked_fill(x: Value, mask: Any, value: Any) -> Value:
    """Return the tensor with a number in all places where ``mask`` is true."""
    fill = value_of(value, x.dtype)
    if fill.shape:
        raise ArgumentError(
            _("masked_fill writes one number."),
            expected=_("a number, or a tensor without axes"),
            got=_("shape {shape}", shape=fill.shape),
            fix="cr.where(mask, value, x)",
        )
    return select(value_of(mask), fill, x)


@op(in_place=True)
def lerp(start: Any, end: Any, weight: Any) -> Value:
    """Interpolate linearly: start + weight · (end − start), exact at both ends."""
    v, w = operands(start, end)
    v, w = floating(v), floating(w)
    v, t = promoted(v, number_operand(v, weight))
    w = broadcast_to(astype(w, v.dtype), v.shape)
    span = prims.sub(w, v)
    near_end = prims.sub(w, mul(span, prims.sub(number(1, t), t)))
    return prims.where(prims.less(t, number(0.5, t)), add(v, mul(t, span)), near_end)


# -- comparisons ----------------------------------------------------------------------


@op(operator="eq", wide=False)
def eq(x: Value, other: Value) -> Value:
    """Return x = other of two tensors by element; :func:`equal` returns one bool."""
    return prims.equal(x, other)


@op("not_equal", operator="ne", wide=False)
def ne(x: Value, other: Value) -> Value:
    """Return x ≠ other of two tensors, element by element."""
    return integers.bitwise_not(prims.equal(x, other))


not_equal = ne


@op("less", operator="lt", wide=False)
def lt(x: Value, other: Value) -> Value:
    """Return x < other of two tensors, element by element."""
    return prims.less(x, other)


@op("less_equal", operator="le", wide=False)
def le(x: Value, other: Value) -> Value:
    """Return x ≤ other of two tensors, element by element."""
    return integers.bitwise_or(prims.less(x, other), prims.equal(x, other))


less_equal = le


@op("greater", operator="gt", wide=False)
def gt(x: Value, other: Value) -> Value:
    """Return x > other of two tensors, element by element."""
    return prims.less(other, x)


@op("greater_equal", operator="ge", wide=False)
def ge(x: Value, other: Value) -> Value:
    """Return x ≥ other of two tensors, element by element."""
    return le(other, x)


@op(wide=False)
def equal(x: Any, other: Any) -> bool:
    """Return whether two tensors have equal shapes and numbers; ``==`` is per element.

    >>> import chainrule as cr
    >>> cr.tensor([1, 2]).equal([1, 2]), cr.tensor([1, 2]).equal([1, 2, 3])
    (True, False)
    """
    v, w = value_of(x), value_of(other)
    if v.shape != w.shape:
        return False
    return _truth_of_all(prims.equal(*operands(x, other)))


def _truth_of_all(v: Value) -> bool:
    """Return whether all elements of a tensor are true, as bool; refused in a trace."""
    return bool(TensorBase._new(reduce_prod(v, axes=tuple(range(len(v.shape))))))


@op
def isclose(
    x: Value,
    other: Value,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Value:
    r"""Return whether elements of tensors are close: \|x − y\| ≤ atol + rtol · \|y\|.

    Integers are compared in float64.
    """
    rtol = validation.number("rtol", rtol, least=0, infinite=True)
    atol = validation.number("atol", atol, least=0, infinite=True)
    same = prims.equal(x, other)
    if equal_nan:
        same = integers.bitwise_or(same, integers.bitwise_and(isnan(x), isnan(other)))
    if not (rtol or atol):
        return same
    a, b = [v if v.dtype.is_float else astype(v, DType.float64) for v in (x, other)]
    finite = integers.bitwise_and(isfinite(a), isfinite(b))
    a, b = [prims.where(finite, v, number(0, v)) for v in (a, b)]
    margin = add(number(atol, b), mul(number(rtol, b), prims.abs_(b)))
    near = le(prims.abs_(prims.sub(a, b)), margin)
    return integers.bitwise_or(same, integers.bitwise_and(finite, near))


@op
def allclose(
    x: Any,
    other: Any,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Any:
    """Return whether all elements of two tensors are close; see :func:`isclose`.

    A truth value, unless traced.
    """
    close = isclose(*operands(x, other), rtol, atol, equal_nan)
    if context.trace is None:
        return _truth_of_all(close)
    return reduce_prod(close, axes=tuple(range(len(close.shape))))


@op(wide=False)
def isnan(x: Value) -> Value:
    """Return whether each element of a tensor is NaN."""
    return prims.isnan(x) if x.dtype.is_float else _constant_truth(False, x)


@op(wide=False)
def isinf(x: Value) -> Value:
    """Return whether each element of a tensor is ∞ or −∞."""
    if not x.dtype.is_float:
        return _constant_truth(False, x)
    return prims.equal(prims.abs_(x), number(float("inf"), x))


@op(wide=False)
def isfinite(x: Value) -> Value:
    """Return whether each element of a tensor is finite: neither ±∞ nor NaN."""
    if not x.dtype.is_float:
        return _constant_truth(True, x)
    return prims.less(prims.abs_(x), number(float("inf"), x))


def _constant_truth(truth: bool, x: Value) -> Value:
    return full(truth, DType.bool, x.shape)


# -- logic and bits -------------------------------------------------------------------


def is_true(x: Value) -> Value:
    """Return whether each element of a value differs from 0, as bool."""
    return x if x.dtype is DType.bool else ne(x, number(0, x))


@op(in_place=True, wide=False)
def logical_not(x: Value) -> Value:
    """Return the logical not of a tensor: whether each element is 0."""
    return integers.bitwise_not(is_true(x))


@op(in_place=True, wide=False)
def logical_and(x: Value, other: Value) -> Value:
    """Return the logical and of two tensors: whether both elements differ from 0."""
    return integers.bitwise_and(is_true(x), is_true(other))


@op(in_place=True, wide=False)
def logical_or(x: Value, other: Value) -> Value:
    """Return the logical or of two tensors: whether an element differs from 0."""
    return integers.bitwise_or(is_true(x), is_true(other))


@op(in_place=True, wide=False)
def logical_xor(x: Value, other: Value) -> Value:
    """Return the logical exclusive or: whether exactly one of two elements is not 0."""
    return integers.bitwise_xor(is_true(x), is_true(other))


@op("bitwise_invert", operator="invert", in_place=True, wide=False)
def bitwise_not(x: Value) -> Value:
    """Return the bitwise complement of an integer tensor."""
    return integers.bitwise_not(x)


@op(operator="and", in_place=True, wide=False)
def bitwise_and(x: Value, other: Value) -> Value:
    """Return the bitwise and of integer tensors: bits set in both operands."""
    return integers.bitwise_and(x, other)


@op(operator="or", in_place=True, wide=False)
def bitwise_or(x: Value, other: Value) -> Value:
    """Return the bitwise or of integer tensors: bits set in at least one operand."""
    return integers.bitwise_or(x, other)


@op(operator="xor", in_place=True, wide=False)
def bitwise_xor(x: Value, other: Value) -> Value:
    """Return the bitwise exclusive or of integers: bits set in exactly one operand."""
    return integers.bitwise_xor(x, other)


@op(operator="lshift", in_place=True, wide=False)
def bitwise_left_shift(x: Value, other: Value) -> Value:
    """Shift the bits of an integer tensor left: x · 2^other."""
    return integers.shift_left(x, other)


@op(operator="rshift", in_place=True, wide=False)
def bitwise_right_shift(x: Value, other: Value) -> Value:
    """Shift the bits of an integer tensor right: ⌊x / 2^other⌋."""
    return integers.shift_right(x, other)
