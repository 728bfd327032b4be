from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from tests.textbook import oracle


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def network(rng):
    """Builds a float64 network of the given sizes, and its layers as plain numbers."""

    def build(sizes: list[int], names: list[str]):
        modules, layers = [], []
        for inputs, outputs, name in zip(sizes[:-1], sizes[1:], names, strict=True):
            linear = nn.Linear(inputs, outputs, dtype="float64")
            W, b = rng.normal(size=(outputs, inputs)), rng.normal(size=outputs)
            linear.load_state_dict({"weight": W, "bias": b})
            modules += [linear, getattr(nn, name)()]
            layers.append((oracle.exact(W), oracle.exact(b), name))
        return nn.Sequential(*modules), layers

    return build
