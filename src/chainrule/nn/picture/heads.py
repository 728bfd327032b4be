"""The number of heads of attention, where it is seen that an axis is one of heads.

A batch axis of Q Kᵀ may as well be of rows, windows or frames. It is of heads where the
features were cut into it and those of a head, or where it comes from weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph.node import Node, Value
from chainrule.nn.picture.attention import is_view
from chainrule.primitives import matmul, movement
from chainrule.primitives.matmul import parse_dims


def heads(scores: Node) -> int:
    """Return the number of heads of a product Q Kᵀ; 1 where none are seen."""
    dims = parse_dims(scores.attrs["dims"])
    q, count = scores.inputs[0], 1
    inner = next((i for i, c in enumerate(dims.lhs) if c in dims.contracted), None)
    for letter in dims.batch:
        axis = list(dims.lhs).index(letter)
        size = q.shape[axis]
        if isinstance(size, int) and size > 1 and inner is not None:
            count *= size if _of_features(q, axis, inner) else 1
    return count


def _of_features(value: Value, axis: int, inner: int) -> bool:
    """Return whether two axes of a value were cut from one, that of features."""
    while (node := value.node) is not None:
        before = node.inputs[0] if node.inputs else value
        if node.primitive is matmul.dot_general:
            return _of_weights(node, axis)
        if node.primitive is movement.transpose:
            axis, inner = node.attrs["axes"][axis], node.attrs["axes"][inner]
        elif node.primitive is movement.reshape:
            found = _before(before.shape, value.shape, axis)
            other = _before(before.shape, value.shape, inner)
            if found is None or other is None or found[1]:
                return found is not None and found == other
            axis, inner = found[0], other[0]
        elif node.primitive in (movement.concatenate, movement.slice_):
            if before.shape[axis] != value.shape[axis]:
                return False
        elif is_view(node) or node.primitive.elementwise:
            # Of operands the one of the result's shape; a broadcast one has no axis.
            alike = [v for v in node.inputs if v.shape == value.shape]
            if not alike:
                return False
            before = alike[0]
        elif before.shape != value.shape:  # such as the norm of each head
            return False
        value = before
    return False


def _of_weights(product: Node, axis: int) -> bool:
    """Return whether an axis of a product is one of weights alone."""
    dims = parse_dims(product.attrs["dims"])
    letter = list(dims.out)[axis]
    for own, other, value in zip(
        (dims.lhs, dims.rhs), (dims.rhs, dims.lhs), product.inputs
    ):
        if letter in own and letter not in other:
            return all(isinstance(size, int) for size in value.shape)
    return False


def _before(
    before: Sequence[object], after: Sequence[object], axis: int
) -> tuple[int, bool] | None:
    """Return of which axis before a reshape one is, and whether it is a part of that.

    None where that is not seen. Axes are compared from the last one, as those of
    samples have no numbers.
    """
    i, j = len(before), len(after)
    while i > 0 and j > 0:
        i, j = i - 1, j - 1
        left, right, group = before[i], after[j], [j]
        while left != right:
            if not isinstance(left, int) or not isinstance(right, int):
                return None
            if left < right or j == 0:
                return None  # axes are joined: nothing says which is of heads
            j -= 1
            size = after[j]
            if not isinstance(size, int):
                return None
            right *= size
            group.append(j)
        if axis in group:
            return i, len(group) > 1
    return None
