"""Passes keep the numbers, and the verifier stands before and after each of them."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.composites.activations import softmax
from chainrule.composites.composite import Composite
from chainrule.engines.schedule.maps import is_elementwise
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.types import ArrayType, DType
from chainrule.graph.verify import verify
from chainrule.passes import inline_composites, merge_common, prepare, simplify
from chainrule.primitives.elementwise import add, mul
from chainrule.primitives.movement import broadcast_to, full_like, reshape, transpose
from tests.conformance.cases import Example, all_cases, every

PASSES = {
    "inline": inline_composites,
    "inline but elementwise": lambda graph: inline_composites(graph, is_elementwise),
    "simplify": simplify,
    "merge": merge_common,
    "prepare": prepare,
}


def training_step() -> Graph:
    """The whole training step of a small network: the graph that users compile."""
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    optimizer = optim.AdamW(model.parameters())
    loss_function = nn.CrossEntropyLoss()

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = np.ones((6, 5), np.float32), np.zeros(6, np.int32)
    return cr.compile(step, engine="numpy").graph(x, y)


@pytest.mark.parametrize("name", PASSES)
def test_a_training_step_keeps_its_numbers(name):
    graph = training_step()
    rng = np.random.default_rng(0)
    arrays = []
    for v in graph.inputs:
        if v.dtype.is_float:
            arrays.append(rng.uniform(0.1, 1, v.shape).astype(v.dtype.numpy))
        else:
            arrays.append(rng.integers(0, 3, v.shape).astype(v.dtype.numpy))
    verify(graph)
    made = PASSES[name](graph)
    verify(made)
    assert [v.type for v in made.outputs] == [v.type for v in graph.outputs]
    for got, wanted in zip(evaluate(made, arrays), evaluate(graph, arrays)):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


@every(all_cases((DType.float32,)))
def test_every_primitive_survives(example: Example, rng: np.random.Generator) -> None:
    graph = trace(lambda *v: example.apply(*v), example.types, name="main")
    verify(graph)
    arrays = example.draw(rng)
    wanted = evaluate(graph, arrays)
    for name, rewrite in PASSES.items():
        made = rewrite(graph)
        verify(made)
        for got, right in zip(evaluate(made, arrays), wanted, strict=True):
            np.testing.assert_array_equal(got, right, name)


def count(graph: Graph, name: str) -> int:
    return sum(node.primitive.name == name for node in graph.nodes)


X = ArrayType((3, 4), DType.float32)


def test_inline_leaves_no_composite_and_keeps_their_place():
    made = inline_composites(training_step())
    assert not any(isinstance(node.primitive, Composite) for node in made.nodes)
    roles = {node.role for node in made.nodes}
    assert roles == {"forward", "backward", "update"}


def test_what_a_derivative_computes_again_is_merged():
    graph = prepare(training_step())
    assert count(graph, "exp") == 1  # softmax in the loss and in its δ


def test_merge_keeps_apart_what_differs():
    def function(x):
        a, b = mul(x, full_like(x, 0.0)), mul(x, full_like(x, -0.0))
        return add(a, b), softmax(x, axis=0), softmax(x, axis=1), softmax(x, axis=1)

    made = merge_common(trace(function, [X]))
    assert count(made, "softmax") == 2
    assert count(made, "mul") == 2


@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (2, 1), (2, 3)])
@pytest.mark.parametrize(
    "then",
    [
        lambda x: reshape(x, shape=(6,)),
        lambda x: broadcast_to(x, shape=(4, 2, 3)),
        lambda x: transpose(x, axes=(1, 0)),
        lambda x: reshape(reshape(x, shape=(3, 2)), shape=(2, 3)),
    ],
    ids=["reshape", "broadcast", "transpose", "two reshapes"],
)
def test_simplify_keeps_the_numbers_of_what_was_repeated(shape, then):
    def function(x):
        return then(broadcast_to(x, shape=(2, 3)))

    graph = trace(function, [ArrayType(shape, DType.float32)])
    made = simplify(graph)
    verify(made)
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    (got,), (wanted,) = evaluate(made, [x]), evaluate(graph, [x])
    np.testing.assert_array_equal(got, wanted)


def test_simplify_drops_identities():
    def function(x):
        same = reshape(reshape(x, shape=(12,)), shape=(3, 4))
        same = transpose(same, axes=(0, 1))
        return add(broadcast_to(same, shape=(3, 4)), x)

    made = simplify(trace(function, [X]))
    assert [node.primitive.name for node in made.nodes] == ["add"]
