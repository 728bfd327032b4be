"""2.3: layers one after the other are one composed function."""

from __future__ import annotations

import math

import numpy as np

import chainrule as cr
from chainrule import nn
from tests.textbook.oracle import ACTIVATIONS, apply, close, each, exact, plus

SIZES, NAMES = [3, 5, 4, 2], ["Tanh", "GELU", "Sigmoid"]


def test_2_3_1_the_nested_formula(rng, network):
    """y = f₃(W₃ f₂(W₂ f₁(W₁x + b₁) + b₂) + b₃)."""
    model, ((W1, b1, _), (W2, b2, _), (W3, b3, _)) = network(SIZES, NAMES)
    x = rng.normal(size=3)
    f1, f2, f3 = (ACTIVATIONS[name][0] for name in NAMES)
    inner = each(f1, plus(apply(W1, exact(x)), b1))
    y = each(f3, plus(apply(W3, each(f2, plus(apply(W2, inner), b2))), b3))
    close(model(cr.tensor(x[None])).numpy(), [y])


def test_2_3_2_a_network_is_a_composition_of_functions(rng, network):
    """F(x) = f_L ∘ … ∘ f₁(x): its parts, applied one by one, give its value."""
    model, layers = network(SIZES, NAMES)
    x = rng.normal(size=3)
    parts = [nn.Sequential(model[i], model[i + 1]) for i in range(0, 6, 2)]
    value, expected = cr.tensor(x[None]), exact(x)
    for part, (W, b, name) in zip(parts, layers):
        value = part(value)
        expected = each(ACTIVATIONS[name][0], plus(apply(W, expected), b))
        close(value.numpy(), [expected])
    assert np.array_equal(value.numpy(), model(cr.tensor(x[None])).numpy())


def interpolating(knots: np.ndarray, heights: np.ndarray) -> nn.Module:
    """One hidden layer of ReLUs through the points (knot, height), made by hand."""
    slopes = np.diff(heights) / np.diff(knots)
    model = nn.Sequential(
        nn.Linear(1, len(slopes), dtype="float64"),
        nn.ReLU(),
        nn.Linear(len(slopes), 1, dtype="float64"),
    )
    model.load_state_dict(
        {
            "0.weight": np.ones((len(slopes), 1)),
            "0.bias": -knots[:-1],
            "2.weight": np.diff(slopes, prepend=0.0)[None],
            "2.bias": heights[:1],
        }
    )
    return model


def test_2_3_2_universal_approximation_with_one_hidden_layer():
    """A hidden layer of n ReLUs comes within h²/8·max|f″| of sin on [0, π], h = π/n.

    Its weights are written down, not learnt: the theorem promises that they exist.
    """
    x = np.linspace(0, math.pi, 4001)
    errors = []
    for n in (4, 16, 64):
        knots = np.linspace(0, math.pi, n + 1)
        y = interpolating(knots, np.sin(knots))(cr.tensor(x[:, None])).numpy()[:, 0]
        errors.append(np.abs(y - np.sin(x)).max())
        assert errors[-1] <= (math.pi / n) ** 2 / 8 + 1e-12
    assert errors[2] > 1e-5  # not exact, only close
