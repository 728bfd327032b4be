"""A graph pass that removes nodes without effect and joins chains of reshapes."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph.emit import clone, emit
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim
from chainrule.passes.rewrite import rewrite
from chainrule.primitives.elementwise import add, convert
from chainrule.primitives.movement import (
    broadcast_to,
    concatenate,
    pad,
    reduce_sum,
    reshape,
    slice_,
    transpose,
)


def simplify(graph: Graph) -> Graph:
    """Return the graph without nodes that have no effect, and with reshapes joined.

    - reshape, broadcast_to, convert, transpose and slice to the same type and order;
    - a reshape of a reshape, which is one reshape;
    - a reshape or broadcast of a repeated number, which repeats the number;
    - a sum of parts that are padded to lie side by side, which are concatenated: so the
      derivative of a split comes.
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        primitive = node.primitive
        if primitive in (reshape, broadcast_to):
            number = _repeated_number(inputs[0])
            if number is not None:
                shape = {"shape": node.attrs["shape"]}
                return emit(broadcast_to, (number,), shape, node)
        if primitive is add and (parts := _side_by_side(node, inputs)) is not None:
            axis, values = parts
            return emit(concatenate, values, {"axis": axis}, node)
        if primitive is reshape:
            (x,) = inputs
            if x.node is not None and x.node.primitive is reshape:
                x = x.node.inputs[0]
            if x.shape == node.attrs["shape"]:
                return (x,)
            return clone(node, (x,))
        (out, *_) = node.outputs
        unchanged = (
            primitive in (broadcast_to, convert, slice_, reduce_sum)
            and out is not None
            and inputs[0].type == out.type
        ) or (
            primitive is transpose
            and list(node.attrs["axes"]) == sorted(node.attrs["axes"])
        )
        return (inputs[0],) if unchanged else None

    return rewrite(graph, rule)


def _repeated_number(x: Value) -> Value | None:
    """Return the scalar that is broadcast to a graph value, or None."""
    if x.node is None or x.node.primitive is not broadcast_to:
        return None
    source = x.node.inputs[0]
    return source if source.shape == () else None


def _side_by_side(
    node: Node, inputs: tuple[Value, ...]
) -> tuple[int, tuple[Value, ...]] | None:
    """Return axis and parts if a node's sum of padded arrays is a concatenation."""
    padded = _padded_parts(inputs)
    if padded is None:
        return None
    (out,) = node.outputs
    axes = {axis for axis, _, _ in padded}
    if out is None or len(axes) != 1:
        return None
    (axis,) = axes
    padded.sort(key=lambda part: part[1])
    at: Dim = 0
    for _, start, value in padded:
        if start != at or not isinstance(value.shape[axis], int):
            return None
        at = start + value.shape[axis]
    return (axis, tuple([v for _, _, v in padded])) if at == out.shape[axis] else None


def _padded_parts(values: Sequence[Value]) -> list[tuple[int, int, Value]] | None:
    """Return (axis, start, part) of arrays that are padded along one axis, or None."""
    padded: list[tuple[int, int, Value]] = []
    for value in values:
        node = value.node
        if node is not None and node.primitive is add:
            parts = _padded_parts(node.inputs)
            if parts is None:
                return None
            padded += parts
            continue
        if node is None or node.primitive is not pad or any(node.attrs["interior"]):
            return None
        low, high = node.attrs["low"], node.attrs["high"]
        axes = [i for i, ends in enumerate(zip(low, high)) if any(ends)]
        if len(axes) != 1 or min(*low, *high) < 0:
            return None
        padded.append((axes[0], low[axes[0]], node.inputs[0]))
    return padded
