"""A graph pass that replaces each composite by the primitives of its body."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.autodiff import inline
from chainrule.graph.context import absolute_scope
from chainrule.graph.emit import tracing
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.passes.rewrite import rewrite


def inline_composites(
    graph: Graph, keep: Callable[[Node], bool] = lambda _: False
) -> Graph:
    """Return the graph with composites replaced by their bodies of primitives.

    Body nodes take the scope, role and source of the composite's node.
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        body_of = BODIES.get(node.primitive)
        if body_of is None or keep(node):
            return None
        body = inline_composites(body_of([v.type for v in inputs], node.attrs), keep)
        with tracing(), absolute_scope(node.scope, node.role):
            return inline(body, inputs, origin=node)

    return rewrite(graph, rule)
