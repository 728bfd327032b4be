"""Signals that end a run of the command line: it is saved, and resumed bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.cli.test_train import RUN
from tests.training.moments import traceable
from tests.ways import ENGINES

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

#: A run without pictures. The arguments are a signal, the step after which the process
#: sends it to itself, and at which moment of the code of training from there.
PROGRAM = """
import signal, sys
import chainrule.viz, chainrule.training.loop
from chainrule.cli import main
from chainrule.training import Callback, progress

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
name, step, moment = sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1))

def send():
    signal.raise_signal(getattr(signal, name))

class Sent(Callback):
    def on_chunk(self, trainer):
        if trainer.optimizer.steps == step:
            if moment:
                from tests.training.moments import FILES, Moments

                Moments(FILES, number=moment, act=send).begin()
            else:
                send()

chainrule.viz.can_plot = lambda: False
chainrule.training.loop.CHUNK = 0.0
progress.display = Sent
main()
"""
SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"]


def start(*words: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    root, pipe = str(Path(__file__).parents[2]), subprocess.PIPE
    paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=environment
    )


def check_saved(code: int, messages: str, name: str, place: Path) -> cr.Trainer:
    """The exit code says why, nothing half is left, and the checkpoint is whole."""
    number = getattr(signal, name)
    wanted = 130 if number == signal.SIGINT else -number
    assert code == wanted, messages
    assert "Traceback" not in messages
    assert ("is saved" in messages) == (number == signal.SIGINT)
    assert {"last.ckpt"} <= set(os.listdir(place))
    assert not [path for path in place.iterdir() if path.suffix == ".tmp"]
    trainer = cr.Trainer.load(place)
    assert trainer.optimizer.steps == len(trainer.history)
    return trainer


def check_same(one: Path, other: Path) -> None:
    """Weights, moments and losses are the same, byte by byte."""
    found = []
    for trainer in map(cr.Trainer.load, (one, other)):
        assert trainer.finished
        moments = trainer.optimizer.state.values()
        arrays = [*trainer.model.state_dict().values()]
        arrays += [tensor.numpy() for state in moments for tensor in state.values()]
        arrays.append(trainer.history.steps["loss"])
        found.append([array.tobytes() for array in arrays])
    assert found[0] == found[1]


@pytest.fixture
def whole(chainrule: Any) -> Path:
    """A run that no signal ends."""
    Path("moons.toml").write_text(RUN, encoding="utf-8")
    assert chainrule("train", "moons.toml", "--out", "whole").code == 0
    return Path("whole")


@pytest.mark.parametrize(
    "name",
    [
        "SIGINT",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("SIGTERM", "SIGHUP")),
    ],
)
def test_a_signal_saves_the_run(chainrule: Any, whole: Path, name: str) -> None:
    part = Path("part")
    process = start(name, 9, 0, "train", "moons.toml", "--out", part)
    _, messages = process.communicate(timeout=100)
    trainer = check_saved(process.returncode, messages, name, part)
    assert trainer.optimizer.steps == 9
    assert chainrule("train", "--resume", part).code == 0
    check_same(part, whole)


@traceable
@pytest.mark.slow
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("engine", ENGINES)
def test_signals_at_many_moments(chainrule: Any, name: str, engine: str) -> None:
    """Between two instructions of a step, or of what saves it."""
    Path("moons.toml").write_text(RUN, encoding="utf-8")
    run = ["train", "moons.toml", "--engine", engine]
    assert chainrule(*run, "--out", "whole").code == 0
    dice, part, words = np.random.default_rng(0), Path("part"), [*run, "--out", "part"]
    for step in (3, 9, 14):
        moment = dice.integers(1, 100)
        process = start(name, step, moment, *words, "--checkpoint-every", 0)
        _, messages = process.communicate(timeout=100)
        trainer = check_saved(process.returncode, messages, name, part)
        assert step <= trainer.optimizer.steps <= step + 2
        words = ["train", "--resume", "part"]
    assert chainrule(*words).code == 0
    check_same(part, Path("whole"))


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
