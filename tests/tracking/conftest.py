"""A run that every tracker is tested with, and ways to cut it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import Callback, loop

#: Batches of an epoch, and epochs.
STEPS, EPOCHS = 7, 3


class Killed(BaseException):
    """Something like SIGKILL: nothing more is written."""


class KillAt(Callback):
    """Kills the run after an update, or behind the trackers within an epoch's end."""

    def __init__(self, updates: int = -1, epoch: int = -1) -> None:
        self.updates, self.epoch = updates, epoch

    def on_chunk(self, trainer: cr.Trainer) -> None:
        if trainer.optimizer.steps == self.updates:
            raise Killed

    def on_epoch(self, trainer: cr.Trainer) -> None:
        if trainer.epoch == self.epoch:
            raise Killed


def dataset() -> cr.data.Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS * 16, 6)).astype(np.float32)
    return cr.data.Dataset(x, x[:, :3].argmax(1), classes=3)


def trainer() -> cr.Trainer:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=1e-2),
        engine="numpy",
        probes="activation_mean/*",
    )


def fit(callbacks: Any, made: cr.Trainer | None = None, **options: Any) -> cr.Trainer:
    made = made or trainer()
    data = dataset()
    options = {"epochs": EPOCHS, "validation": data, "progress": False} | options
    made.fit(data, batch_size=16, callbacks=callbacks, **options)
    return made


def resume(directory: Path, callbacks: Any) -> cr.Trainer:
    made = cr.Trainer.load(directory)
    made.resume(
        dataset(),
        validation=dataset(),
        callbacks=callbacks,
        checkpoint=directory,
        progress=False,
    )
    return made


@pytest.fixture
def single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chunk is one step, and points are never thinned out."""
    monkeypatch.setattr(loop, "CHUNK", 0.0)
    monkeypatch.setattr("chainrule.tracking.tracker.SHARE", np.inf)


#: Within an epoch with a checkpoint before; behind an epoch's row, before its own.
KILLS = {"step": {"updates": 12}, "epoch": {"epoch": 2}}


def killed(make: Callable[[], Callback], directory: Path, kill: str) -> cr.Trainer:
    """A run that was killed and resumed, with a tracker of each life."""
    checkpoint: dict[str, Any] = {"checkpoint": directory, "checkpoint_every": 0}
    with pytest.raises(Killed):
        fit([make(), KillAt(**KILLS[kill])], **checkpoint)
    return resume(directory, [make()])


def points(every: int = 5) -> list[int]:
    """The steps at which a whole run has points."""
    last = STEPS * EPOCHS
    steps = {*range(STEPS, last + 1, STEPS)}
    return sorted(steps | ({*range(every, last + 1, every)} if every else set()))
