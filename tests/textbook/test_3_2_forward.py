"""3.2: forward propagation in detail."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.explanation import example
from tests.textbook.oracle import (
    TWO_TWO_ONE,
    Pass,
    apply,
    close,
    each,
    exact,
    plus,
    softmax,
    two_two_one,
)


def test_3_2_1_every_layer_follows_the_same_two_rules(rng, network):
    """a⁽⁰⁾ = x; z⁽ˡ⁾ = W⁽ˡ⁾a⁽ˡ⁻¹⁾ + b⁽ˡ⁾; a⁽ˡ⁾ = f⁽ˡ⁾(z⁽ˡ⁾); ŷ = a⁽ᴸ⁾."""
    model, layers = network([3, 4, 2], ["GELU", "Sigmoid"])
    x, y = rng.normal(size=3), rng.normal(size=2)
    shown = cr.explain(model, x, y, nn.HalfSquaredErrorLoss())
    worked = Pass(layers, exact(x), exact(y))
    close(shown.x[:, 0], worked.a[0])
    close(shown.layer(1).input[:, 0], worked.a[0])
    close(shown.layer(2).input[:, 0], worked.a[1])
    for layer in shown.layers:
        close(layer.z[:, 0], worked.z[layer.l])
        close(layer.a[:, 0], worked.a[layer.l])
    close(shown.predictions[:, 0], worked.a[2])


def test_3_2_2_two_inputs_two_sigmoids_one_output():
    """z⁽¹⁾, a⁽¹⁾, z⁽²⁾ and ŷ of the example, and what 3.7 derives of them."""
    shown, worked = example(), two_two_one()
    for name, numbers in TWO_TWO_ONE.items():
        layer, part = shown.layer(name.split(".")[0]), name.split(".")[1]
        held = layer.W if part == "weight" else layer.b[:, 0]
        assert held.tolist() == numbers
    for layer in shown.layers:
        close(layer.z[:, 0], worked.z[layer.l])
        close(layer.a[:, 0], worked.a[layer.l])
        close(layer.delta[:, 0], worked.delta[layer.l])
        close(layer.dW, worked.dW[layer.l])
        close(layer.db[:, 0], worked.delta[layer.l])
    close(shown.predictions[:, 0], worked.a[2])
    close(shown.loss, worked.loss)


@pytest.fixture(scope="module")
def digits():
    """The network of 3.2.3 in float64, and one image."""
    cr.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(784, 128, dtype="float64"),
        nn.ReLU(),
        nn.Linear(128, 64, dtype="float64"),
        nn.ReLU(),
        nn.Linear(64, 10, dtype="float64"),
        nn.Softmax(),
    )
    _, test = cr.data.mnist()
    return model, np.asarray(test.x[:1], np.float64)


def test_3_2_3_the_layers_of_the_table(digits):
    """784, 128 ReLU, 64 ReLU, 10 Softmax."""
    model, image = digits
    assert image.shape == (1, 784)
    assert [p.shape for p in model.parameters()] == [
        (128, 784),
        (128,),
        (64, 128),
        (64,),
        (10, 64),
        (10,),
    ]
    kinds = [type(m).__name__ for m in model]
    assert kinds == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "Softmax"]


def test_3_2_3_an_image_becomes_ten_probabilities(digits):
    """The whole pass over 784 pixels with 50 digits."""
    model, image = digits
    a = exact(image[0])
    for i in (0, 2, 4):
        W, b = exact(model[i].weight.numpy()), exact(model[i].bias.numpy())
        z = plus(apply(W, a), b)
        a = each(lambda v: max(0, v), z) if i < 4 else softmax(z)
    found = model(cr.tensor(image)).numpy()
    close(found, [a])
    assert found.sum() == pytest.approx(1, abs=1e-15)
