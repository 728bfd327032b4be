"""The memory order of a tensor's elements, as PyTorch would choose it.

The order decides whether a reshaped tensor is a view or a copy in PyTorch, and so
what a change in place reaches. An elementwise result lies there as its operands do;
where these disagree, or one has axes of length 1, the order is a matter of PyTorch's
implementation, and not known here. NumPy's arrays may lie otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import BODIES, Primitive

#: Row by row; as the strides of the array say; in an order that is not known.
ROWS, PERMUTED, UNKNOWN = 0, 1, 2


def order_of(primitive: Primitive, inputs: Sequence[Value], result: Array) -> int:
    """Return the memory order of an operation's result, as PyTorch chooses it.

    A view has the order of its input. An operation that mixes elements, such as a
    matrix product, makes row-major results.
    """
    if primitive.view:
        return inputs[0].order
    order, shape = ROWS, result.shape
    if len(shape) < 2:
        return order
    for v in inputs:
        if v.order > order and v.shape == shape:
            order = v.order
    if order != PERMUTED:
        return order
    if primitive.elementwise or primitive in BODIES or len(inputs) == 1:
        full = [v for v in inputs if v.shape == shape]
        return UNKNOWN if 1 in shape or _disagree(full, result) else PERMUTED
    return ROWS


def _disagree(values: Sequence[Value], result: Array) -> bool:
    """Return whether arrays store a pair of axes in different orders."""
    arrays = [result, *[v.array for v in values if v.array is not None]]
    steps = [array.strides for array in arrays]
    for i, j in itertools.combinations(range(result.ndim), 2):
        signs = {s[i] > s[j] for s in steps if s[i] and s[j] and s[i] != s[j]}
        if len(signs) > 1:
            return True
    return False
