"""Maxima of windows and their places, found in one pass."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule.graph.emit import tracing
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.passes.windows import share_windows
from chainrule.primitives.windows import window_argmax, window_best, window_max

HOW = {"window": (2,), "strides": (2,), "padding": ((0, 0),), "dilation": (1,)}


def graph_of(other: dict[str, object]) -> Graph:
    x = Value(None, (3, 8), DType.float32, name="x")
    with tracing():
        y, z = window_max(x, axes=(1,), **HOW), window_argmax(x, axes=(1,), **other)
    return Graph("pool", [x], [y, z])


def test_both_are_one() -> None:
    graph = graph_of(HOW)
    with tracing():
        made = share_windows(graph)
    assert [node.primitive for node in made.nodes] == [window_best]
    x = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    for one, other in zip(evaluate(graph, [x]), evaluate(made, [x])):
        np.testing.assert_array_equal(one, other)


def test_other_windows_stay() -> None:
    graph = graph_of(HOW | {"strides": (1,)})
    with tracing():
        assert share_windows(graph) is graph


def test_pooling_backwards_on_the_native_engine() -> None:
    x = np.random.default_rng(1).standard_normal((4, 6, 9, 7)).astype(np.float32)
    x[0, 0, :2, :2] = np.nan
    pool = cr.nn.MaxPool2d(3, 2, padding=1)

    def back(value: cr.Tensor) -> tuple[cr.Tensor, ...]:
        made, pull = cr.vjp(pool, value)
        return made, *pull(cr.ones((4, 6, 5, 4)))

    wanted = back(cr.tensor(x))
    for threads in (1, 2, 3):
        made = cr.compile(back, engine="native", threads=threads)(cr.tensor(x))
        for one, other in zip(made, wanted):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
