"""Graph passes: functions that rewrite a graph into an equivalent graph.

A pass keeps the inputs, the outputs (by position) and the numbers; it changes only how
they are computed. :func:`prepare` is the sequence that every engine starts from.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.passes.common import merge_common
from chainrule.passes.inline import inline_composites
from chainrule.passes.products import merge_letters
from chainrule.passes.simplify import simplify


def prepare(graph: Graph, keep: Callable[[Node], bool] = lambda _: False) -> Graph:
    """Apply the common graph passes: inline composites, simplify, merge repeated nodes.

    Neighbouring axes of products are merged too.
    """
    return merge_common(simplify(merge_letters(inline_composites(graph, keep))))


__all__ = ["inline_composites", "merge_common", "merge_letters", "prepare", "simplify"]
