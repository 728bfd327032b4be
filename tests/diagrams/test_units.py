"""Units of random dense networks: their numbers are those of the layers' own calls."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

#: Activations of one number each.
KINDS: list[Any] = [
    *(nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.ELU, nn.Softplus, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.LeakyReLU, nn.Softsign, nn.LogSigmoid, nn.Identity, nn.SELU),
    *(nn.ReLU6, nn.PReLU, nn.CELU, nn.Hardtanh, nn.Tanhshrink, nn.Softshrink),
]


def network(rng: np.random.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    sizes = rng.integers(1, 8, int(rng.integers(3, 6))).tolist()
    for n, m in pairwise(sizes):
        layers.append(nn.Linear(n, m, bias=bool(rng.random() < 0.7)))
        layers.append(KINDS[int(rng.integers(len(KINDS)))]())
        if rng.random() < 0.2:
            layers.append(nn.Dropout(0.3))
        if rng.random() < 0.2:
            layers.append(nn.BatchNorm1d(m))
    return nn.Sequential(*layers)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("seed", range(40))
def test_columns_are_the_layers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cr.manual_seed(seed)
    model = network(rng)
    dense = [layer for layer in model if isinstance(layer, nn.Linear)]
    x = rng.normal(size=(2, dense[0].in_features)).astype(np.float32)
    units = model.picture(x).units
    assert units is not None
    model.eval()
    h, values = cr.tensor(x), [x[0]]
    for layer in model:
        h = layer(h)
        values += [x[0]] if isinstance(layer, nn.Linear) else []
        values[-1] = h.numpy()[0]
    for column, numbers in zip(units.columns, values, strict=True):
        assert column.numbers is not None
        np.testing.assert_allclose(column.numbers, numbers, rtol=1e-5, atol=1e-6)
    for column, layer in zip(units.columns[1:], dense, strict=True):
        np.testing.assert_array_equal(column.weights, layer.weight.numpy())
        assert (column.biases is None) is (layer.bias is None)
