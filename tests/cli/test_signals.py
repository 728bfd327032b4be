"""Signals that end a run of the command line: it is saved, and resumed bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli

from .data import houses

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


@pytest.fixture(params=["recipe", "file"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """What to train, some tens of steps an epoch or two."""
    if request.param == "recipe":
        return ["mnist", "--limit", "640"]
    file = tmp_path / "run.toml"
    houses(tmp_path / "houses.csv")
    assert cli.run(["new", str(file), "--data", str(tmp_path / "houses.csv")]) == 0
    return [str(file)]


def start(*options: Any) -> subprocess.Popen[str]:
    """A run without pictures, saved after every chunk."""
    code = (
        "import chainrule.viz as c, chainrule.training.loop as l\n"
        "c.can_plot = lambda: False\n"
        "l.CHUNK = 0.002\n"
        "from chainrule.cli import main\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "train", *map(str, options)]
    command += ["--checkpoint-every", "0"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(target: list[str], name: str, place: Path, times: int, engine: str) -> int:
    """End runs at random moments, go on to the end, and compare; how many were hit."""
    number, dice = getattr(signal, name), np.random.default_rng(0)
    options, whole = [*target, "--engine", engine], place / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.viz.can_plot", lambda: False)
        assert cli.run(["train", *options, "--out", str(whole)]) == 0
    expected, hit, directory = cr.Trainer.load(whole), 0, place / "part"
    file = directory / "last.ckpt"
    for _ in range(10 * times):
        begun = file.exists()
        before = file.stat().st_mtime_ns if begun else 0
        how = ["--resume", directory] if begun else [*options[1:], "--out", directory]
        process = start(target[0], *how)
        while process.poll() is None:  # until it trains
            if file.exists() and file.stat().st_mtime_ns != before:
                break
            time.sleep(0.001)
        if hit < times:
            time.sleep(dice.uniform(0, 0.05))
            process.send_signal(number)
        _, messages = process.communicate()
        assert "Traceback" not in messages
        trainer = cr.Trainer.load(directory)
        assert trainer.optimizer.steps == len(trainer.history)
        assert sorted({p.suffix for p in directory.iterdir()} - {".json", ".toml"}) == [
            ".ckpt"
        ]
        if process.returncode == 0:
            break
        hit += 1
        wanted = 130 if number == signal.SIGINT else -number
        assert process.returncode == wanted, messages
        if number == signal.SIGINT:
            assert "is saved" in messages
    assert trainer.finished
    for key, array in expected.model.state_dict().items():
        assert trainer.model.state_dict()[key].tobytes() == array.tobytes()
    for key, moments in expected.optimizer.state.items():
        for kind, t in moments.items():
            mine = trainer.optimizer.state[key][kind].numpy()
            assert mine.tobytes() == t.numpy().tobytes()
    losses = [t.history.steps["loss"].tobytes() for t in (trainer, expected)]
    assert losses[0] == losses[1]
    return hit


@pytest.mark.parametrize(
    ("target", "name", "times", "engine"),
    [
        ("recipe", "SIGHUP", 1, "numpy"),
        ("recipe", "SIGINT", 1, "numpy"),
        ("file", "SIGTERM", 1, "numpy"),
        *(
            pytest.param(target, name, 18, engine, marks=pytest.mark.slow)
            for target in ("recipe", "file")
            for name in ("SIGINT", "SIGTERM", "SIGHUP")
            for engine in ("numpy", "auto")
        ),
    ],
    indirect=["target"],
)
def test_a_signal_saves_the_run(
    target: list[str], name: str, times: int, engine: str, tmp_path: Path
) -> None:
    epochs = 3 if times == 1 else 60
    hit = ended([*target, "--epochs", f"{epochs}"], name, tmp_path, times, engine)
    assert times == 1 or hit > 5


@pytest.mark.parametrize("where", ["chainrule.tensor", "chainrule.cli.common"])
def test_ctrl_c_while_it_is_imported(where: str) -> None:
    """No traceback of modules that nobody has heard of."""
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {where!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from chainrule_command import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_afterwards_ctrl_c_is_an_exception_again() -> None:
    code = (
        "import signal, chainrule_command, chainrule.cli.common as common\n"
        "common.run = lambda args: print(signal.getsignal(signal.SIGINT))\n"
        "chainrule_command.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert "default_int_handler" in done.stdout
