"""Drop nodes that change nothing, and shorten chains of reshapes and broadcasts."""

from __future__ import annotations

from chainrule.graph.build import record, replay
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.passes.rewrite import rewrite
from chainrule.primitives.elementwise import convert
from chainrule.primitives.movement import (
    broadcast_to,
    reduce_sum,
    reshape,
    slice_,
    transpose,
)


def simplify(graph: Graph) -> Graph:
    """The graph without identities.

    - reshape, broadcast_to, convert, transpose and slice to the same type and order;
    - a reshape of a reshape, which is one reshape;
    - a reshape or broadcast of a repeated number, which repeats the number.
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        primitive = node.primitive
        if primitive in (reshape, broadcast_to):
            number = _repeated_number(inputs[0])
            if number is not None:
                shape = {"shape": node.attrs["shape"]}
                return record(broadcast_to, (number,), shape, node)
        if primitive is reshape:
            (x,) = inputs
            if x.node is not None and x.node.primitive is reshape:
                x = x.node.inputs[0]
            if x.shape == node.attrs["shape"]:
                return (x,)
            return replay(node, (x,))
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
    """The single number that ``x`` repeats, if it is made like that."""
    if x.node is None or x.node.primitive is not broadcast_to:
        return None
    source = x.node.inputs[0]
    return source if source.shape == () else None
