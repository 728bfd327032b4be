"""The network's picture: every line is a connection of the graph, with its weight."""

from __future__ import annotations

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.explanation import Explanation
from chainrule.explanation.pictures import connections, network
from chainrule.explanation.plain import behind_views
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from tests.explanation.models import LAYERS, D, linear, some_layers
from tests.explanation.random_models import drawn

CE = nn.CrossEntropyLoss()


class Branches(nn.Module):
    """Two ways beside each other, added."""

    def __init__(self) -> None:
        self.a, self.b, self.c = linear(3, 3, 3, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.c(self.a(x).tanh() + self.b(2 * x).relu())


class Turned(nn.Module):
    """x W and x Wᵀ of square matrices."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.v, self.w = (nn.Parameter(rng.normal(size=(3, 3))) for _ in range(2))
        self.out = nn.Linear(3, 2, **D)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.out((x @ self.v.T).tanh() @ self.w)


class Shared(nn.Module):
    """The second layer reads what the first one reads."""

    def __init__(self) -> None:
        self.a, self.b, self.c = linear(3, 3, 3, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.c(self.a(x) * self.b(x).sigmoid())


class Dense(nn.Module):
    """Every layer reads all that came before it."""

    def __init__(self) -> None:
        self.a, self.b, self.c = (
            nn.Linear(n, m, **D) for n, m in ((2, 2), (4, 4), (8, 2))
        )

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = cr.cat([x, self.a(x).tanh()], dim=1)
        return self.c(cr.cat([h, self.b(h).tanh()], dim=1))


class Crossed(nn.Module):
    """Neurons that change their places, or are multiplied once more."""

    def __init__(self) -> None:
        self.a, self.b, self.c = linear(3, 3, 3, 2)
        self.fixed = cr.tensor(np.arange(9.0).reshape(3, 3))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.a(x).flip(1)
        return self.c(self.b(h) @ self.fixed)


class Transformer(nn.Module):
    """Attention and two layers, each beside a shortcut."""

    def __init__(self) -> None:
        self.q, self.k, self.v, self.f, self.g, self.o = linear(*[4] * 7)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        q, k, v = self.q(x), self.k(x), self.v(x)
        x = x + ((q @ k.mT) / 2).softmax(dim=-1) @ v
        x = x + self.g(self.f(x).relu())
        return self.o(x).mean(dim=1)


OWN: dict[str, tuple[nn.Module, tuple[int, ...], tuple[int, ...]]] = {
    "branches": (Branches(), (3,), (2, 3)),
    "turned": (Turned(), (3,), (1, 3)),
    "shared": (Shared(), (3,), (1, 3)),
    "dense": (Dense(), (2,), (3,)),
    "transformer": (Transformer(), (3, 4), (1, 4, 5, 6)),
    "crossed": (Crossed(), (3,), (3,)),
    "chain": (nn.Sequential(*linear(3, 3, 3, 3)), (3,), (1, 2, 3)),
}


def lines_drawn(e: Explanation) -> set[int]:
    """The layers in front of whose columns the picture has lines."""
    found = re.findall(r'<line x1="(\d+)"', network(e))
    return {(int(x) - 88) // 150 + 1 for x in found}


def edges_hold(e: Explanation) -> None:
    """Every line is the derivative of z by what stands in the column before it."""
    joined = connections(e)
    assert lines_drawn(e) == set(joined)
    run = e.run
    for k in joined:
        layer, W = e.names.layers[k - 1], e.layer(k).W
        left = behind_views(e.names.output(k - 1) if k > 1 else layer.input)
        right, symbol = e.names.output(k), e.names.of[left].text()
        after = Graph("after", [layer.z, *run.graph.inputs], [right])
        given = [run.arrays[v] for v in after.inputs]
        for r in range(min(len(W), 3)):
            place = (*[0] * (len(layer.z.shape) - 1), r)
            (edge,) = (d for d in e.trace.edges(layer.z, place) if d.parent == symbol)
            whole = np.zeros(run.arrays[left].shape)
            whole[tuple(edge.indices.T)] = edge.derivative
            first = whole.reshape(-1, W.shape[1])[0]
            np.testing.assert_allclose(first, W[r], rtol=1e-6, atol=1e-12)
            # And what that neuron does is seen at its own place behind it.
            shifted = given[0].copy()
            shifted[..., r] += 1e-3
            (moved,) = evaluate(after, [shifted, *given[1:]], run.sizes)
            change = np.abs(moved - run.arrays[right]).reshape(-1, len(W)).max(0)
            assert change[r] or not change.any()


@pytest.mark.parametrize("name", OWN)
def test_what_is_joined(name: str) -> None:
    model, shape, joined = OWN[name]
    x = np.random.default_rng(0).normal(size=(2, *shape))
    e = cr.explain(model, x, [0, 1], CE)
    assert connections(e) == joined
    edges_hold(e)


@pytest.mark.one_in(4, first=3)
@pytest.mark.parametrize("name", some_layers())
def test_layers(name: str) -> None:
    model, shape = LAYERS[name]
    x = np.random.default_rng(0).normal(size=(2, *shape))
    edges_hold(cr.explain(model, x, [0, 1], CE))


@pytest.mark.one_in(4, first=3)
@pytest.mark.parametrize("seed", range(10))
def test_random_models(seed: int) -> None:
    model, x, y, loss = drawn(seed)
    edges_hold(cr.explain(model, x, y, loss))
