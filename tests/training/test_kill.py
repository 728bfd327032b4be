"""Killed with SIGKILL at any moment and resumed, a run ends with the same bits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli, nn, optim
from chainrule.training import BestCheckpoint, EarlyStopping, checkpoint
from tests.data.test_positions import Epochs, Stateful

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


def streamed(
    make: Make, source: Callable[[], Any], engine: str
) -> Callable[[Path], Any]:
    """A run of a Trainer on a stream, or on a mapped file, in blocks of two steps."""

    def run(directory: Path) -> None:
        options: Any = {"progress": False, "checkpoint": directory}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("chainrule.training.data_adapter.BLOCK_ROWS", 8)
            if (directory / checkpoint.FILE).exists():
                cr.Trainer.load(directory).resume(
                    source(), checkpoint_every=0, **options
                )
                return
            cr.manual_seed(0)
            trainer = cr.Trainer(
                nn.Linear(2, 1),
                loss=nn.MSELoss(),
                optimizer=optim.Adam(lr=0.01),
                engine=engine,  # pyright: ignore
            )
            trainer.fit(source(), epochs=2, batch_size=4, checkpoint_every=0, **options)

    return run


def mapped() -> Any:
    rows = np.random.default_rng(0).normal(size=(43, 2)).astype("f4")
    with tempfile.NamedTemporaryFile() as file:
        rows.tofile(file.name)
        x = np.memmap(file.name, "f4", "r", shape=rows.shape)
        return cr.data.Dataset(x, rows[:, :1])


#: Sources that know their position, that are told the epoch, and a mapped file.
SOURCES: dict[str, Callable[[], Any]] = {
    "state_dict": lambda: cr.data.Stream(Stateful(5), batched=True),
    "epochs": lambda: cr.data.Stream(Epochs("start_epoch")),
    "mapped": mapped,
}


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
    if kind in SOURCES:
        return streamed(make, SOURCES[kind], engine)
    if kind == "command":
        return commanded(engine)
    return supervised(make, engine) if kind == "fit" else looped(kind, engine, 12)


KINDS = ["fit", "loop_gan", "loop_actor", "command", *SOURCES]


@traceable
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    ("kind", "times"),
    [
        ("fit", 1),
        pytest.param("fit", 3, marks=pytest.mark.slow),
        pytest.param("loop_gan", 3, marks=pytest.mark.slow),
    ],
)
def test_killed_some_times(kind: str, times: int, make: Make, tmp_path: Path) -> None:
    killed_at_moments(runs(kind, make, "numpy"), tmp_path, times)


@traceable
@pytest.mark.slow
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_many_times(kind: str, make: Make, engine: str, tmp_path: Path) -> None:
    killed_at_moments(runs(kind, make, engine), tmp_path, 3, rounds=3)
