"""2.4: forward propagation, step by step."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule import nn


def test_2_4_the_parameters_theta_are_all_weights_and_biases(network):
    """θ = {W, b}: ŷ = F(x; θ) changes with each of them and with nothing else."""
    model, layers = network([4, 3, 2], ["Tanh", "Tanh"])
    theta = dict(model.named_parameters())
    assert list(theta) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = cr.tensor(np.ones((1, 4)))
    before = model(x).numpy()
    for p in theta.values():
        held = p.numpy().copy()
        p.copy_(cr.tensor(held + 0.5))
        assert (model(x).numpy() != before).any()
        p.copy_(cr.tensor(held))
    assert np.array_equal(model(x).numpy(), before)
    count = sum(len(W) * (len(W[0]) + 1) for W, _, _ in layers)
    assert sum(p.size for p in theta.values()) == count
    assert isinstance(model, nn.Sequential)
