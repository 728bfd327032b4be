"""Primitives that reduce axes: sums, maxima, the index of the largest."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case, Primitive
from chainrule.graph.types import ArrayType, DType, Shape
from chainrule.primitives.elementwise import convert, div, equal, mul
from chainrule.primitives.movement import broadcast_to, reshape
from chainrule.primitives.rules import need_axes, show


def _without(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def _rule(name: str) -> Any:
    def rule(x: ArrayType, *, axes: tuple[int, ...]) -> ArrayType:
        need_axes(name, axes, len(x.shape))
        if name != "reduce_sum" and any(x.shape[a] == 0 for a in axes):
            raise ShapeError(
                f"{name} of no elements does not exist.",
                expected="at least one element along the reduced axes",
                got=show(x.shape),
            )
        return ArrayType(_without(x.shape, axes), x.dtype)

    return rule


def expand(y: Value, x: Value, axes: tuple[int, ...]) -> Value:
    """``y``, which lost ``axes`` of ``x``, repeated along them again."""
    kept = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    return broadcast_to(reshape(y, shape=kept), shape=x.shape)


def _sum(x: Array, *, axes: tuple[int, ...]) -> Array:
    return np.sum(x, axis=axes, dtype=x.dtype)


_CASES = (
    Case(("f[7]",), {"axes": (0,)}),
    Case(("f[3,4]",), {"axes": (0,)}),
    Case(("f[3,4]",), {"axes": (1,)}),
    Case(("f[2,3,5]",), {"axes": (0, 2)}),
    Case(("f[2,3,5]",), {"axes": (1,)}),
    Case(("f[3,131]",), {"axes": (1,)}),
    Case(("f[67,33]",), {"axes": (0, 1)}),
    Case(("f[1,1]",), {"axes": (0, 1)}),
    Case(("f[3]",), {"axes": ()}),
)

reduce_sum = Primitive(
    name="reduce_sum",
    rule=_rule("reduce_sum"),
    reference=_sum,
    vjp=(lambda g, y, x, axes: expand(g, x, axes),),
    formula=r"\sum {0}",
    source="finite sum; engines may order it by their own fixed rule",
    linear=True,
    cases=(
        *_CASES,
        Case(("f[0,3]",), {"axes": (0,)}),
        Case(("i32[4]",), {"axes": (0,)}),
    ),
)


def _max_vjp(g: Value, y: Value, x: Value, axes: tuple[int, ...]) -> Value:
    winners = convert(equal(x, expand(y, x, axes)), dtype=x.dtype)
    share = div(g, reduce_sum(winners, axes=axes))
    return mul(winners, expand(share, x, axes))


def _max(x: Array, *, axes: tuple[int, ...]) -> Array:
    return np.max(x, axis=axes)


reduce_max = Primitive(
    name="reduce_max",
    rule=_rule("reduce_max"),
    reference=_max,
    vjp=(_max_vjp,),
    formula=r"\max {0}",
    source="largest element",
    kinks="ties, where the derivative is shared equally",
    cases=_CASES,
)


def _argmax_rule(x: ArrayType, *, axis: int) -> ArrayType:
    need_axes("argmax", (axis,), len(x.shape))
    if x.shape[axis] == 0:
        raise ShapeError(
            "argmax of no elements does not exist.",
            expected=f"at least one element along axis {axis}",
            got=show(x.shape),
        )
    return ArrayType(_without(x.shape, (axis,)), DType.int64)


def _argmax(x: Array, *, axis: int) -> Array:
    return np.argmax(x, axis=axis).astype(np.int64)


argmax = Primitive(
    name="argmax",
    rule=_argmax_rule,
    reference=_argmax,
    formula=r"\arg\max {0}",
    source="index of the largest element, the first of equals",
    cases=(
        Case(("f[7]",), {"axis": 0}),
        Case(("f[4,10]",), {"axis": 1}),
        Case(("f[4,3,2]",), {"axis": 1}),
    ),
)
