"""Primitives that reduce axes to their largest element, or to its index.

The sum, which is the derivative of repeating, is declared in ``movement``.
"""

from __future__ import annotations

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.build import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.elementwise import convert, div, equal, mul
from chainrule.primitives.movement import (
    REDUCTIONS,
    expand,
    reduce_sum,
    reduction_rule,
    without,
)
from chainrule.primitives.rules import need_axes, show


def _max_vjp(g: Value, y: Value, x: Value, axes: tuple[int, ...]) -> Value:
    winners = convert(equal(x, expand(y, x, axes)), dtype=x.dtype)
    share = div(g, reduce_sum(winners, axes=axes))
    return mul(winners, expand(share, x, axes))


def _max(x: Array, *, axes: tuple[int, ...]) -> Array:
    return np.max(x, axis=axes)


reduce_max = declare(
    "reduce_max",
    rule=reduction_rule("reduce_max"),
    reference=_max,
    vjp=(_max_vjp,),
    formula=r"\max {0}",
    source="largest element",
    kinks="ties, where the derivative is shared equally",
    cases=REDUCTIONS,
)


def _argmax_rule(x: ArrayType, *, axis: int) -> ArrayType:
    need_axes("argmax", (axis,), len(x.shape))
    if x.shape[axis] == 0:
        raise ShapeError(
            "argmax of no elements does not exist.",
            expected=f"at least one element along axis {axis}",
            got=show(x.shape),
        )
    return ArrayType(without(x.shape, (axis,)), DType.int64)


def _argmax(x: Array, *, axis: int) -> Array:
    return np.argmax(x, axis=axis).astype(np.int64)


argmax = declare(
    "argmax",
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
