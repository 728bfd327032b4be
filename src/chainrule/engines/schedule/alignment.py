"""Rules for which axes of a node's operands and results correspond, by primitive.

``aligned(node, i)`` gives for each axis of operand i the axis of the result along which
a part of the result needs the same part of the operand, or None where every part of the
result may read all of it. A product ``ni,oi->no`` divided by n needs its rows of the
first operand and all of the second.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.engines.schedule.maps import is_elementwise, tiled
from chainrule.graph.node import Node
from chainrule.graph.primitive import Primitive
from chainrule.primitives import (
    conv,
    indexing,
    matmul,
    movement,
    reduce,
    sorting,
    windows,
)
from chainrule.primitives.matmul import parse_dims

Axes = tuple[int | None, ...]


def aligned(node: Node, operand: int) -> Axes:
    """Return the result axis that matches each axis of a node's operand, or None."""
    if is_elementwise(node) or node.primitive is movement.copy:
        return _same(node, operand)
    rule = _RULES.get(node.primitive)
    if rule is None:
        return (None,) * len(node.inputs[operand].shape)
    return rule(node, operand)


def _same(node: Node, operand: int) -> Axes:
    """Return an elementwise operand's axes, all of which match the result's."""
    return tuple(range(len(node.inputs[operand].shape)))


def _remaining(node: Node, operand: int) -> Axes:
    """Return a reduction's result axis for each operand axis, or None if reduced."""
    axes = node.attrs["axes"] if "axes" in node.attrs else (node.attrs["axis"],)
    remaining = iter(range(len(node.inputs[0].shape)))
    return tuple(
        None if axis in axes else next(remaining)
        for axis in range(len(node.inputs[0].shape))
    )


def _letters(node: Node, operand: int) -> Axes:
    """Return a tensor product's result axis for each operand axis, or None."""
    d = parse_dims(node.attrs["dims"])
    return tuple(
        d.out.index(c) if c in d.out and c not in d.window else None
        for c in (d.lhs, d.rhs)[operand]
    )


def _letters_or_same(node: Node, operand: int) -> Axes:
    """Return a ``tiled`` node's axes: as of a product, or as of an elementwise loop."""
    return _letters(node, operand) if operand < 2 else _same(node, operand)


def _but_axis(node: Node, operand: int) -> Axes:
    """Return an operand's axes, with None for the axis along which a node operates."""
    axis = node.attrs["axis"]
    rank = len(node.inputs[operand].shape)
    return tuple(None if a == axis else a for a in range(rank))


def _but_axes(node: Node, operand: int) -> Axes:
    """Return a pooling's axes, with None for those over which the window slides."""
    return tuple(
        None if a in node.attrs["axes"] else a
        for a in range(len(node.inputs[operand].shape))
    )


def _rows_by_index(node: Node, operand: int) -> Axes:
    """Return the matching axes of ``take``: those of its indices, none of its rows."""
    rank = len(node.inputs[operand].shape)
    return (None,) * rank if operand == 0 else tuple(range(rank))


_RULES: dict[Primitive, Callable[[Node, int], Axes]] = {
    movement.reduce_sum: _remaining,
    reduce.reduce_max: _remaining,
    reduce.reduce_prod: _remaining,
    reduce.argmax: _remaining,
    reduce.argmin: _remaining,
    reduce.cumsum: _but_axis,
    reduce.cumprod: _but_axis,
    reduce.linear_recurrence: _but_axis,
    sorting.argsort: _but_axis,
    movement.concatenate: _but_axis,
    windows.window_sum: _but_axes,
    windows.window_max: _but_axes,
    windows.window_argmax: _but_axes,
    windows.window_best: _but_axes,
    windows.window_max_pullback: _but_axes,
    matmul.dot_general: _letters,
    conv.conv: _letters,
    tiled: _letters_or_same,
    indexing.take: _rows_by_index,
    indexing.gather: _but_axis,
    indexing.scatter_add_along: _but_axis,
}
