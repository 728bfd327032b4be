"""Killed with SIGKILL at any moment and resumed, a run ends with the same bits."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.training import checkpoint


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
