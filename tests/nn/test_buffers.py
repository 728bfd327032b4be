"""What a module saves: parameters and registered buffers, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError


class Attending(nn.Module):
    """It keeps what it computed for whoever wants to look at it."""

    def __init__(self) -> None:
        self.layer = nn.Linear(2, 2)
        self.register_buffer("mask", cr.tensor([1.0, 0.0]))
        self.register_buffer("cache", cr.zeros(2), persistent=False)
        self.scale = cr.tensor(2.0)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        y = self.layer(x) * self.mask * self.scale
        self.attn = y.detach()
        return y


def test_a_plain_tensor_is_no_part_of_the_state_dict() -> None:
    model = Attending()
    model(cr.ones(1, 2))
    assert [*model.state_dict()] == ["mask", "layer.weight", "layer.bias"]
    assert [n for n, _ in model.named_buffers()] == ["mask", "cache"]
    Attending().load_state_dict(model.state_dict())


def test_to_converts_parameters_and_buffers() -> None:
    model = Attending().double()
    assert model.mask.dtype is cr.float64
    assert model.scale.dtype is cr.float32


def test_to_leaves_the_numbers_to_views() -> None:
    model = nn.Linear(2, 2)
    kept = model.weight.detach()
    before = kept.tolist()
    model.double()
    with cr.no_grad():
        model.weight.mul_(0.0)
    assert kept.tolist() == before
    assert kept.dtype is cr.float32


def test_a_state_dict_is_read_only_and_stays_what_it_is() -> None:
    model = nn.Linear(2, 1)
    state = model.state_dict()
    before = state["weight"].tolist()
    with pytest.raises(ValueError, match="not changed in place"):
        state["weight"] *= 0.9
    model.weight.data.zero_()
    assert state["weight"].tolist() == before
    model.load_state_dict(state)
    assert model.weight.tolist() == before


class Counting(nn.Module):
    def __init__(self, registered: bool) -> None:
        self.layer = nn.Linear(1, 1)
        if registered:
            self.register_buffer("seen", cr.zeros(1))
        else:
            self.seen = cr.zeros(1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.seen += 1
        return self.layer(x)


def test_a_training_step_changes_what_is_saved(tmp_path: Any) -> None:
    x = np.ones((4, 1), np.float32)
    data = cr.data.Dataset(x, x)
    trainer = cr.Trainer(
        Counting(True), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), seed=0
    )
    trainer.fit(data, epochs=2, batch_size=2, progress=False)
    assert trainer.model.seen.tolist() == [4.0]
    trainer = cr.Trainer(
        Counting(False), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), seed=0
    )
    with pytest.raises(ArgumentError, match="register_buffer"):
        trainer.fit(data, epochs=1, batch_size=2, progress=False)


@pytest.mark.parametrize("make", [nn.BatchNorm1d, nn.Unstandardize, nn.LogTarget])
def test_the_statistics_of_layers_are_saved(make: Any) -> None:
    assert len(make(3).state_dict()) >= 2
