"""W&B's interface by a stand-in for its module; Trackio by its own reader."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleWarning, CheckpointError
from chainrule.tracking import Tracker, Trackio, WandB

from .conftest import (
    EPOCHS,
    KILLS,
    STEPS,
    KillAt,
    Killed,
    dataset,
    fit,
    killed,
    points,
)


class Run:
    """A run as W&B's documentation has it: steps only grow, a resumed one goes on."""

    def __init__(self, **given: Any) -> None:
        self.given, self.rows, self.code = given, {}, None
        self.step = 0

    def log(self, data: dict[str, Any], step: int) -> None:
        assert step >= self.step, "W&B drops what comes for an earlier step"
        assert self.rows.setdefault(step, {}).keys().isdisjoint(data)
        self.step = step
        self.rows[step] |= data

    def finish(self, exit_code: int | None = None) -> None:
        self.code = exit_code


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> dict[str, Run]:
    """Runs by id, of a stand-in for ``wandb``."""
    runs: dict[str, Run] = {}

    def init(
        *, project: str, name: str | None, id: str, resume: str, config: Any
    ) -> Run:
        assert resume == "allow"
        print("wandb: says something")
        run = runs.setdefault(id, Run(project=project, name=name, config=config))
        run.step += bool(run.rows)  # what it has is not given again
        return run

    module: Any = ModuleType("wandb")
    module.init, module.Histogram, module.Image = init, np.asarray, np.asarray
    monkeypatch.setitem(sys.modules, "wandb", module)
    return runs


@pytest.mark.usefixtures("single_steps")
def test_what_wandb_gets(
    server: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    made = WandB("p", run_name="n", log_every_n_steps=5, histogram_freq=3, images=True)
    trainer = fit(made)
    assert capsys.readouterr().out == ""
    ((run_id, run),) = server.items()
    assert made.run_id == run_id
    assert (run.given["project"], run.given["name"], run.code) == ("p", "n", 0)
    assert run.given["config"]["optimizer.lr"] == 1e-2
    assert [*run.rows] == points()
    last = run.rows[STEPS * EPOCHS]
    assert last["train_loss"] == trainer.history.epochs[-1]["train_loss"]
    assert last["weights/0.bias"].shape == (8,)
    fit(pickle.loads(pickle.dumps(made)), epochs=1)
    assert len(server) == 2


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_run_goes_on_in_wandb(
    server: dict[str, Run], tmp_path: Path, kill: str
) -> None:
    killed(lambda: WandB(log_every_n_steps=5), tmp_path / "run", kill)
    fit(WandB(log_every_n_steps=5))
    part, whole = ([*run.rows] for run in server.values())
    assert part == whole == points()


def another_way(directory: Path, make: Callable[[], Tracker]) -> Tracker:
    """A run that was killed behind a checkpoint, and goes on with other settings."""
    options: dict[str, Any] = {"checkpoint": directory, "checkpoint_every": 1e6}
    with pytest.raises(Killed):
        fit([make(), KillAt(updates=STEPS + 5)], **options)
    made, last = cr.Trainer.load(directory), make()
    made.optimizer.lr = 1.0
    made.resume(dataset(), validation=dataset(), callbacks=last, progress=False)
    return last


@pytest.mark.usefixtures("single_steps")
def test_a_run_that_goes_another_way_is_a_new_one_of_wandb(
    server: dict[str, Run], tmp_path: Path
) -> None:
    """Points of the way that was given up are not taken for those of the new one."""

    def make() -> WandB:
        return WandB(log_every_n_steps=1)

    with pytest.warns(ChainruleWarning, match="takes nothing back") as said:
        last = another_way(tmp_path, make)
    (old_id, old), (new_id, new) = server.items()
    assert last.run_id == new_id != old_id
    assert new_id in str(said[0].message)
    assert old.code == 1, "it did not come to its end"
    assert new.code == 0
    first = min(new.rows)
    assert first <= max(old.rows), "it went back"
    assert [*new.rows] == [*range(first, STEPS * EPOCHS + 1)]
    config = new.given["config"]
    assert (config["resumed_from"], config["resumed_at"]) == (old_id, first - 1)
    assert config["optimizer.lr"] == 1.0
    assert old.rows[first]["step/loss"] == new.rows[first]["step/loss"], "before it"
    after = first + 1
    assert old.rows[after]["step/loss"] != new.rows[after]["step/loss"]


@pytest.mark.usefixtures("single_steps")
def test_settings_that_change_where_nothing_is_to_take_back(
    server: dict[str, Run], tmp_path: Path
) -> None:
    made = fit(WandB(log_every_n_steps=1), checkpoint=tmp_path)
    loaded = cr.Trainer.load(tmp_path)
    loaded.optimizer.lr = 1.0
    options = {"validation": dataset(), "epochs": EPOCHS + 1, "progress": False}
    loaded.resume(dataset(), callbacks=WandB(log_every_n_steps=1), **options)
    (run,) = server.values()
    assert [*run.rows] == [*range(1, STEPS * (EPOCHS + 1) + 1)]
    assert made.finished


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("strange", [3, ["a"], {}])
def test_a_digest_that_is_none(strange: Any) -> None:
    with pytest.raises(CheckpointError, match="cannot go on"):
        WandB().load_state({"run_id": "a", "settings": strange})


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.filterwarnings("default")
def test_wandb_itself_takes_these_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs wandb: pip install it")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    made = WandB(run_name="n", log_every_n_steps=5, histogram_freq=1, images=True)
    assert fit(made).finished
    (folder,) = (tmp_path / "wandb").glob(f"offline-run-*-{made.run_id}")
    assert [*folder.glob("*.wandb")]


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kill", [None, *KILLS])
def test_what_trackio_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: str | None
) -> None:
    pytest.importorskip("trackio", reason="needs trackio: pip install it")
    from trackio import sqlite_storage, utils

    for module in (utils, sqlite_storage):  # read once, at the import
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    made: list[Trackio] = []

    def make() -> Trackio:
        made.append(Trackio("houses", run_name="one", log_every_n_steps=5))
        return made[-1]

    if kill is None:
        fit(make())
    else:
        killed(make, tmp_path / "run", kill)
        assert made[0].run_id == made[1].run_id
    storage = sqlite_storage.SQLiteStorage
    logs = storage.get_logs("houses", made[0].run_id)
    assert [row["step"] for row in logs] == points()
    assert all(np.isfinite(row["step/loss"]) for row in logs if row["step"] % 5 == 0)
    if kill is None:
        with pytest.warns(ChainruleWarning, match="takes nothing back"):
            last = another_way(tmp_path / "other", make)
        assert last.run_id != made[1].run_id
        parts = [storage.get_logs("houses", m.run_id) for m in (made[1], last)]
        steps = [row["step"] for part in parts for row in part]
        assert steps == [5, STEPS, 10, *[s for s in points() if s > STEPS]]
    config = storage.get_run_config("houses", made[0].run_id)
    assert config["optimizer.name"] == "Adam"
