"""Runs on a stream that are cut at some step and go on, beside one that was not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import Callback

#: Rows of a block, and of a batch: a block takes two steps.
BLOCK, BATCH = 8, 4


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.training.data_adapter.BLOCK_ROWS", BLOCK)
    monkeypatch.setattr("chainrule.training.loop.CHUNK", 0.0)


class StopAt(Callback):
    """Ends the run at a number of updates."""

    def __init__(self, updates: int) -> None:
        self.updates = updates

    def on_chunk(self, trainer: Any) -> None:
        if trainer.state.updates >= self.updates:
            trainer.stop()


def trainer(inputs: int) -> cr.Trainer:
    cr.manual_seed(0)
    model, loss = nn.Linear(inputs, 1), nn.MSELoss()
    sgd = optim.SGD(lr=0.01, momentum=0.9)
    return cr.Trainer(model, loss=loss, optimizer=sgd, engine="numpy")


def weights(trained: cr.Trainer) -> bytes:
    return b"".join(p.numpy().tobytes() for p in trained.model.parameters())


def cut(make: Callable[[], Any], directory: Path, at: int, inputs: int) -> cr.Trainer:
    """Train on what ``make`` gives up to an update; load the checkpoint."""
    begun = trainer(inputs)
    options: Any = {"progress": False, "checkpoint": directory}
    begun.fit(make(), epochs=3, batch_size=BATCH, callbacks=StopAt(at), **options)
    assert begun.state.updates == at
    return cr.Trainer.load(directory)


def check_resumed(
    make: Callable[[], Any], place: Path, cuts: Iterable[int], inputs: int = 2
) -> None:
    """Check that a run cut at each of some updates ends as one that was not cut."""
    whole = trainer(inputs)
    history = whole.fit(make(), epochs=3, batch_size=BATCH, progress=False)
    losses = history.steps["loss"].tobytes()
    assert np.isfinite(history.steps["loss"]).all()
    for at in cuts:
        again = cut(make, place / str(at), at, inputs)
        again.resume(make(), progress=False)
        assert again.history.steps["loss"].tobytes() == losses, at
        assert weights(again) == weights(whole), at
