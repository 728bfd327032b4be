"""2.2: the artificial neuron and the layer."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from tests.textbook.oracle import ACTIVATIONS, apply, close, dot, each, exact, plus


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_2_2_1_a_neuron(rng, name):
    """y = f(wᵀx + b)."""
    x, w, b = rng.normal(size=5), rng.normal(size=5), rng.normal()
    neuron = nn.Sequential(nn.Linear(5, 1, dtype="float64"), getattr(nn, name)())
    neuron.load_state_dict({"0.weight": w[None], "0.bias": [b]})
    expected = ACTIVATIONS[name][0](dot(exact(w), exact(x)) + exact(b))
    close(neuron(cr.tensor(x[None])).numpy(), [[expected]])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_2_2_2_a_layer_of_neurons(rng, name):
    """h = f(Wx + b), f element by element, W of shape m × n."""
    x, W, b = rng.normal(size=4), rng.normal(size=(3, 4)), rng.normal(size=3)
    layer = nn.Sequential(nn.Linear(4, 3, dtype="float64"), getattr(nn, name)())
    layer.load_state_dict({"0.weight": W, "0.bias": b})
    h = each(ACTIVATIONS[name][0], plus(apply(exact(W), exact(x)), exact(b)))
    close(layer(cr.tensor(x[None])).numpy(), [h])


def test_2_2_2_a_batch_is_one_layer_for_each_row(rng):
    """In memory a sample is a row: H = f(X Wᵀ + b)."""
    X, W, b = rng.normal(size=(6, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)
    layer = nn.Linear(4, 3, dtype="float64")
    layer.load_state_dict({"weight": W, "bias": b})
    rows = [plus(apply(exact(W), x), exact(b)) for x in exact(X)]
    close(layer(cr.tensor(X)).numpy(), rows)
    assert np.shape(layer.weight) == (3, 4)
