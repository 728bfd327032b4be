"""What a module was constructed with is kept by Module itself."""

from __future__ import annotations

import copy
import functools
import json
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError


class Net(nn.Module):
    """Asks for nothing: no call of the base, no list of its arguments."""

    def __init__(self, width, depth=2, *, act=None, **more):
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.act = act or nn.Tanh()
        self.width = width


class Wide(nn.Linear):
    def __init__(self, out_features, scale=1.0):
        super().__init__(1000, out_features, bias=False)
        self.scale = scale * 2


def test_arguments_by_name_with_defaults():
    assert Net(3).settings() == {"width": 3, "depth": 2, "act": None}
    assert Net(3, seed=1).settings()["seed"] == 1
    assert nn.Linear(2, 3).settings() == {
        "in_features": 2,
        "out_features": 3,
        "bias": True,
        "init": None,
        "dtype": "float32",
    }
    assert Wide(3).settings() == {"out_features": 3, "scale": 1.0}


def test_a_constructor_that_fails_says_what_python_says():
    with pytest.raises(TypeError, match="width"):
        Net()
    with pytest.raises(TypeError, match="bananas"):
        nn.Linear(2, 2, bananas=1)
    with pytest.raises(ArgumentError, match="takes no arguments"):
        nn.Tanh(True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.LSTM(3, 4, projection=2), r"^LSTM .*'projection'"),
        (lambda: nn.GRUCell(3), r"^GRUCell\(…\): .*'hidden_size'"),
        (lambda: nn.BatchNorm1d(4, devices="cpu"), r"^BatchNorm1d .*'devices'"),
        (lambda: nn.BCELoss(foo=2), r"^BCELoss .*'foo'"),
        (lambda: nn.MultiheadAttention(4, 2, add_zeros=True), "^MultiheadA"),
        (
            lambda: nn.TransformerDecoderLayer(4, 2, devices=None),
            "^TransformerDecoderL",
        ),
        (lambda: nn.Linear(2, 3, True, 5, 6), r"^Linear\(…\): too many positional"),
    ],
)
def test_an_argument_that_is_not_taken_names_the_class_that_was_called(make, said):
    with pytest.raises(TypeError, match=said):
        make()


def test_a_constructor_that_hides_what_it_takes_is_left_to_say_it():
    """``functools.wraps`` shows another signature than that which is called."""

    def scaled(function):
        @functools.wraps(function)
        def made(self, *args, scale, **kwargs):
            function(self, *args, **kwargs)
            self.scale = scale

        return made

    class Scaled(nn.Module):
        @scaled
        def __init__(self, width):
            self.width = width

    made = Scaled(3, scale=2)
    assert (made.width, made.scale) == (3, 2)
    with pytest.raises(TypeError, match="scale"):
        Scaled(3)


def test_what_json_has_not():
    def made(**more):
        return Net(1, **more).settings()

    act = nn.LeakyReLU(0.5)
    spec = {
        "class": "LeakyReLU",
        "arguments": {"negative_slope": 0.5, "inplace": False},
    }
    assert made(act=act)["act"] == spec
    assert made(acts=[act, act])["acts"] == [spec, spec]
    assert made(a=np.float32(0.5), b=np.arange(2), c=(1, 2)) | {"act": 0} == {
        "width": 1,
        "depth": 2,
        "act": 0,
        "a": 0.5,
        "b": [0, 1],
        "c": [1, 2],
    }
    assert made(t=cr.tensor([1.0]), d=cr.float64)["t"] == [1.0]
    assert made(d=cr.float64)["d"] == "float64"
    assert made(f=np.sin, g=object())["g"] == "<object>"
    assert made(x=np.zeros(10**6))["x"] == "<array of shape (1000000,)>"
    json.dumps(made(f=len, acts={"a": act}, x=[cr.tensor([[1]])]))


def test_what_is_done_to_arguments_later_is_not_seen():
    sizes, weights = [1, 2], np.ones(2)
    net = Net(1, sizes=sizes, weights=weights)
    sizes.append(3)
    weights[:] = 0
    assert net.settings()["sizes"] == [1, 2]
    assert net.settings()["weights"] == [1.0, 1.0]


def test_attributes_that_hold_their_argument_are_followed():
    layer = nn.Dropout(0.25)
    layer.p = 0.5
    assert layer.settings() == {"p": 0.5, "inplace": False}
    linear = nn.Linear(2, 2)
    linear.bias = None
    assert linear.settings()["bias"] is False
    loss = nn.CrossEntropyLoss([1.0, 2.0])
    loss.load_state_dict({"weight": [3.0, 4.0]})
    assert loss.settings()["weight"] == [3.0, 4.0]
    wide = Wide(3, scale=2.0)  # its attribute is something else: 4
    wide.scale = 5.0
    assert wide.settings()["scale"] == 2.0


def test_copies_keep_them():
    net = Net(3, act=nn.ReLU())
    shallow, deep = copy.copy(net), copy.deepcopy(net)
    again = pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.1))))
    assert repr(deep) == repr(net)
    assert again.settings()["1"]["arguments"] == {"p": 0.1, "inplace": False}
    shallow.width = 5
    assert net.settings()["width"] == 3
    assert shallow.settings()["width"] == 5
    assert deep.layers[0].weight is not net.layers[0].weight


def test_a_dataclass_is_a_module():
    @dataclass(eq=False)
    class Scale(nn.Module):
        factor: float = 2.0

        def forward(self, x):
            return x * self.factor

    assert Scale(3.0).settings() == {"factor": 3.0}
    assert repr(nn.Sequential(Scale())).splitlines()[0] == "Sequential("


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.Linear(2, 3), "Linear(in_features=2, out_features=3)"),
        (nn.Linear(2, 3, True), "Linear(in_features=2, out_features=3)"),
        (nn.Linear(2, 3, False), "Linear(in_features=2, out_features=3, bias=False)"),
        (
            nn.Linear(1, 1).double(),
            "Linear(in_features=1, out_features=1, dtype='float64')",
        ),
        (nn.ReLU(), "ReLU()"),
        (nn.LayerNorm([2, 3]), "LayerNorm(normalized_shape=[2, 3])"),
        (Wide(3), "Wide(out_features=3)"),
        (nn.Identity(7), "Identity(args=[7])"),
        (
            Net(1, depth=1),
            "Net(\n  width=1, depth=1\n  (layers): ModuleList(\n"
            "    (0): Linear(in_features=1, out_features=1)\n  )\n  (act): Tanh()\n)",
        ),
        (nn.ModuleDict({"a": nn.Tanh()}), "ModuleDict(\n  (a): Tanh()\n)"),
    ],
)
def test_repr_has_what_is_not_at_default(module, text):
    assert repr(module) == text
