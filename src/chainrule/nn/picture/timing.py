"""Shares of time in a picture, measured by the native engine's own profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.compilation.api import compile
from chainrule.compilation.modes import mode
from chainrule.diagrams.parts import Parts
from chainrule.graph.calls import Call
from chainrule.graph.context import no_grad
from chainrule.graph.graph import Graph
from chainrule.graph.types import ArrayType
from chainrule.nn.module import Module
from chainrule.nn.traced import called
from chainrule.tensor import Tensor
from chainrule.text import ngettext, tr
from chainrule.text.numbers import number, percent
from chainrule.util.pytree import mapped

#: Rows of zeros that are timed where only a shape is known.
ROWS = 32

#: A call of a module, by the module's path and how often it was called before.
Key = tuple[str, int]


def add_times(
    diagram: Parts,
    model: Module,
    graph: Graph,
    names: Any,
    rows: Mapping[str, ArrayType],
    arrays: Mapping[str, Any] | None,
) -> None:
    """Write into boxes and frames what share of a prediction's time they take.

    A step of the engine that does the work of several modules counts for the one whose
    scope it has, the last of them.
    """
    if arrays is None:
        arrays = {k: np.zeros((ROWS, *t.shape), t.dtype.numpy) for k, t in rows.items()}

    def predict(*values: Tensor) -> Any:
        given = dict(zip(rows, values, strict=True))
        return called(model, mapped(given.__getitem__, names))

    with no_grad(), mode(model, training=False):
        program = compile(predict, engine="native")
        given = [arrays[name] for name in rows]
        profile = program.profile(*given)
        keys = _keys(program.graph(*given))
    whole = max(profile.microseconds, 1e-9)
    shares: dict[Key | None, float] = {}
    for scope, spent in _spent(profile.steps, ""):
        key = keys.get(id(scope))
        shares[key] = shares.get(key, 0.0) + spent / whole
    own = _keys(graph)
    for box in diagram.boxes:
        if box.kind == "layer":
            scopes = {id(node.scope) for node in box.nodes}
            share = sum(shares.pop(own[i], 0.0) for i in scopes if i in own)
            box.details.append(tr("{share} of the time", share=percent(share, 1)))
    for frame in diagram.frames:
        met = [own[id(call)] for call in frame.calls if id(call) in own]
        share = sum(shares.pop(key, 0.0) for key in met)
        if share:
            frame.title += " · " + tr(
                "its own steps {share} of the time", share=percent(share, 1)
            )
    rest = sum(shares.values()) + (profile.rest + profile.waited) / whole
    diagram.notes.append(
        tr(
            ngettext(
                "Time: {time} µs for a prediction of {n} row by the native engine; "
                "{rest} of it between the layers.",
                "Time: {time} µs for a prediction of {n} rows by the native engine; "
                "{rest} of it between the layers.",
                n=len(next(iter(arrays.values()))),
                time=number(whole, 3),
                rest=percent(rest, 1),
            )
        )
    )


def _spent(steps: Iterable[Any], outer: str) -> Iterator[tuple[str, float]]:
    """Yield the scope and the own µs of each measured step, of loops' bodies too.

    What has no module of its own within a loop counts for the module of the loop.
    """
    for part in steps:
        scope = part.step.node.scope
        scope = scope if isinstance(scope, Call) else outer
        yield scope, part.own
        for body in part.within:
            yield from _spent(body, scope)


def _keys(graph: Graph) -> dict[int, Key]:
    """Return the keys of the calls in a graph, by the scope's identity."""
    keys: dict[int, Key] = {}
    counts: dict[str, int] = {}
    for node in graph.nodes_within():
        scope = node.scope
        while isinstance(scope, Call) and id(scope) not in keys:
            keys[id(scope)] = str(scope), counts.get(scope, 0)
            counts[str(scope)] = counts.get(scope, 0) + 1
            scope = scope.outer
    return keys
