"""The picture of a network, read from the graph of its forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.diagrams.diagram import Diagram
from chainrule.diagrams.reading import Reader, without_bare_frames
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Value
from chainrule.nn.picture.view import NetworkView
from chainrule.text import tr


def diagram_of(
    graph: Graph,
    inputs: Sequence[tuple[Value, str]],
    outputs: Sequence[tuple[Value, str]],
    parameters: Sequence[Value] = (),
    depth: int | None = None,
) -> Diagram:
    view = NetworkView(graph, [v for v, __ in inputs], depth)
    made = Reader(view, parameters).read(graph, inputs, outputs)
    without_bare_frames(made)
    for box in made.boxes:
        if box.parameters:
            box.details.append(tr("{n} parameters", n=f"{box.parameters:,}"))
    return made
