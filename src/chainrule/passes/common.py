"""A graph pass that merges nodes that compute the same (common subexpressions).

Derivative rules and composites are free to compute anew what the forward pass computed
(softmax in the loss and in its δ): this pass makes that cost nothing.
"""

from __future__ import annotations

from typing import Any

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.passes.rewrite import rewrite


def merge_common(graph: Graph) -> Graph:
    """Return the graph with repeated computations merged into one node each."""
    seen: dict[Any, Node] = {}

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value | None, ...] | None:
        key = (
            node.primitive,
            tuple(map(id, inputs)),
            tuple(sorted((k, attr_key(v)) for k, v in node.attrs.items())),
        )
        first = seen.setdefault(key, node)
        return None if first is node else first.outputs

    return rewrite(graph, rule)


def attr_key(attr: Any) -> str:
    """Return a node attribute as text, a dictionary key that equal attributes share."""
    # repr tells 1 from 1.0 and from True, −0.0 from 0.0, and NaN equals itself.
    return f"graph{id(attr)}" if isinstance(attr, Graph) else repr(attr)
