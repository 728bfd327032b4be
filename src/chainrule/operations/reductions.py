"""Reductions along axes: sums, products, extremes, means, norms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.build import bind, no_grad
from chainrule.graph.node import Value
from chainrule.graph.types import DType, as_dtype, size_of
from chainrule.operations.arguments import axes_of, axis_of
from chainrule.operations.elementwise import isfinite, not_equal, number
from chainrule.operations.operands import cast, count_of, filled, floating, stretch
from chainrule.primitives import movement, reduce
from chainrule.primitives.elementwise import (
    abs_,
    add,
    div,
    equal,
    exp,
    log,
    maximum,
    mul,
    neg,
    pow_,
    sqrt,
    sub,
    where,
)
from chainrule.primitives.integers import bitwise_not
from chainrule.primitives.rules import show
from chainrule.text import _


def reduce_over(primitive: Any, v: Value, dim: Any, keep: bool) -> Value:
    """Apply a reduction over ``dim``; with ``keep``, retain axes of length 1."""
    axes = axes_of(v.shape, dim)
    made = bind(primitive, (v,), {"axes": axes})
    return restored(made, v, axes) if keep else made


def restored(made: Value, v: Value, axes: tuple[int, ...]) -> Value:
    """Return the result of a reduction with its axes restored at length 1."""
    kept = tuple([1 if i in axes else d for i, d in enumerate(v.shape)])
    return movement.reshape(made, shape=kept)


def wide(v: Value, dtype: Any = None) -> Value:
    """Return ``v`` in the dtype of its sums: int64 for integers, as in PyTorch."""
    if dtype is not None:
        return cast(v, as_dtype(dtype))
    if v.dtype.is_float:
        return v
    return v if v.dtype is DType.uint64 else cast(v, DType.int64)


def total(v: Value, dim: Any, keep: bool, dtype: Any = None) -> Value:
    return reduce_over(movement.reduce_sum, wide(v, dtype), dim, keep)


def product(v: Value, dim: Any, keep: bool, dtype: Any = None) -> Value:
    return reduce_over(reduce.reduce_prod, wide(v, dtype), dim, keep)


def largest(v: Value, dim: Any, keep: bool) -> Value:
    return reduce_over(reduce.reduce_max, v, dim, keep)


def turned(v: Value) -> Value:
    """Return values in reversed order: −x for floats, its equivalent for others.

    That is −x for floats; −1 − x and largest − x for integers with and without a sign,
    which have no −x for every x.
    """
    if v.dtype.is_float:
        return neg(v)
    if v.dtype is DType.bool:
        return bitwise_not(v)
    limits = np.iinfo(v.dtype.numpy)
    return sub(number(-1 if limits.min else limits.max, v), v)


def least(v: Value, dim: Any, keep: bool) -> Value:
    """Return the minimum, computed as a maximum of the reversed order."""
    return turned(largest(turned(v), dim, keep))


def truth(v: Value) -> Value:
    """Return whether each element differs from 0."""
    return v if v.dtype is DType.bool else not_equal(v, number(0, v))


def all_(v: Value, dim: Any, keep: bool) -> Value:
    return reduce_over(reduce.reduce_prod, truth(v), dim, keep)


def any_(v: Value, dim: Any, keep: bool) -> Value:
    return bitwise_not(all_(bitwise_not(truth(v)), dim, keep))


def count_nonzero(v: Value, dim: Any, keep: bool) -> Value:
    return total(truth(v), dim, keep)


def index_of(primitive: Any, v: Value, dim: Any, keep: bool) -> Value:
    """Return ``argmax`` or ``argmin``, of the flattened value if ``dim`` is None."""
    if v.dtype is DType.bool:
        v = cast(v, DType.uint8)
    if dim is None:
        line = movement.reshape(v, shape=(size_of(v.shape),))
        made = primitive(line, axis=0)
        return restored(made, v, axes_of(v.shape, None)) if keep else made
    axis = axis_of(v.shape, dim)
    made = primitive(v, axis=axis)
    return restored(made, v, (axis,)) if keep else made


# -- statistics -----------------------------------------------------------------------


def _counted(v: Value, axes: tuple[int, ...]) -> Any:
    return size_of(tuple([v.shape[a] for a in axes]))


def mean(v: Value, dim: Any, keep: bool) -> Value:
    v = floating(v)
    made = total(v, dim, keep)
    count = count_of(_counted(v, axes_of(v.shape, dim)), v.dtype)
    return div(made, stretch(count, made.shape))


def variance(v: Value, dim: Any, keep: bool, correction: float) -> Value:
    """Return the variance Σ(x − μ)² / (n − correction); 0/0 if the divisor is 0."""
    v = floating(v)
    axes = axes_of(v.shape, dim)
    away = sub(v, stretch(mean(v, axes, True), v.shape))
    made = total(mul(away, away), axes, keep)
    count, less_by = (
        count_of(_counted(v, axes), v.dtype),
        filled(correction, v.dtype, ()),
    )
    divisor = maximum(sub(count, less_by), filled(0, v.dtype, ()))
    return div(made, stretch(divisor, made.shape))


def norm(v: Value, p: Any, dim: Any, keep: bool) -> Value:
    """Return the p-norm (Σ |x|ᵖ)^(1/p), with its limits for ±∞ and 0.

    For ±∞ the largest and smallest |x|, for 0 the number of elements other than 0.

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
    v = floating(v)
    if p == math.inf:
        return largest(abs_(v), dim, keep)
    if p == -math.inf:
        return least(abs_(v), dim, keep)
    if p == 0:
        return cast(count_nonzero(v, dim, keep), v.dtype)
    if p == 1:
        return total(abs_(v), dim, keep)
    if p == 2:
        return root(total(mul(v, v), dim, keep))
    size = abs_(v)
    if 0 < p < 2:  # |x|ᵖ has infinite derivatives at 0
        nothing = equal(v, number(0, v))
        powers = pow_(where(nothing, number(1, v), size), number(p, v))
        powers = where(nothing, number(0, v), powers)
    else:
        powers = pow_(size, number(p, v))
    return root(total(powers, dim, keep), p)


def root(v: Value, p: float = 2) -> Value:
    """Return v^(1/p), with derivatives of every order taken as 0 at 0."""
    nothing = number(0, v)
    zero = equal(v, nothing)
    safe = where(zero, number(1, v), v)
    made = sqrt(safe) if p == 2 else pow_(safe, number(1 / p, safe))
    return where(zero, nothing, made)


def logsumexp(v: Value, dim: Any, keep: bool) -> Value:
    """Return ln Σ eˣ = m + ln Σ e^(x − m), with m the maximum where it is finite."""
    v = floating(v)
    axes = axes_of(v.shape, dim)
    with no_grad():
        m = largest(v, axes, True)
        m = where(isfinite(m), m, number(0, m))
    made = log(total(exp(sub(v, stretch(m, v.shape))), axes, keep))
    return add(made, movement.reshape(m, shape=made.shape))


# -- along an axis --------------------------------------------------------------------


def cumulative(
    primitive: Any, v: Value, dim: Any, dtype: Any = None, initial: float | None = None
) -> Value:
    """Return a cumulative sum or product, preceded by ``initial`` if not None."""
    if dim is None:
        if len(v.shape) != 1:
            raise ArgumentError(
                _("A running sum runs along an axis."),
                expected=_("axis=0, 1, …; it may be left out for one axis alone"),
                got=_("shape {shape}", shape=show(v.shape)),
            )
        dim = 0
    v = wide(v, dtype)
    axis = axis_of(v.shape, dim)
    made = primitive(v, axis=axis, reverse=False)
    if initial is None:
        return made
    edge = tuple([1 if i == axis else d for i, d in enumerate(v.shape)])
    return movement.concatenate(filled(initial, v.dtype, edge), made, axis=axis)
