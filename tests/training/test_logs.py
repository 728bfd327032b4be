"""Logs: one line an epoch on the disk at once, and the same file after any kill."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import errors, optim
from chainrule.training import Callback, CSVLogger

from .conftest import Make, pixels, raising, without_time

KEYS = ["epoch", "train_loss", "validation_loss", "validation_accuracy"]
KEYS += ["lr", "seconds"]


def table(path: Path) -> list[dict[str, Any]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_is_written(make: Make, data: cr.data.Dataset, tmp_path: Path) -> None:
    log = CSVLogger(tmp_path / "a" / "log.csv")
    history = make().fit(data, epochs=3, validation=data, callbacks=log, progress=False)
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

    def log(name: str) -> Callback:
        return CSVLogger(tmp_path / f"{name}.csv")

    fit: dict[str, Any] = {"validation": data, "progress": False}
    make().fit(data, epochs=4, batch_size=25, callbacks=log("whole"), **fit)
    place = tmp_path / "run"
    with pytest.raises(Killed):
        make().fit(
            data,
            epochs=4,
            batch_size=25,
            callbacks=[log("part"), Kill()],
            checkpoint=place,
            **fit,
        )
    with open(tmp_path / "part.csv", "a") as file:
        file.write("3,0.")  # the kill was in the middle of a line
    loaded = cr.Trainer.load(place)
    loaded.resume(data, callbacks=log("part"), checkpoint=place, **fit)

    tables = [table(tmp_path / f"{name}.csv") for name in ("whole", "part")]
    assert without_time(tables[0]) == without_time(tables[1])
    assert len(tables[0]) == 4


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


def test_places_that_cannot_be_written(make: Make, tmp_path: Path) -> None:
    data = pixels()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "log", tmp_path):
        with raising(errors.SaveError):
            make().fit(data, epochs=1, callbacks=CSVLogger(path), progress=False)
    trainer, path = make(), tmp_path / "log"

    class Full(Callback):
        def on_epoch(self, trainer: cr.Trainer) -> None:
            os.remove(path)
            path.mkdir()

    with pytest.raises(errors.SaveError, match="log of the run cannot be written"):
        trainer.fit(data, epochs=2, callbacks=[Full(), CSVLogger(path)], progress=False)
