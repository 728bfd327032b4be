"""Lazy layers: no parameters until the first call, other layers from then on."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, ShapeError

SHAPES = {
    "LazyLinear": (4, 6),
    "LazyBatchNorm1d": (4, 6),
    **{
        f"Lazy{kind}1d": (2, 6, 5) for kind in ("Conv", "ConvTranspose", "InstanceNorm")
    },
    **{
        f"Lazy{kind}{n}d": (2, 6, *[4] * n)
        for kind in ("Conv", "ConvTranspose", "InstanceNorm", "BatchNorm")
        for n in (2, 3)
    },
}


def built(name: str) -> nn.Module:
    arguments = {"Linear": (3,), "Conv": (4, 3), "ConvTranspose": (4, 3)}
    return getattr(nn, name)(*arguments.get(name[4:].rstrip("123d"), ()))


@pytest.mark.parametrize("name", SHAPES)
def test_a_lazy_layer_is_the_other_one_from_the_first_call_on(name: str) -> None:
    layer, x = built(name), cr.ones(*SHAPES[name])
    with pytest.raises(ArgumentError, match="before its first call"):
        optim.SGD(layer.parameters(), lr=0.1)
    y = layer.eval()(x)
    kind = getattr(nn, name.removeprefix("Lazy"))
    assert type(layer) is kind
    assert not layer.training
    again = kind(**layer.settings())
    again.load_state_dict(layer.state_dict())
    assert again.eval()(x).tolist() == y.tolist()
    optim.SGD(layer.parameters(), lr=0.1)


def test_every_lazy_layer_is_tried() -> None:
    assert {n for n in nn.__all__ if n.startswith("Lazy")} == SHAPES.keys()


def test_what_comes_before_the_first_call_is_refused() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 1))
    x = cr.ones(2, 5)
    refused = [
        lambda: cr.compile(model)(x),
        model.state_dict,
        model.double,
        lambda: model[0].weight + 1,
        lambda: model[0].weight.shape,
    ]
    for use in refused:
        with pytest.raises(ArgumentError, match="before its first call"):
            use()
    with pytest.raises(ShapeError, match="no inputs"):
        nn.LazyLinear(3)(cr.tensor(1.0))
    with pytest.raises(TypeError, match="out_features"):
        nn.LazyLinear()
    other = copy.deepcopy(model)
    assert other(x).shape == (2, 1)
    np.testing.assert_allclose(cr.compile(other)(x).numpy(), other(x).numpy(), 1e-5)
    assert isinstance(model[0], nn.LazyLinear)
