"""The pace of a run: how many steps lie between two calls; no number changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError
from chainrule.training import LambdaCallback


def trained(callback: Any) -> tuple[cr.Trainer, list[int]]:
    """A run of 60 steps in 3 epochs, and the steps after each chunk."""
    cr.manual_seed(0)
    reached: list[int] = []

    def on_chunk(trainer: Any) -> None:
        reached.append(trainer.optimizer.steps)
        callback(trainer)

    trainer = cr.Trainer(
        nn.Linear(2, 2),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=0.1),
        engine="numpy",
    )
    trainer.fit(
        cr.data.moons(100, seed=0),
        epochs=3,
        batch_size=5,
        callbacks=LambdaCallback(on_start=callback, on_chunk=on_chunk),
        progress=False,
    )
    return trainer, reached


def test_chunks_are_as_long_as_they_are_asked_for() -> None:
    trainer, reached = trained(lambda trainer: trainer.pace(steps=1))
    assert reached == [*range(1, 61)]
    usual, __ = trained(lambda trainer: None)
    for one, other in zip(trainer.model.parameters(), usual.model.parameters()):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_chunk_ends_with_its_epoch() -> None:
    __, reached = trained(lambda trainer: trainer.pace(steps=7, seconds=60))
    assert all(b - a <= 7 for a, b in zip([0, *reached], reached))
    assert {20, 40, 60} <= {*reached}


def test_the_pace_goes_back_to_what_the_time_allows() -> None:
    def pace(trainer: Any) -> None:
        trainer.pace(steps=1 if trainer.optimizer.steps < 3 else None, seconds=60)

    assert trained(pace)[1][:3] == [1, 2, 3]
    assert trained(pace)[1][-1] == 60


@pytest.mark.parametrize("given", [{"steps": 0}, {"steps": 1.5}, {"seconds": 0}])
def test_what_is_no_pace_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        trained(lambda trainer: trainer.pace(**given))
