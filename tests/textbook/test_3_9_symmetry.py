"""3.9: forward is a matrix and a nonlinearity, backward its transpose and a slope."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule import nn
from tests.textbook.oracle import apply, close, dot, exact, transpose


def test_3_9_backward_multiplies_by_the_transpose(rng):
    """⟨g, W u⟩ = ⟨Wᵀ g, u⟩, and what back-propagation gives is Wᵀ g."""
    W, u, g = rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=3)
    layer = nn.Linear(5, 3, bias=False, dtype="float64")
    layer.load_state_dict({"weight": W})
    x = cr.tensor(u[None], requires_grad=True)
    z = layer(x)
    z.backward(cr.tensor(g[None]))
    back = apply(transpose(exact(W)), exact(g))
    close(x.grad.numpy(), [back])
    assert abs(dot(exact(g), apply(exact(W), exact(u))) - dot(back, exact(u))) < 1e-40


def test_3_9_the_recorded_backward_graph_has_one_product_for_each_forward_one():
    """Three layers: 3 products forward; 3 for the weights and 2 for δ backward."""
    model = nn.Sequential(
        nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2)
    )

    @cr.compile(engine="numpy")
    def step(x, y):
        model.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        return [loss, *(p.grad for p in model.parameters())]

    graph = step.graph(np.zeros((3, 4), np.float32), np.zeros((3, 2), np.float32))
    products = [n for n in graph.nodes if n.primitive.name == "dot_general"]
    forward = [n for n in products if n.role == "forward"]
    assert len(forward) == 3
    assert len(products) - len(forward) == 5


def test_3_9_automatic_differentiation_needs_no_derivation_by_hand(rng):
    """A function that no table has: its derivative to second order, by mp.diff."""
    from mpmath import mp

    def ours(t):
        return (t.tanh() * (t * t).exp() / (t.sigmoid() + 1.5)).sum()

    def theirs(v):
        return mp.tanh(v) * mp.exp(v * v) / (1 / (1 + mp.exp(-v)) + mp.mpf(1.5))

    for at in rng.uniform(-1, 1, size=4):
        x = cr.tensor([at], dtype="float64")
        close(ours(x).item(), theirs(exact(at)))
        close(cr.grad(ours)(x).numpy(), [mp.diff(theirs, exact(at))])
        second = cr.grad(lambda t: cr.grad(ours)(t).sum())(x)
        close(second.numpy(), [mp.diff(theirs, exact(at), 2)])
