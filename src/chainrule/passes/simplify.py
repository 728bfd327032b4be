"""Drop nodes that change nothing, and shorten chains of reshapes and broadcasts."""

from __future__ import annotations

from chainrule.graph.build import absolute_scope, record, replay
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import lookup
from chainrule.passes.rewrite import rewrite


def simplify(graph: Graph) -> Graph:
    """The graph without identities.

    - reshape, broadcast_to, convert, transpose and slice to the same type and order;
    - a reshape of a reshape, which is one reshape;
    - a reshape or broadcast of a repeated number, which repeats the number.
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        name = node.primitive.name
        if name in ("reshape", "broadcast_to"):
            number = _repeated_number(inputs[0])
            if number is not None:
                repeat = lookup("broadcast_to")
                with absolute_scope(node.scope, node.role):
                    return record(repeat, (number,), {"shape": node.attrs["shape"]})
        if name == "reshape":
            (x,) = inputs
            if x.node is not None and x.node.primitive.name == "reshape":
                x = x.node.inputs[0]
            if x.shape == node.attrs["shape"]:
                return (x,)
            return replay(node, (x,))
        (out, *_) = node.outputs
        unchanged = (
            name in ("broadcast_to", "convert", "slice", "reduce_sum")
            and out is not None
            and inputs[0].type == out.type
        ) or (
            name == "transpose"
            and list(node.attrs["axes"]) == sorted(node.attrs["axes"])
        )
        return (inputs[0],) if unchanged else None

    return rewrite(graph, rule)


def _repeated_number(x: Value) -> Value | None:
    """The single number that ``x`` repeats, if it is made like that."""
    if x.node is None or x.node.primitive.name != "broadcast_to":
        return None
    source = x.node.inputs[0]
    return source if source.shape == () else None
