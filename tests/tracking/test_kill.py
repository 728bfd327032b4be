"""Killed with SIGKILL at any moment and resumed, a run has each point once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.tracking import JSONLines, TensorBoard
from chainrule.training import checkpoint
from tests.training.killing import killed_at_moments
from tests.training.moments import traceable

from .conftest import dataset, points, trainer
from .test_tensorboard import read, scalars

pytestmark = [pytest.mark.parity, pytest.mark.slow]


def run(directory: Path) -> None:
    """Begin a run of two trackers, or go on with it."""
    log = JSONLines(directory / "log.jsonl", log_every_n_steps=5)
    board = TensorBoard(directory / "board", run_name="r", log_every_n_steps=5)
    data = dataset()
    options = {"validation": data, "callbacks": [log, board], "progress": False}
    where = {"checkpoint": directory, "checkpoint_every": 0}
    if (directory / checkpoint.FILE).exists():
        cr.Trainer.load(directory).resume(data, **options, **where)
        return
    shutil.rmtree(directory / "board", ignore_errors=True)  # of a run without a step
    trainer().fit(data, epochs=3, batch_size=16, **options, **where)


@traceable
@pytest.mark.usefixtures("single_steps")
def test_killed_many_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # All runs have one id: their checkpoints are compared.
    monkeypatch.setattr("secrets.token_hex", lambda size: "1" * size)
    killed_at_moments(run, tmp_path, 4, rounds=3)
    whole = read(tmp_path / "whole" / "board" / "r")
    for number in range(3):
        cut = tmp_path / f"cut{number}"
        lines = (cut / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines[1:]] == points()
        reader = read(cut / "board" / "r")
        for tag in ("step/loss", "train_loss", "epoch"):
            assert scalars(reader, tag) == scalars(whole, tag)
