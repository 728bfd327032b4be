"""Optimisers that are not marked, and answers that cannot be: each is told why."""

from __future__ import annotations

from typing import Any

import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 1, dtype="float64"))


def check(model: nn.Module, answers: Any, optimizer: Any) -> Any:
    return cr.check_work(model, [1.0, 2.0], [1.0], "mse", answers, optimizer)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda _: optim.Adamax(lr=0.1), "Adamax("),
        (lambda _: optim.SGD(lr=0.1, maximize=True), "maximize=True"),
        (lambda _: optim.SGD(lr=0.1, l1_penalty=0.5), "l1_penalty=0.5"),
        (lambda _: optim.Adam(lr=0.1, amsgrad=True), "amsgrad=True"),
        (lambda _: optim.SGD(lr=0.1, clip_norm=1.0), "clip_norm=1.0"),
        (lambda _: optim.SGD([{"params": "0.bias"}], lr=0.1), "0.weight is not among"),
        (
            lambda m: optim.SGD([("0.bias", m[0].bias)], lr=0.1),
            "0.weight is not among",
        ),
        (
            lambda _: optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1),
            "parameters of another model",
        ),
        (
            lambda _: optim.SGD(
                [{"params": "0.bias", "lr": 0.5}, {"params": "0.weight"}], lr=0.1
            ),
            "lr=0.5, lr=0.1",
        ),
    ],
)
def test_why_an_optimiser_is_not_marked(
    model: nn.Module, made: Any, words: str
) -> None:
    with pytest.raises(ArgumentError, match="not marked") as caught:
        check(model, {"W1": [[1, 2]]}, made(model))
    assert words in caught.value.got


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_what_is_frozen_is_not_marked(model: nn.Module, kind: Any) -> None:
    model[0].weight.requires_grad = False
    learns = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    for optimizer in (kind(lr=0.1), kind(learns, lr=0.1)):
        with pytest.raises(ArgumentError, match="W1 is frozen"):
            check(model, {"W1": model[0].weight, "b1": [0.0]}, optimizer)
        right = check(model, {"b1": [0.0]}, optimizer)["b1"].right
        assert check(model, {"b1": right, "dW1": [[1, 2]]}, optimizer)["b1"].answer.fits
        assert check(model, {"b1": right}, optimizer).ok


def test_a_moment_without_its_optimiser(model: nn.Module) -> None:
    with pytest.raises(ArgumentError) as caught:
        check(model, {"mW1": [[1, 2]]}, None)
    assert caught.value.fix == "moments are those of an optimizer: give one"
    with pytest.raises(ArgumentError) as caught:
        check(model, {"sW1": [[1, 2]]}, optim.Adam(lr=0.1))
    assert "mW1, mhatW1, vW1, vhatW1" in caught.value.expected
    assert caught.value.fix is None
