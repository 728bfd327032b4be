"""The picture of an explained network, with its numbers and their derivatives."""

from __future__ import annotations

from chainrule.diagrams.diagram import Diagram
from chainrule.explanation.content import Explained
from chainrule.graph.graph import Graph
from chainrule.nn.picture.network import diagram_of
from chainrule.nn.picture.numbers import add_loops
from chainrule.text import tr


def network(e: Explained) -> Diagram:
    """Return the picture of an explained network: its prediction for the first sample.

    Units of a small dense network are drawn one by one: activations, δ and weights.
    """
    run = e.run
    graph = Graph("network", run.graph.inputs, run.predictions)
    arrays = dict(run.arrays)
    add_loops(graph, arrays, run.n)
    several = len(run.predictions) > 1
    outputs = [
        (v, tr("output {n}", n=i) if several else "ŷ")
        for i, v in enumerate(run.predictions, 1)
    ]
    return diagram_of(
        graph,
        [(v, e.names.of[v].text()) for v in run.x],
        outputs,
        parameters=[v for v in graph.inputs if v in run.parameters],
        arrays=arrays,
        errors={v: run.arrays[g] for v, g in run.cotangents.items()},
        n=run.n,
    )
