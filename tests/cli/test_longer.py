"""``chainrule train --resume … --epochs``: runs that go on, and what stops them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.training import checkpoint
from tests.cli.conftest import SMALL, one_message
from tests.cli.test_train import RUN, cut

#: Without a rate that depends on the length; the first epoch is taken for the best.
CONSTANT = RUN.replace('[schedule]\nclass = "CosineAnnealingLR"\nwarmup = 4\n', "")
CONSTANT = CONSTANT.replace("patience = 50", 'patience = 50\nmode = "max"')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "moons.toml"
    path.write_text(CONSTANT, encoding="utf-8")
    return path


def nameless(nest: Any) -> Any:
    """A document without the identifiers that runs have in their logs."""
    if isinstance(nest, dict):
        return {k: nameless(item) for k, item in nest.items() if k != "run_id"}
    return [nameless(item) for item in nest] if isinstance(nest, list) else nest


def left(directory: str) -> dict[str, Any]:
    """What a run has left, times, places and identifiers aside."""
    found: dict[str, Any] = {}
    for name in ("last.ckpt", "best.ckpt"):
        document, arrays = checkpoint.read(Path(directory, name))
        rows = [{**row, "seconds": 0} for row in document["epochs"]]
        document = nameless({**document, "epochs": rows, "seconds": 0})
        found[name] = document, {key: a.tobytes() for key, a in arrays.items()}
    lines = Path(directory, "log.jsonl").read_text(encoding="utf-8").splitlines()
    # The first has the settings that the run was begun with.
    found["log"] = [{**json.loads(line), "seconds": 0} for line in lines[1:]]
    found["run"] = Path(directory, "run.toml").read_text(encoding="utf-8")
    metrics = json.loads(Path(directory, "metrics.json").read_text(encoding="utf-8"))
    strange = ("out", "resumed_from", "history")
    for key in [k for k in metrics if k in strange or k.startswith("seconds")]:
        del metrics[key]
    return found | {"metrics": metrics}


def test_a_finished_run_goes_on(chainrule: Any, file: Path) -> None:
    """As one that was begun so long; best.ckpt knows the plan of its own time alone."""
    assert chainrule("train", file, "--epochs", 9, "--out", "whole").code == 0
    assert chainrule("train", file, "--out", "part").code == 0
    for epochs in (6, 9):
        result = chainrule("train", "--resume", "part", "--epochs", epochs)
        assert (result.code, "finished" in result.err) == (0, False)
    whole, part = left("whole"), left("part")
    for found in (whole, part):
        document, _ = found["best.ckpt"]
        del document["plan"], document["notes"]
    assert whole == part
    assert "--epochs 9" in whole["run"]
    again = chainrule("train", file, "--resume", "part", "--epochs", 9)
    assert "finished already" in again.err


def test_an_interrupted_run_goes_on(chainrule: Any, file: Path) -> None:
    assert cut(chainrule, file, "--out", "part").code == 130
    # The second life is cut too, in an epoch that it adds.
    assert cut(chainrule, "--resume", "part", "--epochs", 7, at=33).code == 130
    assert chainrule("train", "--resume", "part").code == 0
    assert chainrule("train", file, "--epochs", 7, "--out", "whole").code == 0
    a, b = (cr.Trainer.load(d).model.state_dict() for d in ("part", "whole"))
    assert all(a[k].tobytes() == b[k].tobytes() for k in a)


def test_a_run_that_was_stopped_early(chainrule: Any, file: Path) -> None:
    text = CONSTANT.replace("patience = 50", "patience = 2").replace(
        "epochs = 4", "epochs = 40"
    )
    file.write_text(text, encoding="utf-8")
    first = chainrule("train", file, "--out", "r")
    assert "after epoch 3; epoch 1 was the best, whose weights it has" in first.out
    summary = json.loads(Path("r/metrics.json").read_text(encoding="utf-8"))
    assert (summary["stopped_early"], summary["best_epoch"]) == (True, 1)
    best, *_, last = summary["history"]  # it tells of the weights that it has
    assert summary["validation_loss"] == best["validation_loss"]
    assert summary["validation_loss"] != last["validation_loss"]
    again = chainrule("train", "--resume", "r")
    assert "stopped early after epoch 3" in again.err
    assert "--epochs" in again.err
    assert cr.Trainer.load("r").epoch == 3
    told = chainrule("train", "--resume", "r", "--epochs", 5, "--json")
    assert (told.json["epochs"], told.json["best_epoch"]) == (5, 1)


def test_a_rate_that_was_planned(chainrule: Any, file: Path) -> None:
    file.write_text(RUN, encoding="utf-8")
    assert chainrule("train", file, "--out", "file").code == 0
    assert chainrule("train", "mnist", *SMALL, "--out", "recipe").code == 0
    for place, epochs, rate in (("file", 4, "LinearWarmup"), ("recipe", 2, "OneCycle")):
        before = Path(place, "last.ckpt").read_bytes()
        result = chainrule("train", "--resume", place, "--epochs", 9)
        one_message(result, 2, f"planned for {epochs} epochs", rate, "fix:")
        assert Path(place, "last.ckpt").read_bytes() == before
    result = chainrule("train", "--resume", "file", "--epochs", 3)
    one_message(result, 2, "epochs > 4", "epochs=3", "ask for 5 or more")
