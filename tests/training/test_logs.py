"""Logs: one line an epoch on the disk at once, and the same file after any kill."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import errors, optim
from chainrule.metrics import Metric
from chainrule.training import Callback, CSVLogger, JSONLinesLogger

from .conftest import Make, pixels, raising, without_time

KEYS = ["epoch", "train_loss", "validation_loss", "validation_accuracy"]
KEYS += ["lr", "seconds"]


def jsonl(path: Path) -> list[dict[str, Any]]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    lines = path.read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def table(path: Path) -> list[dict[str, Any]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_is_written(make: Make, data: cr.data.Dataset, tmp_path: Path) -> None:
    logs = [
        CSVLogger(tmp_path / "a" / "log.csv"),
        JSONLinesLogger(tmp_path / "l.jsonl"),
    ]
    history = make().fit(
        data, epochs=3, validation=data, callbacks=logs, progress=False
    )
    assert jsonl(tmp_path / "l.jsonl") == history.epochs
    rows = table(tmp_path / "a" / "log.csv")
    assert all(list(row) == KEYS for row in rows)
    assert [{k: float(v) for k, v in row.items()} for row in rows] == history.epochs


class Killed(BaseException):
    """Something like SIGKILL: nothing more is written."""


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("after", ["epoch", "chunk"])
def test_the_same_file_after_a_kill(
    make: Make, data: cr.data.Dataset, tmp_path: Path, after: str
) -> None:
    """Killed between the log and the checkpoint of epoch 2, or within epoch 3."""

    class Kill(Callback):
        def on_epoch(self, trainer: cr.Trainer) -> None:
            if after == "epoch" and trainer.epoch == 2:
                raise Killed

        def on_chunk(self, trainer: cr.Trainer) -> None:
            if after == "chunk" and trainer.optimizer.steps == 5:
                raise Killed

    def logs(name: str) -> list[Callback]:
        path = tmp_path / name
        return [CSVLogger(f"{path}.csv"), JSONLinesLogger(f"{path}.jsonl")]

    fit: dict[str, Any] = {"validation": data, "progress": False}
    make().fit(data, epochs=4, batch_size=25, callbacks=logs("whole"), **fit)
    place = tmp_path / "run"
    with pytest.raises(Killed):
        make().fit(
            data,
            epochs=4,
            batch_size=25,
            callbacks=[*logs("part"), Kill()],
            checkpoint=place,
            **fit,
        )
    with open(tmp_path / "part.jsonl", "a") as file:
        file.write('{"epoch": 3, "train_lo')  # the kill was in the middle of a line
    loaded = cr.Trainer.load(place)
    loaded.resume(data, callbacks=logs("part"), checkpoint=place, **fit)

    made = [jsonl(tmp_path / f"{name}.jsonl") for name in ("whole", "part")]
    assert without_time(made[0]) == without_time(made[1])
    tables = [table(tmp_path / f"{name}.csv") for name in ("whole", "part")]
    assert without_time(tables[0]) == without_time(tables[1])
    assert len(tables[0]) == 4


class Odd(Metric):
    name = "odd"

    def __init__(self) -> None:
        self.values = [math.nan, math.inf, 0.5]

    def batch(self, prediction: cr.Tensor, target: cr.Tensor) -> dict[str, cr.Tensor]:
        return {"nothing": prediction.sum()}

    def value(self, batches: Any, counts: Any) -> float:
        return self.values.pop(0)


def test_json_has_neither_nan_nor_infinity(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    log = JSONLinesLogger(tmp_path / "log.jsonl")
    make(metrics=[Odd()]).fit(
        data, epochs=3, validation=data, callbacks=log, progress=False
    )
    values = [row["validation_odd"] for row in jsonl(tmp_path / "log.jsonl")]
    assert values == [None, None, 0.5]


def test_columns_that_change(make: Make, data: cr.data.Dataset, tmp_path: Path) -> None:
    """A second run without validation goes on in the same table."""
    trainer = make(optimizer=optim.Adam())
    log = CSVLogger(tmp_path / "log.csv")
    trainer.fit(data, epochs=1, validation=data, callbacks=log, progress=False)
    trainer.fit(data, epochs=1, callbacks=log, progress=False)
    rows = table(tmp_path / "log.csv")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["validation_accuracy"] == "" for row in rows] == [False, True]
    assert all(float(row["train_loss"]) > 0 for row in rows)


@pytest.mark.parametrize("kind", [CSVLogger, JSONLinesLogger])
def test_places_that_cannot_be_written(make: Make, tmp_path: Path, kind: Any) -> None:
    data = pixels()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "log", tmp_path):
        with raising(errors.SaveError):
            make().fit(data, epochs=1, callbacks=kind(path), progress=False)
    trainer, path = make(), tmp_path / "log"

    class Full(Callback):
        def on_epoch(self, trainer: cr.Trainer) -> None:
            os.remove(path)
            path.mkdir()

    with pytest.raises(errors.SaveError, match="log of the run cannot be written"):
        trainer.fit(data, epochs=2, callbacks=[Full(), kind(path)], progress=False)
