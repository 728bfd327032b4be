"""The walk over a graph's nodes that replaces them, the base of graph passes."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.graph.emit import clone
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value

Rule = Callable[[Node, tuple[Value, ...]], tuple[Value | None, ...] | None]


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """Return the graph with each node replaced by what ``rule`` returns for it.

    Nodes before the first change are part of both graphs. Those behind it are applied
    anew, so that all stay in their order.

    Args:
        graph: what to rewrite; it stays as it is.
        rule: called with each node and its new inputs, in running order; it gives the
            new outputs, or None to keep the node. Values of ``graph`` that it has
            passed stand for what became of them.
    """
    new: dict[Value, Value] = {}
    changed = False
    for node in graph.nodes:
        inputs = tuple([new.get(v, v) for v in node.inputs]) if changed else node.inputs
        outputs = rule(node, inputs)
        if outputs is None:
            if not changed:
                continue
            outputs = clone(node, inputs)
        changed = True
        for before, after in zip(node.outputs, outputs, strict=True):
            assert before is not None
            assert after is not None
            new[before] = new.get(after, after)
    if not changed:
        return graph
    return Graph(graph.name, graph.inputs, [new.get(v, v) for v in graph.outputs])
