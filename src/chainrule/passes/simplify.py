"""Drop nodes that change nothing, and shorten chains of reshapes and broadcasts."""

from __future__ import annotations

from chainrule.graph.build import replay
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.passes.rewrite import rewrite


def simplify(graph: Graph) -> Graph:
    """The graph without identities.

    - reshape, broadcast_to, convert, transpose and slice to the same type and order;
    - a reshape of a reshape, which is one reshape.
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        name = node.primitive.name
        if name == "reshape":
            (x,) = inputs
            if x.node is not None and x.node.primitive.name == "reshape":
                x = x.node.inputs[0]
            if x.shape == node.attrs["shape"]:
                return (x,)
            return replay(node, (x,))
        unchanged = (
            name in ("broadcast_to", "convert", "slice", "reduce_sum")
            and inputs[0].type == node.outputs[0].type  # type: ignore[union-attr]
        ) or (
            name == "transpose"
            and list(node.attrs["axes"]) == sorted(node.attrs["axes"])
        )
        return (inputs[0],) if unchanged else None

    return rewrite(graph, rule)
