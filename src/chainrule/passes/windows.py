"""A graph pass that computes max pooling's maxima and their positions together."""

from __future__ import annotations

from typing import Any

from chainrule.graph.emit import emit
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.passes.rewrite import rewrite
from chainrule.primitives.windows import window_argmax, window_best, window_max

_RESULT: dict[Primitive, int] = {window_max: 0, window_argmax: 1}


def share_windows(graph: Graph) -> Graph:
    """Return the graph with the maxima and positions of a pooling in one node.

    Pooling that returns indices takes both, and so does its second derivative.
    """

    def key(node: Node, inputs: tuple[Value, ...]) -> Any:
        return inputs, tuple(sorted(node.attrs.items()))

    wanted = [
        {key(node, node.inputs) for node in graph.nodes if node.primitive is primitive}
        for primitive in _RESULT
    ]
    both = wanted[0] & wanted[1]
    pairs: dict[Any, tuple[Value, ...]] = {}

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        which = _RESULT.get(node.primitive)
        if which is None or key(node, node.inputs) not in both:
            return None
        mine = key(node, inputs)
        if mine not in pairs:
            pairs[mine] = emit(window_best, inputs, dict(node.attrs), node)
        return (pairs[mine][which],)

    return rewrite(graph, rule) if both else graph
