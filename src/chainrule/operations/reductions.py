"""Tensor reductions along axes: sums, products, extremes, means, norms.

``dim`` is one axis, several, or by default all; ``keepdim`` leaves axes of length 1.
NumPy's names are ``axis`` and ``keepdims``.
"""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.apply import apply
from chainrule.graph.context import no_grad
from chainrule.graph.node import Value
from chainrule.graph.types import DType, as_dtype, size_of
from chainrule.operations.arguments import Dims, axes_of, axis_of
from chainrule.operations.arithmetic import is_true, isfinite, maximum, minimum, number
from chainrule.operations.op import op, passed_twice
from chainrule.operations.operands import (
    TensorBase,
    astype,
    broadcast_to,
    count_of,
    full,
    operands,
    value_of,
)
from chainrule.operations.shapes import of_lines, squeezed
from chainrule.primitives import movement, reduce
from chainrule.primitives.elementwise import (
    abs_,
    add,
    div,
    equal,
    exp,
    log,
    mul,
    neg,
    pow_,
    sqrt,
    sub,
    where,
)
from chainrule.primitives.elementwise import maximum as larger
from chainrule.primitives.indexing import gather
from chainrule.primitives.integers import bitwise_not
from chainrule.primitives.rules import show
from chainrule.text import _


def reduced(primitive: Any, x: Value, dim: Dims, keepdim: bool) -> Value:
    """Apply a tensor reduction over ``dim``; ``keepdim`` leaves axes of length 1."""
    axes = axes_of(x.shape, dim)
    result = apply(primitive, (x,), {"axes": axes})
    return with_axes(result, x, axes) if keepdim else result


def with_axes(result: Value, x: Value, axes: tuple[int, ...]) -> Value:
    """Return the result of a tensor's reduction with its axes restored at length 1."""
    shape = tuple([1 if i in axes else d for i, d in enumerate(x.shape)])
    return movement.reshape(result, shape=shape)


def _summable(x: Value, dtype: Any) -> Value:
    """Return a value in the dtype of its sums: int64 for integers, as in PyTorch."""
    if dtype is not None:
        return astype(x, as_dtype(dtype))
    if x.dtype.is_float or x.dtype is DType.uint64:
        return x
    return astype(x, DType.int64)


@op
def sum_(
    x: Value, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    """Return the sum of a tensor over ``dim`` (by default all axes; none for ``()``).

    Integers and truth values are counted in 64 bits.
    """
    return reduced(movement.reduce_sum, _summable(x, dtype), dim, keepdim)


@op
def prod(
    x: Value, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    """Return a tensor's product over ``dim``; integers in 64 bits; 1 of no elements."""
    return reduced(reduce.reduce_prod, _summable(x, dtype), dim, keepdim)


@op
def all_(x: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Return whether all elements of a tensor over ``dim`` differ from 0."""
    return reduced(reduce.reduce_prod, is_true(x), dim, keepdim)


@op
def any_(x: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Return whether any element of a tensor over ``dim`` differs from 0."""
    return bitwise_not(all_(bitwise_not(is_true(x)), dim, keepdim))


@op
def count_nonzero(x: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Return the number of a tensor's elements over ``dim`` that differ from 0."""
    return sum_(is_true(x), dim, keepdim)


# -- extremes -------------------------------------------------------------------------

T = TypeVar("T")


class Extremes(NamedTuple, Generic[T]):
    """Elements of a tensor along an axis, such as maxima, and their indices."""

    values: T
    indices: T


@op
def amax(x: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Return a tensor's maximum over ``dim``; equal ones share the derivative."""
    return reduced(reduce.reduce_max, x, dim, keepdim)


@op
def amin(x: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Return a tensor's minimum over ``dim``; equal ones share the derivative."""
    return reversed_order(amax(reversed_order(x), dim, keepdim))


def reversed_order(x: Value) -> Value:
    """Return values in reversed order, so that a maximum computes a minimum.

    That is −x for floats; −1 − x and max − x for integers with and without a sign,
    which have no −x for every x.
    """
    if x.dtype.is_float:
        return neg(x)
    if x.dtype is DType.bool:
        return bitwise_not(x)
    limits = np.iinfo(x.dtype.numpy)
    return sub(number(-1 if limits.min else limits.max, x), x)


@op
@of_lines
def argmax(x: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """Return the (first) index of a tensor's largest element along ``dim``."""
    return _index_of(reduce.argmax, x, dim, keepdim)


@op
@of_lines
def argmin(x: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """Return the (first) index of a tensor's smallest element along ``dim``."""
    return _index_of(reduce.argmin, x, dim, keepdim)


def _index_of(primitive: Any, x: Value, dim: Any, keepdim: bool) -> Value:
    if x.dtype is DType.bool:
        x = astype(x, DType.uint8)
    if dim is None:
        line = movement.reshape(x, shape=(size_of(x.shape),))
        result = primitive(line, axis=0)
        return with_axes(result, x, axes_of(x.shape, None)) if keepdim else result
    axis = axis_of(x.shape, dim)
    result = primitive(x, axis=axis)
    return with_axes(result, x, (axis,)) if keepdim else result


@op
def max_(x: Any, other: Any = None, keepdim: bool = False, *, dim: Any = None) -> Any:
    """Return a tensor's maximum; along ``dim``, values and indices, as in PyTorch.

    ``x.max(other)`` of another tensor is the larger of two, element by element;
    ``x.max(0)`` of a number is ``x.max(dim=0)``. :meth:`amax` gives the values alone,
    over several axes too.
    """
    if _is_operand(other, keepdim, dim):
        return maximum(*operands(x, other))
    axis = other if dim is None else dim
    return _extremes(value_of(x), reduce.argmax, amax, axis, keepdim)


@op
def min_(x: Any, other: Any = None, keepdim: bool = False, *, dim: Any = None) -> Any:
    """Return a tensor's minimum; along ``dim``, values and indices, as in PyTorch.

    ``x.min(other)`` of another tensor is the smaller of two, element by element;
    ``x.min(0)`` of a number is ``x.min(dim=0)``. :meth:`amin` gives the values alone,
    over several axes too.
    """
    if _is_operand(other, keepdim, dim):
        return minimum(*operands(x, other))
    axis = other if dim is None else dim
    return _extremes(value_of(x), reduce.argmin, amin, axis, keepdim)


def _is_operand(other: Any, keepdim: bool, dim: Any) -> bool:
    """Return whether max's second argument is a tensor to compare with, not an axis.

    Raises:
        ArgumentError: an operand or an axis together with ``dim``, or an operand
            together with ``keepdim``.
    """
    if other is not None and dim is not None:
        raise passed_twice("dim", other, "dim", dim)
    if not isinstance(other, TensorBase):
        return False
    if keepdim:
        raise ArgumentError(
            _("max and min of two tensors reduce no axis."),
            expected=_("x.max(other) of two tensors, or x.max(dim=…, keepdim=True)"),
            got=f"keepdim={keepdim!r:.40}",
        )
    return True


@of_lines
def _extremes(x: Value, index_of: Any, value: Any, dim: Any, keepdim: bool) -> Any:
    if dim is None:
        return value(x, None, keepdim)
    if isinstance(dim, tuple | list):
        raise ArgumentError(
            _("max and min give values and indices along one axis."),
            expected=_("one axis"),
            got=f"dim={dim!r:.60}",
            fix=_("x.amax(dim) or x.amin(dim), for values over several axes"),
        )
    axis = axis_of(x.shape, dim)
    index = _index_of(index_of, x, axis, True)
    result = gather(x, index, axis=axis)
    if keepdim:
        return Extremes(result, index)
    return Extremes(squeezed(result, axis), squeezed(index, axis))


# -- statistics -----------------------------------------------------------------------


def _divided_by_count(total: Value, x: Value, dim: Dims, correction: float) -> Value:
    """Return a tensor's sum over ``dim`` divided by its count − ``correction``."""
    axes = axes_of(x.shape, dim)
    count = count_of(size_of(tuple([x.shape[a] for a in axes])), x.dtype)
    if correction:
        zero = full(0, x.dtype, ())
        count = larger(sub(count, full(correction, x.dtype, ())), zero)
    return div(total, broadcast_to(count, total.shape))


@op(floats=True)
def mean(x: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Return the mean of a tensor over ``dim``, of integers in float32."""
    return _divided_by_count(sum_(x, dim, keepdim), x, dim, 0)


@op(floats=True)
def var(
    x: Value,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: float | None = None,
    axis: Dims = None,
) -> Value:
    """Return a tensor's variance Σ(x − μ)² / (n − correction) over ``dim``.

    Args:
        x: of any shape.
        dim: the axes; all by default.
        unbiased: PyTorch's older name of ``correction``: True for 1, False for 0.
        keepdim: leave axes of length 1.
        correction: 1 by default, as in PyTorch. With ``axis=`` it must be given,
            because NumPy and the array API standard take 0.
        axis: NumPy's name of ``dim``.
    """
    if isinstance(dim, bool) and unbiased is None:  # x.var(False)
        dim, unbiased = None, dim
    divisor_less = _correction(correction, unbiased, axis)
    if axis is not None and dim is not None:
        raise passed_twice("dim", dim, "axis", axis)
    axes = axes_of(x.shape, dim if axis is None else axis)
    distance = sub(x, broadcast_to(mean(x, axes, True), x.shape))
    total = sum_(mul(distance, distance), axes, keepdim)
    return _divided_by_count(total, x, axes, divisor_less)


@op(floats=True)
def std(
    x: Value,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: float | None = None,
    axis: Dims = None,
) -> Value:
    """Return a tensor's standard deviation over ``dim``, the root of :meth:`var`.

    Its derivative where all numbers are equal is taken as 0.
    """
    return _root(var(x, dim, unbiased, keepdim, correction, axis))


def _correction(correction: float | None, unbiased: bool | None, axis: Any) -> float:
    if unbiased is not None and (
        correction is not None or not isinstance(unbiased, bool)
    ):
        raise ArgumentError(
            _("unbiased is PyTorch's older name of correction=1 or 0."),
            expected=_("True or False, or correction= alone"),
            got=f"unbiased={unbiased!r:.40}, correction={correction!r:.40}",
        )
    if correction is not None:
        return correction
    if unbiased is not None:
        return float(unbiased)
    if axis is not None:
        raise ArgumentError(
            _("NumPy divides by n, PyTorch by n − 1, and axis= is NumPy's word."),
            expected=_("correction=0 or correction=1 beside axis="),
            got=f"axis={axis!r:.40}",
            fix=_("x.var(dim=…) for n − 1, x.var(axis=…, correction=0) for n"),
        )
    return 1


@op(floats=True)
def norm(x: Value, p: Any = 2, dim: Dims = None, keepdim: bool = False) -> Value:
    r"""Return a tensor's p-norm (Σ \|x\|ᵖ)^(1/p) over ``dim``, with derivative 0 at 0.

    For ±∞ the largest and smallest \|x\|, for 0 the number of elements other than 0.
    Derivatives of every order are taken as 0 where the norm is.
    """
    if p == "fro":
        p = 2
    if not isinstance(p, int | float):
        raise ArgumentError(
            _("A norm is named by its order."),
            expected="p=2, 1, inf, …",
            got=f"{p!r:.40}",
        )
    if p == math.inf:
        return amax(abs_(x), dim, keepdim)
    if p == -math.inf:
        return amin(abs_(x), dim, keepdim)
    if p == 0:
        return astype(count_nonzero(x, dim, keepdim), x.dtype)
    if p == 1:
        return sum_(abs_(x), dim, keepdim)
    if p == 2:
        return _root(sum_(mul(x, x), dim, keepdim))
    size = abs_(x)
    if 0 < p < 2:  # |x|ᵖ has infinite derivatives at 0
        zero = equal(x, number(0, x))
        powers = pow_(where(zero, number(1, x), size), number(p, x))
        powers = where(zero, number(0, x), powers)
    else:
        powers = pow_(size, number(p, x))
    return _root(sum_(powers, dim, keepdim), p)


def _root(x: Value, p: float = 2) -> Value:
    """Return x^(1/p) for a norm, with derivatives of every order 0 at 0."""
    zero = number(0, x)
    at_zero = equal(x, zero)
    safe = where(at_zero, number(1, x), x)
    root = sqrt(safe) if p == 2 else pow_(safe, number(1 / p, safe))
    return where(at_zero, zero, root)


@op(floats=True)
def logsumexp(x: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Return ln Σ eˣ of a tensor over ``dim``, without overflow.

    It is m + ln Σ e^(x − m), with m the maximum where that is finite.
    """
    axes = axes_of(x.shape, dim)
    with no_grad():
        m = amax(x, axes, True)
        m = where(isfinite(m), m, number(0, m))
    result = log(sum_(exp(sub(x, broadcast_to(m, x.shape))), axes, keepdim))
    return add(result, movement.reshape(m, shape=result.shape))


# -- running sums ---------------------------------------------------------------------


@op(in_place=True)
@of_lines
def cumsum(x: Value, dim: int | None = None, *, dtype: Any = None) -> Value:
    """Return a tensor's cumulative sum along ``dim``; integers in 64 bits."""
    return _running(reduce.cumsum, x, dim, dtype)


@op(in_place=True)
@of_lines
def cumprod(x: Value, dim: int | None = None, *, dtype: Any = None) -> Value:
    """Return a tensor's cumulative product along ``dim``; integers in 64 bits."""
    return _running(reduce.cumprod, x, dim, dtype)


@op(method=False)
def cumulative_sum(
    x: Value,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
) -> Value:
    """Return a tensor's cumulative sum; ``include_initial`` prepends 0.

    >>> import chainrule as cr
    >>> cr.cumulative_sum(cr.tensor([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    return _running(reduce.cumsum, x, axis, dtype, 0 if include_initial else None)


@op(method=False)
def cumulative_prod(
    x: Value,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
) -> Value:
    """Return a tensor's cumulative product; ``include_initial`` prepends 1."""
    return _running(reduce.cumprod, x, axis, dtype, 1 if include_initial else None)


def _running(
    primitive: Any, x: Value, dim: Any, dtype: Any, initial: float | None = None
) -> Value:
    """Return a tensor's cumulative sum or product, preceded by ``initial`` if any."""
    if dim is None:
        if len(x.shape) != 1:
            raise ArgumentError(
                _("A running sum runs along an axis."),
                expected=_("axis=0, 1, …; it may be left out for one axis alone"),
                got=_("shape {shape}", shape=show(x.shape)),
            )
        dim = 0
    x = _summable(x, dtype)
    axis = axis_of(x.shape, dim)
    result = primitive(x, axis=axis, reverse=False)
    if initial is None:
        return result
    edge = tuple([1 if i == axis else d for i, d in enumerate(x.shape)])
    return movement.concatenate(full(initial, x.dtype, edge), result, axis=axis)
