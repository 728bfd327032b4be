"""Killed with SIGKILL at any moment and resumed, a run ends with the same bits."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import BestCheckpoint, EarlyStopping, checkpoint

from .conftest import Make, pixels
from .killing import killed
from .test_loop import example


class Runs:
    """Runs of the command line on a part of MNIST, saved after every chunk."""

    def __init__(self, engine: str, limit: int, epochs: int) -> None:
        self.options = ["--engine", engine, "--limit", str(limit)]
        self.options += ["--epochs", str(epochs)]

    def start(self, directory: Path) -> subprocess.Popen[bytes]:
        """Begin a run, or go on with the one that is there."""
        begun = (directory / checkpoint.FILE).exists()
        where = ["--resume", directory] if begun else ["--out", directory]
        options = [] if begun else self.options
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "chainrule", "train", "mnist", "--json"),
                *("--checkpoint-every", "0", *options, *map(str, where)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def finish(self, directory: Path) -> float:
        """To the end; returns the seconds from the first checkpoint to the last."""
        process = self.start(directory)
        first = self._wait(process, directory)
        _, messages = process.communicate()
        assert process.returncode == 0, messages.decode()
        return ((directory / checkpoint.FILE).stat().st_mtime_ns - first) * 1e-9

    def kill(self, directory: Path, after: float) -> bool:
        """Kill ``after`` seconds of training; False where it was over by then."""
        process = self.start(directory)
        self._wait(process, directory)
        time.sleep(after)
        process.kill()
        process.communicate()
        return not cr.Trainer.load(directory).finished  # always whole and readable

    def _wait(self, process: subprocess.Popen[bytes], directory: Path) -> int:
        """Until the run writes its first checkpoint (again); returns when that was."""
        file = directory / checkpoint.FILE
        before = file.stat().st_mtime_ns if file.exists() else 0
        while process.poll() is None:
            if file.exists() and file.stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        return file.stat().st_mtime_ns


def content(directory: Path) -> dict[str, bytes]:
    """All numbers of a run's last checkpoint, times aside."""
    document, tensors = checkpoint.read(directory / checkpoint.FILE)
    rows = [{k: v for k, v in r.items() if k != "seconds"} for r in document["epochs"]]
    numbers = {name: array.tobytes() for name, array in tensors.items()}
    return numbers | {"rows": repr(rows).encode()}


def test_killed_twice(tmp_path: Path) -> None:
    runs = Runs("numpy", limit=1920, epochs=4)
    whole = runs.finish(tmp_path / "whole")
    for share in (0.3, 0.4):
        runs.kill(tmp_path / "killed", share * whole)
    runs.finish(tmp_path / "killed")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_twenty_random_moments(tmp_path: Path, engine: str) -> None:
    runs = Runs(engine, limit=6000, epochs=3)
    whole = runs.finish(tmp_path / "whole")
    expected = content(tmp_path / "whole")
    rng = np.random.default_rng(0)
    killed, positions = 0, set()
    for i in itertools.count():
        if killed >= 20:
            break
        assert i < 100, "the runs are over before they can be killed"
        directory = tmp_path / f"killed{i}"
        for _ in range(rng.integers(1, 4)):  # some runs are killed more than once
            alive = runs.kill(directory, rng.uniform(0, whole))
            killed += alive
            trainer = cr.Trainer.load(directory)
            positions.add((trainer.epoch, trainer.step))
        runs.finish(directory)
        assert content(directory) == expected
    assert len(positions) > 5, "the kills have hit different moments"


# -- in forked children, many times ----------------------------------------------------


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

    def run(directory: Path) -> None:
        loop = module.make(engine)
        if (directory / checkpoint.FILE).exists():
            loop.load(directory)
        loop.run(epochs=2, checkpoint=directory, checkpoint_every=0)

    return run


def runs(kind: str, make: Make, engine: str) -> Callable[[Path], Any]:
    return supervised(make, engine) if kind == "fit" else looped(kind, engine, 30)


KINDS = ["fit", "loop_gan", "loop_actor"]


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_three_times(kind: str, make: Make, tmp_path: Path) -> None:
    killed(runs(kind, make, "numpy"), tmp_path, 3)


@pytest.mark.slow
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_a_thousand_times_in_all(
    kind: str, make: Make, engine: str, tmp_path: Path
) -> None:
    assert killed(runs(kind, make, engine), tmp_path, 170) > 5
