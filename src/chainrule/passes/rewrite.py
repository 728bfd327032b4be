"""The walk that passes are made of."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.graph.build import replay
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value

Rule = Callable[[Node, tuple[Value, ...]], tuple[Value, ...] | None]


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """The graph with each node replaced by what ``rule`` makes of it.

    Args:
        graph: what to rewrite; it stays as it is.
        rule: called with each node and its new inputs, in running order; it gives the
            new outputs, or None to keep the node.
    """
    new: dict[Value, Value] = {v: v for v in graph.inputs}
    for node in graph.nodes:
        inputs = tuple(new[v] for v in node.inputs)
        outputs = rule(node, inputs)
        if outputs is None:
            outputs = replay(node, inputs)
        for before, after in zip(node.outputs, outputs, strict=True):
            assert before is not None
            new[before] = after
    return Graph(graph.name, graph.inputs, [new[v] for v in graph.outputs])
