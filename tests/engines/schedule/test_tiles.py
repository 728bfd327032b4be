"""Which products go into the loops that read them, and what they then compute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.schedule.layout import StridedView, row_major
from chainrule.engines.schedule.maps import fuse_maps, tiled
from chainrule.engines.schedule.tiles import in_tiles
from chainrule.graph.emit import tracing
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.program import Entry
from chainrule.graph.types import DType
from chainrule.primitives.elementwise import mul, sub
from chainrule.primitives.matmul import dot_general
from chainrule.primitives.movement import reduce_sum

A, B, C = (4, 128), (4, 48), (128, 48)


def entry_of(*, shared: bool = False, wanted: bool = False) -> Entry:
    """w − g·g and a sum, of g = aᵀb; g may have other readers."""
    a, b, w = (
        Value(None, shape, DType.float32, name=name)
        for shape, name in ((A, "a"), (B, "b"), (C, "w"))
    )
    with tracing():
        g = dot_general(a, b, dims="no,ni->oi", accumulate=DType.float32)
        made = [sub(w, mul(g, g))]
        if shared:
            later = reduce_sum(made[0], axes=(0,))
            made.append(dot_general(g, later, dims="oi,i->o", accumulate=g.dtype))
        if wanted:
            made.append(g)
    graph = Graph("step", [a, b, w], made)
    looped = fuse_maps(graph, {})
    return Entry("step", looped, ("a", "b", "w"), (), (), {}, len(made))


def views_of(entry: Entry, blocking: int) -> dict[Value, StridedView]:
    return {
        v: StridedView(
            v, v.shape, row_major(v.shape), blocking=blocking if v.shape == C else 0
        )
        for v in entry.graph.values()
    }


def kinds(entry: Entry) -> list[str]:
    return [node.primitive.name for node in entry.graph.nodes]


def test_the_only_reader_takes_it_over() -> None:
    entry = entry_of()
    made = in_tiles(entry, views_of(entry, 64), lambda *nodes: True)
    assert kinds(made) == [tiled.name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (A, B, C)]
    wanted = evaluate(entry.graph, arrays)
    for one, other in zip(wanted, evaluate(made.graph, arrays), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("how", ["shared", "wanted"])
def test_not_what_others_need(how: str) -> None:
    entry = entry_of(**{how: True})
    made = in_tiles(entry, views_of(entry, 64), lambda *nodes: True)
    assert tiled.name not in kinds(made)


def test_not_what_lies_otherwise_or_is_not_admitted() -> None:
    entry = entry_of()
    flat = in_tiles(entry, views_of(entry, 0), lambda *nodes: True)
    refused = in_tiles(entry, views_of(entry, 64), lambda *nodes: False)
    views = views_of(entry, 64)
    (weight,) = (v for v in entry.graph.inputs if v.shape == C)
    views[weight] = replace(views[weight], blocking=32)
    mixed = in_tiles(entry, views, lambda *nodes: True)
    for made in (flat, refused, mixed):
        assert tiled.name not in kinds(made)


def test_a_step_says_what_is_in_its_tiles() -> None:
    layer = cr.nn.Linear(16, 128)
    optimizer = cr.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)

    def step(x: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = (layer(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        layer.weight.grad = None
        return loss

    run = cr.compile(step, engine="native")
    run(cr.ones(8, 16))
    (schedule,) = run.programs[0].executable.schedules.values()
    assert "dot_general·mul" in str(schedule)
