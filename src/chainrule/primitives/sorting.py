"""Primitives that sort arrays: the order of elements along an axis (argsort)."""

from __future__ import annotations

import numpy as np

from chainrule import notation as write
from chainrule.graph.batching import shifted
from chainrule.graph.declare import declare
from chainrule.graph.node import Array
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.rules import need_axes


def _rule(x: ArrayType, *, axis: int, descending: bool) -> ArrayType:
    need_axes("argsort", (axis,), len(x.shape))
    return ArrayType(x.shape, DType.int64)


@declare(
    rule=_rule,
    batch=shifted("axis"),
    shown=lambda x, axis, descending: write.along(
        "argsort", -x if descending else x, axis
    ),
    source="Knuth, The Art of Computer Programming, vol. 3, 5: stable; NaN is largest",
    cases=(
        Case(("f[7]",), {"axis": 0, "descending": False}),
        Case(("f[7]",), {"axis": 0, "descending": True}),
        Case(("f[4,5]",), {"axis": 0, "descending": False}),
        Case(("f[4,33]",), {"axis": 1, "descending": True}),
        Case(("f[2,5,3]",), {"axis": 1, "descending": False}),
        Case(("f[2,0]",), {"axis": 1, "descending": False}),
        Case(("f[1031]",), {"axis": 0, "descending": False}),
        Case(("f[3,401,7]",), {"axis": 1, "descending": False}),
    ),
)
def argsort(x: Array, *, axis: int, descending: bool) -> Array:
    if not descending:
        return np.argsort(x, axis, kind="stable").astype(np.int64, copy=False)
    # From behind, so that equal elements keep their order.
    turned = np.argsort(np.flip(x, axis), axis, kind="stable")
    return (x.shape[axis] - 1 - np.flip(turned, axis)).astype(np.int64, copy=False)
