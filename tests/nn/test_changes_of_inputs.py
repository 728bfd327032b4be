"""Layers with ``inplace=True`` change their input, to the same numbers, or refuse."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn
from chainrule.errors import ArgumentError, DTypeError, GradientError

NUMBERS = [[-4.0, -0.5, 0.0], [0.25, 3.5, 7.0]]
NEEDED = {"Threshold": (0.5, -1.0)}
LAYERS = [
    name
    for name in nn.__all__
    if isinstance(getattr(nn, name), type)
    and "inplace" in inspect.signature(getattr(nn, name)).parameters
]


def made(name: str, **options: bool) -> nn.Module:
    return getattr(nn, name)(*NEEDED.get(name, ()), **options)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_in_place_changes_its_input_alone(name: str) -> None:
    x = cr.tensor(NUMBERS)
    if "1d" in name:
        x = x[:, :, None] * 1.0
    elif "2d" in name:
        x = x[:, :, None, None] * 1.0
    elif "3d" in name:
        x = x[:, :, None, None, None] * 1.0
    cr.manual_seed(0)
    wanted = made(name)(x.clone())
    part = x[:1]  # a view shows the change
    cr.manual_seed(0)
    assert made(name, inplace=True)(x) is x
    np.testing.assert_array_equal(x.numpy(), wanted.numpy())
    np.testing.assert_array_equal(part.numpy(), wanted[:1].numpy())


def test_all_of_them_are_tried() -> None:
    assert len(LAYERS) == 19, LAYERS


@pytest.mark.parametrize("name", ["relu", "elu", "leaky_relu", "hardtanh", "selu"])
def test_derivatives_are_those_of_the_function(name: str, engine: str) -> None:
    def plain(x: cr.Tensor) -> cr.Tensor:
        return (getattr(F, name)(x * 2.0) ** 2).sum()

    def changing(x: cr.Tensor) -> cr.Tensor:
        z = x * 2.0
        getattr(F, f"{name}_")(z)
        return (z**2).sum()

    x = cr.tensor(NUMBERS)
    wanted = cr.grad(plain)(x).numpy()
    np.testing.assert_array_equal(cr.grad(changing)(x).numpy(), wanted)
    run = cr.compile(lambda x: cr.grad(changing)(x), engine=engine)
    np.testing.assert_allclose(run(x).numpy(), wanted, rtol=1e-6)


def test_what_cannot_be_right_is_refused() -> None:
    leaf = cr.tensor(NUMBERS, requires_grad=True)
    with pytest.raises(GradientError):
        F.relu(leaf, inplace=True)
    with cr.no_grad():
        assert nn.ReLU(True)(leaf) is leaf
    assert leaf.amin().item() == 0
    with pytest.raises(DTypeError, match="keeps the dtype"):
        F.hardswish(cr.tensor([1, 2]), inplace=True)
    x = cr.tensor(NUMBERS)
    with pytest.raises(ArgumentError, match="changes its argument"):
        cr.compile(F.relu_)(x)
    assert x.tolist() == NUMBERS
