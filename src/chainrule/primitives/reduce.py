"""Primitives that reduce axes or run along one: maxima, products, cumulative sums.

The sum, which is the derivative of repeating, is declared in ``movement``.
"""

from __future__ import annotations

import numpy as np

from chainrule import notation as write
from chainrule.graph.apply import constant
from chainrule.graph.batching import shifted
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case, TypeRule
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import (
    add,
    convert,
    div,
    equal,
    maximum,
    minimum,
    mul,
    where,
)
from chainrule.primitives.indexing import gather
from chainrule.primitives.movement import (
    REDUCTIONS,
    broadcast_to,
    concatenate,
    expand,
    full_like,
    reduce_sum,
    reduction_rule,
    section,
    without,
)
from chainrule.primitives.rules import need_axes, need_some, same
from chainrule.text import _


def _max_vjp(g: Value, y: Value, x: Value, axes: tuple[int, ...]) -> Value:
    winners = convert(equal(x, expand(y, x, axes)), dtype=x.dtype)
    share = div(g, reduce_sum(winners, axes=axes))
    return mul(winners, expand(share, x, axes))


@declare(
    rule=reduction_rule("reduce_max", of_none=False),
    vjp=(_max_vjp,),
    batch=shifted("axes"),
    formula=lambda x, axes: write.largest(x, axes, keep=False),
    source="largest element",
    kinks=_("ties, where the derivative is shared equally"),
    cases=REDUCTIONS,
)
def reduce_max(x: Array, *, axes: tuple[int, ...]) -> Array:
    return np.max(x, axis=axes)


def _prod_vjp(g: Value, y: Value, x: Value, axes: tuple[int, ...]) -> Value:
    """Return the derivative of an array's product over axes: g times other elements.

    Nothing is divided by, so one zero and several give what they should. Of several
    axes the first reduces the product over the rest.
    """
    if not axes:
        return g
    axis, rest = axes[0], axes[1:]
    inner = reduce_prod(x, axes=rest) if rest else x
    at = axis - sum(a < axis for a in rest)
    before = _shifted(cumprod(inner, axis=at, reverse=False), at, 1.0, back=False)
    behind = _shifted(cumprod(inner, axis=at, reverse=True), at, 1.0, back=True)
    share = mul(expand(g, inner, (at,)), mul(before, behind))
    return _prod_vjp(share, inner, x, rest)


@declare(
    rule=reduction_rule("reduce_prod"),
    vjp=(_prod_vjp,),
    batch=shifted("axes"),
    formula=lambda x, axes: write.product_of(x, axes, keep=False),
    source="finite product; of no elements 1, of truth values: whether all are",
    cases=(
        *REDUCTIONS,
        Case(("f[0,3]",), {"axes": (0,)}),
        Case(("f[3,4]",), {"axes": (1, 0)}),
    ),
)
def reduce_prod(x: Array, *, axes: tuple[int, ...]) -> Array:
    return np.prod(x, axis=axes, dtype=x.dtype)


# -- the index of the largest and of the smallest -------------------------------------


def _index_rule(name: str) -> TypeRule:
    def rule(x: ArrayType, *, axis: int) -> ArrayType:
        need_axes(name, (axis,), len(x.shape))
        need_some(name, (axis,), x.shape)
        return ArrayType(without(x.shape, (axis,)), DType.int64)

    return rule


_ALONG = (
    Case(("f[7]",), {"axis": 0}),
    Case(("f[4,10]",), {"axis": 1}),
    Case(("f[4,3,2]",), {"axis": 1}),
)


@declare(
    rule=_index_rule("argmax"),
    batch=shifted("axis"),
    formula=lambda x, axis: write.reduced("argmax", x, (axis,), keep=False),
    source="index of the largest element, the first of equals; NaN is the largest",
    cases=_ALONG,
)
def argmax(x: Array, *, axis: int) -> Array:
    return np.argmax(x, axis=axis).astype(np.int64)


@declare(
    rule=_index_rule("argmin"),
    batch=shifted("axis"),
    formula=lambda x, axis: write.reduced("argmin", x, (axis,), keep=False),
    source="index of the smallest element, the first of equals; NaN is the smallest",
    cases=_ALONG,
)
def argmin(x: Array, *, axis: int) -> Array:
    return np.argmin(x, axis=axis).astype(np.int64)


# -- along an axis --------------------------------------------------------------------


def _shifted(x: Value, axis: int, fill: float, *, back: bool) -> Value:
    """Return x shifted by one element along an axis, with ``fill`` in the gap."""
    length = x.shape[axis]
    if isinstance(length, SymbolicDim):  # not cut: picked by index
        count = iota(shape=x.shape, axis=axis, dtype=DType.int64)
        index = add(count, full_like(count, 1 if back else -1))
        last = expand(reduce_max(count, axes=(axis,)), count, (axis,))
        inside = minimum(maximum(index, full_like(count, 0)), last)
        moved = gather(x, inside, axis=axis)
        return where(equal(index, inside), moved, full_like(x, fill))
    if length == 0:
        return x
    rest = section(x, axis, int(back), length - 1 + back)
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    edge = broadcast_to(constant(fill, x.dtype), shape=shape)
    return concatenate(*((rest, edge) if back else (edge, rest)), axis=axis)


def _cumulative_rule(name: str) -> TypeRule:
    def rule(x: ArrayType, *, axis: int, reverse: bool) -> ArrayType:
        need_axes(name, (axis,), len(x.shape))
        return x

    return rule


def _directed(x: Array, axis: int, reverse: bool) -> Array:
    return np.flip(x, axis) if reverse else x


def _cumulative_cases(inputs: int) -> tuple[Case, ...]:
    return tuple(
        Case((shape,) * inputs, {"axis": axis, "reverse": reverse})
        for shape, axis, reverse in (
            ("f[7]", 0, False),
            ("f[7]", 0, True),
            ("f[4,5]", 0, True),
            ("f[4,5]", 1, False),
            ("f[2,3,4]", 1, True),
            ("f[3,0]", 1, False),
            ("f[67,70]", 1, False),
        )
    )


def _cumsum_vjp(g: Value, y: Value, x: Value, axis: int, reverse: bool) -> Value:
    return cumsum(g, axis=axis, reverse=not reverse)


@declare(
    rule=_cumulative_rule("cumsum"),
    vjp=(_cumsum_vjp,),
    batch=shifted("axis"),
    shown=lambda x, axis, reverse: write.running("∑", x, axis, reverse=reverse),
    source="running sum along an axis, one after the other; ``reverse`` from the end",
    linear=True,
    cases=_cumulative_cases(1),
)
def cumsum(x: Array, *, axis: int, reverse: bool) -> Array:
    sums = np.add.accumulate(_directed(x, axis, reverse), axis, dtype=x.dtype)
    return _directed(sums, axis, reverse)


def _turned(g: Value, a: Value, axis: int, reverse: bool) -> Value:
    """Return the backward recurrence hᵢ = gᵢ + aᵢ₊₁ hᵢ₊₁, used in derivatives."""
    factors = _shifted(a, axis, 0.0, back=not reverse)
    return linear_recurrence(factors, g, axis=axis, reverse=not reverse)


def _cumprod_vjp(g: Value, y: Value, x: Value, axis: int, reverse: bool) -> Value:
    """Return the derivative of a cumulative product, computed by a recurrence."""
    rest = _turned(g, x, axis, reverse)
    return mul(_shifted(y, axis, 1.0, back=reverse), rest)


@declare(
    rule=_cumulative_rule("cumprod"),
    vjp=(_cumprod_vjp,),
    batch=shifted("axis"),
    shown=lambda x, axis, reverse: write.running("∏", x, axis, reverse=reverse),
    source="running product along an axis; ``reverse`` from the end",
    cases=_cumulative_cases(1),
)
def cumprod(x: Array, *, axis: int, reverse: bool) -> Array:
    products = np.multiply.accumulate(_directed(x, axis, reverse), axis, dtype=x.dtype)
    return _directed(products, axis, reverse)


def _recurrence_rule(
    a: ArrayType, b: ArrayType, *, axis: int, reverse: bool
) -> ArrayType:
    result = same("linear_recurrence", 2, "floats")(a, b)
    need_axes("linear_recurrence", (axis,), len(result.shape))
    return result


def _recurrence_a(
    g: Value, y: Value, a: Value, b: Value, axis: int, reverse: bool
) -> Value:
    h = _turned(g, a, axis, reverse)
    return mul(h, _shifted(y, axis, 0.0, back=reverse))


@declare(
    rule=_recurrence_rule,
    vjp=(_recurrence_a, lambda g, y, a, b, axis, reverse: _turned(g, a, axis, reverse)),
    batch=shifted("axis"),
    shown=lambda a, b, axis, reverse: write.recurrence(a, b, axis, reverse=reverse),
    source="Blelloch 1990, 1.4: yᵢ = aᵢ yᵢ₋₁ + bᵢ along an axis, from y₀ = b₀",
    cases=_cumulative_cases(2),
)
def linear_recurrence(a: Array, b: Array, *, axis: int, reverse: bool) -> Array:
    steps = np.moveaxis(_directed(a, axis, reverse), axis, 0)
    y = _directed(b, axis, reverse).copy()
    rows = np.moveaxis(y, axis, 0)
    for t in range(1, len(rows)):
        rows[t] += steps[t] * rows[t - 1]
    return _directed(y, axis, reverse)
