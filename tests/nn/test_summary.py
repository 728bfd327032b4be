"""Summaries: shapes, parameters and work, counted by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn
from chainrule.graph.emit import trace
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.nn.summary import Summary, _flops
from chainrule.primitives.conv import conv
from tests.training.conftest import pixels


def rows(made: Summary) -> list[tuple[Any, ...]]:
    return [
        (r.path, r.kind, r.output, r.parameters, r.buffers, r.flops)
        for r in made.layers
    ]


def test_the_textbooks_network() -> None:
    model = nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    made = cr.summary(model, 784)
    assert rows(made) == [
        ("0", "Linear", "(N, 128)", 784 * 128 + 128, 0, 2 * 784 * 128 + 128),
        ("1", "ReLU", "(N, 128)", 0, 0, 128),
        ("2", "Linear", "(N, 64)", 128 * 64 + 64, 0, 2 * 128 * 64 + 64),
        ("3", "ReLU", "(N, 64)", 0, 0, 64),
        ("4", "Linear", "(N, 10)", 650, 0, 2 * 64 * 10 + 10),
    ]
    assert (made.parameters, made.trainable, made.buffers) == (109_386, 109_386, 0)
    assert made.bytes == 4 * 109_386
    assert made.flops == sum(r.flops for r in made.layers)
    assert (made.model, made.input) == ("Sequential", "(N, 784)")
    text = str(made).splitlines()
    assert text[0] == "Sequential on (N, 784)"
    head = ["layer", "class", "input", "output", "parameters", "FLOPs"]
    assert text[1].split() == head
    assert len(text) == 8
    assert text[-1] == (
        "109,386 parameters, 437.5 kB, 109,184 multiply–adds a sample, "
        "218,762 FLOPs a sample"
    )
    made_dict = made.to_dict()
    assert json.loads(json.dumps(made_dict)) == made_dict
    assert made_dict["layers"][0]["parameters"] == 100_480


class Block(nn.Module):
    """x + W x, with a scale of its own."""

    def __init__(self) -> None:
        self.layer = nn.Linear(5, 5, dtype="float64")
        self.scale = nn.Parameter(np.ones(5))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x + self.layer(x) * self.scale


def test_nested_shared_and_never_called() -> None:
    model = nn.Sequential(Block(), nn.Tanh())
    model.shared = model[0]
    model.idle = nn.Linear(2, 3)
    model.forward = lambda x: model[1](model[0](x))
    made = cr.summary(model, (5,))
    assert rows(made) == [
        ("0", "Block", "(N, 5) float64", 5, 0, 10),
        ("0.layer", "Linear", "(N, 5) float64", 30, 0, 55),
        ("1", "Tanh", "(N, 5) float64", 0, 0, 5),
        ("idle", "Linear", "", 9, 0, 0),
    ]
    assert made.parameters == 44
    assert made.bytes == 8 * 35 + 4 * 9


def test_buffers_and_frozen_parameters() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 2))
    model[2].bias.requires_grad_(False)
    made = cr.summary(model, (3, 4))
    assert [r.output for r in made.layers] == ["(N, 12)", "(N, 12)", "(N, 2)"]
    assert made.layers[0].flops == 0
    buffers = sum(
        t.size for _, t in model.named_tensors() if not isinstance(t, nn.Parameter)
    )
    assert made.buffers == made.layers[1].buffers == buffers > 0
    assert made.trainable == made.parameters - 2
    assert "buffers" in str(made).splitlines()[1]
    assert "of them trainable" in str(made)


def test_softmax_is_opened() -> None:
    """Maximum and sum take 7 each; subtracting, exp and dividing make 7 each."""
    made = cr.summary(nn.Sequential(nn.Softmax()), 7)
    assert made.flops == 5 * 7


@pytest.mark.parametrize(
    ("x", "w", "dims", "more", "flops"),
    [
        ((2, 3, 6, 5), (4, 3, 3, 2), "nc01,oc01->no01", {}, 2 * 4 * 4 * 4 * 3 * 3 * 2),
        ((2, 2, 3, 5), (2, 4, 3, 2), "ngc0,goc0->ngo0", {}, 2 * 2 * 4 * 4 * 3 * 2),
        ((2, 3, 9), (4, 3, 3), "nc0,oc0->no0", {"strides": (3,)}, 2 * 3 * 4 * 3 * 3),
    ],
)
def test_convolutions(x: Any, w: Any, dims: str, more: Any, flops: int) -> None:
    axes = len([c for c in dims.split(",")[0] if c.isdigit()])
    attrs = {
        "dims": dims,
        "strides": (1,) * axes,
        "padding": ((0, 0),) * axes,
        "lhs_dilation": (1,) * axes,
        "rhs_dilation": (1,) * axes,
        "accumulate": DType.float32,
        **more,
    }
    types = [
        ArrayType((SymbolicDim("N"), *x[1:]), DType.float32),
        ArrayType(w, DType.float32),
    ]
    graph = trace(lambda a, b: conv(a, b, **attrs), types)
    assert sum(map(_flops, graph.nodes)) == flops


@pytest.mark.parametrize("kind", ["shape", "dataset", "array", "tensor", "stream"])
def test_what_it_takes(kind: str) -> None:
    data = pixels(10)
    given: Any = {
        "shape": [6],
        "dataset": data,
        "array": data.x[...],
        "tensor": cr.tensor(data.x[...]),
        "stream": cr.data.Stream(lambda: zip(data.x, data.y)),
    }[kind]
    made = cr.summary(nn.Linear(6, 2), given)
    assert rows(made) == [("(model)", "Linear", "(N, 2)", 14, 0, 26)]


def test_the_model_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(6, 2), nn.Dropout(0.5))
    before = model.state_dict()
    cr.summary(model, 6)
    assert model[1].training
    assert all("forward" not in m.__dict__ for _, m in model.named_modules())
    assert all((before[k] == a).all() for k, a in model.state_dict().items())


def test_notebooks() -> None:
    made = cr.summary(nn.Sequential(nn.Linear(6, 2)), 6)
    assert "<td>(N, 2)</td>" in made._repr_html_()
    assert made._repr_html_().count("<tr>") == 2
    assert "14 parameters" in made._repr_html_()


@pytest.mark.parametrize(
    ("model", "data", "kind", "parts"),
    [
        (nn.Linear, 3, errors.ArgumentError, ("model", "class Linear")),
        (
            nn.Linear(3, 2),
            "x",
            errors.ArgumentError,
            ("what the model is given", "'x'"),
        ),
        (nn.Linear(3, 2), 0, errors.ArgumentError, ("what the model is given",)),
        (nn.Linear(3, 2), (), errors.ArgumentError, ("what the model is given",)),
        (nn.Linear(3, 2), True, errors.ArgumentError, ("what the model is given",)),
        (nn.Linear(3, 2), (4,), errors.ShapeError, ("a last axis of 3", "(N, 4)")),
    ],
)
def test_what_cannot_be(
    model: Any, data: Any, kind: type[Exception], parts: tuple[str, ...]
) -> None:
    with pytest.raises(kind) as error:
        cr.summary(model, data)
    for part in parts:
        assert part in str(error.value)


def test_a_network_that_begins_with_an_embedding() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 2))
    shown = cr.summary(model, (3,))
    assert shown.parameters == 40 + 26


class Again(nn.Module):
    """A layer that is called twice, around one that is called within another."""

    def __init__(self) -> None:
        self.layer = nn.Linear(4, 4)
        self.block = nn.Sequential(nn.Linear(4, 4), nn.Tanh())

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.layer(self.block(self.layer(x)))


def test_a_call_a_row() -> None:
    made = cr.summary(Again(), 4)
    assert [(r.path, r.depth, r.reused, r.parameters) for r in made.layers] == [
        ("layer", 0, False, 20),
        ("block", 0, False, 0),
        ("block.0", 1, False, 20),
        ("block.1", 1, False, 0),
        ("layer", 0, True, 0),
    ]
    assert made.parameters == 40
    assert made.mult_adds == 3 * 16
    assert [r.flops for r in made.layers] == [36, 0, 36, 4, 36]
    lines = str(made).splitlines()
    assert lines[4].startswith("  0 ")
    assert "(reused)" in lines[6]


def test_models_of_tokens() -> None:
    """Integers that are looked up stay integers, by their shape as by their rows."""
    model = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 2))
    made = cr.summary(model, (3,))
    assert made.input == "(N, 3) int64"
    assert [(r.input, r.output) for r in made.layers] == [
        ("(N, 3) int64", "(N, 3, 4)"),
        ("(N, 3, 4)", "(N, 12)"),
        ("(N, 12)", "(N, 2)"),
    ]
    assert cr.summary(model, np.zeros((5, 3), np.uint8)).input == "(N, 3) int32"
    assert cr.summary(Block(), np.zeros((2, 5))).input == "(N, 5) float64"


def test_steps_of_a_loop_count() -> None:
    """A GRU of 16 units on 5 steps of 8 numbers: 3·16·(8 + 16) products a step."""
    made = cr.summary(nn.GRU(8, 16, batch_first=True), (5, 8))
    assert made.layers[0].output == "(N, 5, 16), (1, N, 16)"
    assert made.mult_adds == 5 * 3 * 16 * (8 + 16)
