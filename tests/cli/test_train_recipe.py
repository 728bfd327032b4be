"""``chainrule train RECIPE``: what it prints, what it leaves, and how it fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli, disk
from chainrule.training import Callback
from tests.cli.conftest import SMALL, one_message


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a small run that is over."""
    directory = tmp_path_factory.mktemp("runs") / "small"
    assert cli.run(["train", "mnist", *SMALL, "--json", "--out", str(directory)]) == 0
    return directory


# -- training --------------------------------------------------------------------------


def test_one_json_object(chainrule: Any, tmp_path: Path, pictures: None) -> None:
    result = chainrule("train", "mnist", *SMALL, "--seed", 3, "--json", "--out", "r")
    assert result.code == 0
    made = result.json
    expected = {
        "run": "mnist",
        "engine": "numpy",
        "seed": 3,
        "epochs": 2,
        "batch_size": 32,
        "parameters": 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10,
        "steps": 20,
        "limit": 320,
        "out": "r",
        "resumed_from": None,
    }
    assert {key: made[key] for key in expected} == expected
    assert 0.2 < made["test_accuracy"] < 1
    assert 0 < made["train_loss"] < 2.4
    spent = made["seconds_training"] + made["seconds_compile"]
    assert 0 < made["seconds_training"] < spent < made["seconds_total"]
    assert result.err.count("epoch") == 2

    trainer = cr.Trainer.load(tmp_path / "r")
    _, test = cr.data.mnist()
    assert trainer.evaluate(test.take(320))["accuracy"] == made["test_accuracy"]
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert {k: metrics[k] for k in made} == made
    assert [row["epoch"] for row in metrics["history"]] == [1, 2]
    files = {"last.ckpt", "metrics.json"} | (
        {"curve.png", "report.html"} if cr.viz.can_plot() else set()
    )
    assert set(os.listdir(tmp_path / "r")) == files


def test_a_readable_summary_and_a_directory_of_its_own(
    chainrule: Any, tmp_path: Path
) -> None:
    for _ in range(2):
        result = chainrule("train", "mnist", *SMALL)
        assert result.code == 0
        assert re.search(r"mnist: \d+\.\d+% of the test set", result.out)
        assert "109,386 parameters, seed 0" in result.out
        assert "s training" in result.out
        assert "last.ckpt, metrics.json" in result.out
    first, second = sorted((tmp_path / "runs").iterdir())
    assert re.fullmatch(r"mnist-\d{8}-\d{6}(-2)?", second.name)
    weights = [cr.Trainer.load(d).model.state_dict() for d in (first, second)]
    assert all((weights[0][k] == weights[1][k]).all() for k in weights[0])


def test_options_reach_the_run(chainrule: Any) -> None:
    options = ["--batch-size", 100, "--lr", "0.5", "--epochs", 1]
    made = chainrule("train", "mnist", *SMALL, *options, "--json", "--out", "r").json
    assert (made["batch_size"], made["lr"], made["steps"]) == (100, 0.5, 4)
    trainer = cr.Trainer.load("r")
    assert trainer.optimizer.schedule.lr == 0.5


def test_a_learning_rate_of_zero_is_allowed_and_said(chainrule: Any) -> None:
    result = chainrule("train", "mnist", *SMALL, "--lr", 0, "--json", "--out", "r")
    assert result.code == 0
    assert result.err.count("Warning: With a learning rate of 0") == 1
    assert "fix:" in result.err
    first, last = json.loads(Path("r/metrics.json").read_text())["history"]
    assert first["validation_loss"] == last["validation_loss"]


# -- resuming --------------------------------------------------------------------------


class CtrlC(Callback):
    def on_chunk(self, trainer: cr.Trainer) -> None:
        if trainer.optimizer.steps == 7:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupted(
    chainrule: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Path:
    """A run that was interrupted with Ctrl-C after seven steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.training.loop.CHUNK", 0.0)
        patch.setattr("chainrule.training.progress.display", CtrlC)
        result = chainrule("train", "mnist", *SMALL, "--out", "part")
    one_message(result, 130, "step 7 of 20 is saved", "--resume part")
    assert len(result.err.splitlines()) == 1
    return tmp_path / "part"


def test_ctrl_c_and_resume(chainrule: Any, interrupted: Path, finished: Path) -> None:
    result = chainrule("train", "mnist", "--resume", interrupted, "--json")
    assert result.code == 0
    assert result.json["resumed_from"] == 7
    assert result.json["steps"] == 20
    a, b = (cr.Trainer.load(d).model.state_dict() for d in (interrupted, finished))
    assert all(a[k].tobytes() == b[k].tobytes() for k in a)


@pytest.mark.parametrize(
    ("flag", "value", "stored"),
    [
        ("--batch-size", 16, "--batch-size 32"),
        ("--lr", 0.1, "--lr 0.003"),
        ("--seed", 1, "--seed 0"),
        ("--limit", 640, "--limit 320"),
        ("--engine", "native", "--engine numpy"),
    ],
)
def test_a_resumed_run_cannot_change(
    chainrule: Any, finished: Path, flag: str, value: Any, stored: str
) -> None:
    content = (finished / "last.ckpt").read_bytes()
    result = chainrule("train", "mnist", "--resume", finished, flag, value)
    one_message(result, 2, f"{flag} cannot change", stored, f"{flag} {value}", "fix:")
    assert (finished / "last.ckpt").read_bytes() == content


def test_resuming_a_finished_run(chainrule: Any, finished: Path) -> None:
    before = json.loads((finished / "metrics.json").read_text())
    same = ["--epochs", 2, "--engine", "auto"]  # what it was begun with
    result = chainrule("train", "mnist", "--resume", finished, *same, "--json")
    assert result.code == 0
    assert "finished already" in result.err
    for key in ("test_accuracy", "train_loss", "steps", "seconds_training"):
        assert result.json[key] == before[key]


def test_resuming_what_is_not_there(chainrule: Any, tmp_path: Path) -> None:
    result = chainrule("train", "mnist", "--resume", tmp_path / "none")
    one_message(result, 2, "cannot be read", "No such file", "fix:")


def test_resuming_a_damaged_run(chainrule: Any, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "bad")
    file = tmp_path / "bad" / "last.ckpt"
    file.write_bytes(file.read_bytes()[:-100])
    result = chainrule("train", "mnist", "--resume", tmp_path / "bad")
    one_message(result, 2, "is damaged", "nothing was loaded")


def test_resuming_another_architecture(chainrule: Any, tmp_path: Path) -> None:
    model = cr.nn.Sequential(cr.nn.Linear(784, 10))
    trainer = cr.Trainer(
        model,
        loss=cr.nn.CrossEntropyLoss(),
        optimizer=cr.optim.Adam(),
        engine="numpy",
    )
    trainer.notes = {"recipe": "mnist", "options": {}}
    trainer.save(tmp_path / "last.ckpt")
    result = chainrule("train", "mnist", "--resume", tmp_path)
    one_message(result, 2, "another architecture", "5 layers", "1 layers")


def test_resuming_a_run_of_a_python_program(chainrule: Any, tmp_path: Path) -> None:
    from chainrule.recipes import mnist

    trainer = mnist.trainer(mnist.network(), engine="numpy")
    trainer.save(tmp_path / "last.ckpt")
    result = chainrule("train", "mnist", "--resume", tmp_path)
    one_message(result, 2, "not hold a run of the recipe 'mnist'", "a Python program")


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["train", "mnits"], ["no recipe 'mnits'", "fix:      chainrule train mnist"]),
        (["train", "?"], ["no recipe '?'", "fix:      chainrule recipes"]),
        (["tarin"], ["no command 'tarin'", "Did you mean 'train'?"]),
        (["train", "mnist", "--epoch", "3"], ["No such option", "--epochs"]),
        (["train", "mnist", "--epochs", "0"], ["--epochs", "0"]),
        (["train", "mnist", "--epochs", "two"], ["--epochs", "'two'"]),
        (["train", "mnist", "--lr", "fast"], ["--lr", "'fast'"]),
        (["train", "mnist", "--lr", "nan"], ["learning rate", "nan"]),
        (["train", "mnist", "--seed", str(2**64)], ["--seed"]),
        (["train", "mnist", "--engine", "gpu"], ["--engine", "native"]),
        (["train", "mnist", "--batch-size", "400", *SMALL], ["larger than the data"]),
        (["train", "mnist", "--out", "a", "--resume", "b"], ["exclude each other"]),
        (["train"], ["Missing argument", "RECIPE"]),
    ],
)
def test_bad_input(chainrule: Any, args: list[str], parts: list[str]) -> None:
    one_message(chainrule(*args), 2, *parts)
    assert os.listdir() == [], "nothing is left on the disk"


def test_a_directory_that_holds_a_run(chainrule: Any, finished: Path) -> None:
    content = (finished / "last.ckpt").read_bytes()
    result = chainrule("train", "mnist", *SMALL, "--out", finished)
    one_message(result, 2, "already holds a run", f"--resume {finished}")
    assert (finished / "last.ckpt").read_bytes() == content


def test_a_place_that_cannot_be_written(chainrule: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = chainrule("train", "mnist", *SMALL, "--out", "file/run")
    one_message(result, 1, "cannot be made", "--out", "fix:")


def test_a_full_disk(chainrule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    result = chainrule("train", "mnist", *SMALL, "--out", "r")
    one_message(result, 1, "checkpoint cannot be written", "No space left", "fix:")
    assert not os.path.exists("r"), "nothing was written there"


def test_a_loss_that_is_not_finite(chainrule: Any) -> None:
    result = chainrule("train", "mnist", *SMALL, "--lr", "1e30", "--out", "r")
    one_message(result, 1, "at step ", "expected:", "got:", "lower the learning rate")
    assert "last good checkpoint: r/last.ckpt" in result.err.replace("\\", "/")
    weights = cr.Trainer.load("r").model.state_dict()
    assert all(np.isfinite(w).all() for w in weights.values())
