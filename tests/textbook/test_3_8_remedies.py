"""3.8: vanishing and exploding gradients, and the five remedies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from mpmath import mp, mpf

import chainrule as cr
from chainrule import nn, optim
from tests.textbook.oracle import close, exact


def norms_of_delta(depth, width, activation, scale, seed=0):
    """‖δ⁽ˡ⁾‖ from the first layer to the last, weights N(0, scale²)."""
    rng = np.random.default_rng(seed)
    modules = []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=False, dtype="float64")
        W = rng.normal(size=(width, width)) * scale
        linear.load_state_dict({"weight": W})
        modules += [linear, activation()]
    x, y = rng.normal(size=width), rng.normal(size=width)
    shown = cr.explain(nn.Sequential(*modules), x, y, nn.HalfSquaredErrorLoss())
    return [float(np.linalg.norm(layer.delta)) for layer in shown.layers]


def test_3_8_a_product_of_slopes_vanishes():
    """σ′ ≤ ¼, so ‖δ⁽ˡ⁾‖ ≤ ¼‖W‖·‖δ⁽ˡ⁺¹⁾‖: twenty layers leave almost nothing."""
    norms = norms_of_delta(20, 16, nn.Sigmoid, scale=0.25)
    assert norms[0] < 1e-9 * norms[-1]
    for inner, outer in itertools.pairwise(norms):
        assert inner < outer  # ‖W‖ is about 2 here


def test_3_8_a_product_of_large_weights_explodes():
    """With ReLU and weights three times He's, each layer multiplies δ by about 3."""
    he = np.sqrt(2 / 16)
    norms = norms_of_delta(20, 16, nn.ReLU, scale=3 * he)
    assert norms[0] > 1e5 * norms[-1]


def test_3_8_relu_with_he_initialisation_keeps_the_size():
    """Remedies 1 and 2 together: δ stays within a factor of 30 over twenty layers."""
    ratios = []
    for seed in range(5):
        norms = norms_of_delta(20, 64, nn.ReLU, scale=np.sqrt(2 / 64), seed=seed)
        ratios.append(norms[0] / norms[-1])
    assert 1 / 30 < np.median(ratios) < 30


def test_3_8_batch_normalisation(rng):
    """x̂ = (x − μ)/√(σ² + ε), y = γx̂ + β, over the batch, feature by feature."""
    x, gamma, beta = rng.normal(size=(6, 2)), rng.normal(size=2), rng.normal(size=2)
    layer = nn.BatchNorm1d(2, dtype="float64")
    layer.weight.copy_(cr.tensor(gamma))
    layer.bias.copy_(cr.tensor(beta))
    found = layer(cr.tensor(x)).numpy()
    for j in range(2):
        column = [row[j] for row in exact(x)]
        mu = sum(column) / 6
        variance = sum((v - mu) ** 2 for v in column) / 6
        scale = mp.sqrt(variance + mpf(1e-5))
        expected = [exact(gamma)[j] * (v - mu) / scale + exact(beta)[j] for v in column]
        close(found[:, j], expected, floor=1e-15)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_3_8_gradient_clipping_by_norm(rng, limit):
    """g ← g·min(1, c/(‖g‖ + 10⁻⁶)), ‖g‖ over all parameters together."""
    g1, g2 = rng.normal(size=3), rng.normal(size=(2, 2))
    p1 = cr.tensor(np.zeros(3), requires_grad=True)
    p2 = cr.tensor(np.zeros((2, 2)), requires_grad=True)
    p1.grad, p2.grad = cr.tensor(g1), cr.tensor(g2)
    total = optim.clip_grad_norm_([p1, p2], limit)
    numbers = [*exact(g1), *exact(g2)[0], *exact(g2)[1]]
    norm = mp.sqrt(sum(v**2 for v in numbers))
    close(float(total), norm)
    factor = min(mpf(1), mpf(limit) / (norm + mpf(1e-6)))
    close(p1.grad.numpy(), [v * factor for v in exact(g1)])
    close(p2.grad.numpy(), [[v * factor for v in row] for row in exact(g2)])


def test_3_8_gradient_clipping_by_value():
    """Each entry is kept within [−c, c]."""
    p = cr.tensor(np.zeros(4), requires_grad=True)
    p.grad = cr.tensor(np.array([-3.0, -0.5, 0.25, 7.0]))
    optim.clip_grad_value_([p], 1.0)
    assert p.grad.numpy().tolist() == [-1.0, -0.5, 0.25, 1.0]


def test_3_8_adaptive_optimisers_take_steps_of_one_size():
    """Adam's first step is η, whether the gradient is 10⁻⁶ or 10⁶ (RMSProp: 10η)."""
    for size in (1e-6, 1e6):
        for make, step in (
            (lambda p: optim.Adam(p, lr=0.01, eps=1e-12), 0.01),
            (lambda p: optim.RMSprop(p, lr=0.01, eps=1e-12), 0.1),
        ):
            t = cr.tensor(np.zeros(1), requires_grad=True)
            t.grad = cr.tensor(np.array([size]))
            make([t]).step()
            assert t.numpy()[0] == pytest.approx(-step, rel=1e-4)
