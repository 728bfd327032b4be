"""Killed with SIGKILL at any moment and resumed, a run ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import cli, nn, optim
from chainrule.training import BestCheckpoint, EarlyStopping, checkpoint

from .conftest import Make, pixels
from .killing import killed_at_moments
from .moments import traceable
from .test_loop import example


def supervised(make: Make, engine: str) -> Callable[[Path], Any]:
    """A run of a Trainer, with all that a run may remember."""
    data, validation = pixels(60), pixels(20, seed=1)

    def run(directory: Path) -> None:
        watch = [EarlyStopping("train_loss", patience=2, min_delta=0.01)]
        options: Any = {
            "validation": validation,
            "callbacks": [*watch, BestCheckpoint(directory / "best.ckpt")],
            "progress": False,
            "checkpoint": directory,
            "checkpoint_every": 0,
        }
        if (directory / checkpoint.FILE).exists():
            cr.Trainer.load(directory).resume(data, **options)
            return
        cr.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
        )
        rate = optim.ReduceLROnPlateau(0.05, "train_loss", patience=0, threshold=0.3)
        trainer = make(engine=engine, model=model, optimizer=optim.AdamW(lr=rate))
        trainer.fit(data, epochs=4, batch_size=8, **options)

    return run


def looped(name: str, engine: str, steps: int) -> Callable[[Path], Any]:
    """A run of one of the examples, of two epochs."""
    module = example(name)
    module.STEPS = steps
    return lambda directory: module.main(directory, 2, engine)


def commanded(engine: str) -> Callable[[Path], Any]:
    """A run of the command line on a part of MNIST."""
    options = ["--engine", engine, "--limit", "128", "--epochs", "3", "--json"]

    def run(directory: Path) -> None:
        begun = (directory / checkpoint.FILE).exists()
        where = ["--resume"] if begun else [*options, "--out"]
        train = ["train", "mnist", "--checkpoint-every", "0", *where, str(directory)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("chainrule.viz.can_plot", lambda: False)
            assert cli.run(train) == 0

    return run


def runs(kind: str, make: Make, engine: str) -> Callable[[Path], Any]:
    if kind == "command":
        return commanded(engine)
    return supervised(make, engine) if kind == "fit" else looped(kind, engine, 12)


KINDS = ["fit", "loop_gan", "loop_actor", "command"]


@traceable
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    "kind", ["fit", pytest.param("loop_gan", marks=pytest.mark.slow)]
)
def test_killed_three_times(kind: str, make: Make, tmp_path: Path) -> None:
    killed_at_moments(runs(kind, make, "numpy"), tmp_path, 3)


@traceable
@pytest.mark.slow
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_many_times(kind: str, make: Make, engine: str, tmp_path: Path) -> None:
    killed_at_moments(runs(kind, make, engine), tmp_path, 3, rounds=3)
