"""Studies: their Trainers and loops, looked at as they run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import chainrule as cr
from chainrule import nn, optim, recipes
from chainrule.cli import run as cli
from chainrule.doctor import Diagnosis, examples
from chainrule.doctor.loops import LoopWatch
from chainrule.doctor.study import StudyDiagnosis, loaded
from chainrule.errors import ArgumentError, DataError, NonFiniteError
from chainrule.recipes import Experiment
from chainrule.runs import diagnosing


def codes(found: Any) -> list[str]:
    return [f.code for f in found.findings]


# -- loops -----------------------------------------------------------------------------


class Line:
    """A model, its optimiser and the losses of a loop."""

    def __init__(self, lr: float = 0.1) -> None:
        cr.manual_seed(0)
        self.model = nn.Linear(2, 1)
        self.sgd = optim.SGD(self.model.parameters(), lr=lr)
        self.losses: list[float] = []

    @property
    def state(self) -> dict[str, Any]:
        return {"model": self.model, "sgd": self.sgd, "losses": self.losses}

    def step(self) -> None:
        self.sgd.zero_grad()
        x = cr.randn(8, 2)
        loss = ((self.model(x) - x.sum(1, keepdims=True)) ** 2).mean()
        loss.backward()
        self.sgd.step()
        self.losses.append(loss.item())


def watched(
    line: Line, steps: int, at: Callable[[int], Any] | None = None
) -> Diagnosis:
    watch = LoopWatch(line.state, steps)
    for step in range(steps):
        line.step()
        if at is not None:
            at(step)
        watch.after(step)
    return watch.diagnosis()


def test_nothing_in_a_loop_that_learns() -> None:
    found = watched(Line(), 400)
    assert found.findings == []
    assert found.examined.keys() == {"weights", "loss"}
    assert found.unknown  # that nothing was tried is said
    assert found.not_examined.keys() == {"network", "score", "changes"}


def test_a_weight_that_is_no_number_is_found_where_it_appears() -> None:
    line = Line()

    def spoil(step: int) -> None:
        if step == 61:
            with cr.no_grad():
                line.model.bias.fill_(math.nan)

    found = watched(line, 64, spoil)
    first = found.findings[0]
    assert (first.code, first.severity, first.where) == (
        "weights-not-finite",
        "sick",
        "model.bias",
    )
    assert first.evidence["step"] == 62  # read after every second step
    assert not found.healthy


def test_weights_that_no_step_changes() -> None:
    line = Line()
    line.model.bias.requires_grad_(False)
    found = watched(line, 40)
    assert [(f.code, f.where) for f in found.findings] == [
        ("weights-unchanged", "model.bias")
    ]
    other = {"model": line.model, "target": nn.Linear(2, 1), "sgd": line.sgd}
    line.model.bias.requires_grad_(True)
    watch = LoopWatch(other, 4)
    for step in range(4):
        line.step()
        watch.after(step)
    assert watch.diagnosis().findings == []  # no optimiser has those of the target


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the loop itself
def test_steps_that_are_too_long() -> None:
    found = watched(Line(lr=3.0), 20 * 8)
    assert {"weights-grow", "loss-diverges"} & {*codes(found)}
    assert "loss-diverges" in codes(watched(Line(lr=1.15), 20 * 30))


def test_what_is_listed_and_is_no_loss_is_passed_over() -> None:
    line = Line()
    state = line.state | {"losses": [], "loss of parts": [], "loss": 3.0}
    watch = LoopWatch(state, 30)
    for step in range(30):
        line.step()
        state["losses"].append((1.0, 2.0))
        state["loss of parts"].append("small")
        watch.after(step)
    assert watch.diagnosis().findings == []


# -- studies ---------------------------------------------------------------------------


def study(run: Callable[[Experiment], Any], monkeypatch: Any) -> None:
    module: Any = ModuleType("own")
    module.run, module.SUMMARY, module.__doc__ = run, "own", "Own."
    find = recipes.find
    names = recipes.names
    monkeypatch.setattr(recipes, "find", lambda n: module if n == "own" else find(n))
    monkeypatch.setattr(recipes, "names", lambda: [*names(), "own"])


def two_stages(experiment: Experiment) -> dict[str, Any]:
    trainer, data, given = examples.example(lr=1e-6)
    experiment.fit("slow", trainer, data, **given)
    line = Line()
    for _ in experiment.steps("line", 50, **line.state):
        line.step()
    trainer, data, given = examples.example(lr=0.05)
    experiment.fit("well", trainer, data, **given)
    return {"end": 1.0}


def test_each_stage_is_examined(monkeypatch: Any, tmp_path: Path) -> None:
    study(two_stages, monkeypatch)
    found = diagnosing.diagnosed("own", stages=4)
    assert isinstance(found, StudyDiagnosis)
    assert [*found.stages] == ["slow", "line", "well"]
    assert not found.healthy
    assert codes(found.stages["slow"])[0] == "learning-rate-too-small"
    assert found.stages["line"].healthy
    assert found.stages["well"].healthy
    assert not found.left
    text, page, data = str(found), found.to_html(), found.to_dict()
    assert text.startswith("Sick: slow.")
    assert "── line ─" in text
    assert page.count("<details") >= 3
    assert {f["stage"] for f in data["findings"]} == {"slow"}
    json.dumps(data, allow_nan=False)
    found.save(tmp_path / "d.json")
    again = loaded(tmp_path / "d.json")
    assert str(again) == text
    assert str(StudyDiagnosis.load(tmp_path / "d.json")) == text
    assert str(diagnosing.diagnosed(str(tmp_path / "d.json"))) == text
    with pytest.raises(DataError, match="is no diagnosis"):
        Diagnosis.load(tmp_path / "d.json")
    fixes = found.fix(steps=4000)
    assert fixes
    assert {f["stage"] for f in found.to_dict()["fixes"]} == {"slow"}


def test_the_study_ends_behind_what_is_asked_for(monkeypatch: Any) -> None:
    made: list[cr.Trainer] = []

    def run(experiment: Experiment) -> dict[str, Any]:
        trainer, data, given = examples.example()
        made.append(trainer)
        experiment.fit("slow", trainer, data, **given)
        made.append(trainer)
        return {}

    study(run, monkeypatch)
    assert "ended behind" in str(diagnosing.diagnosed("own", stages=1))
    assert len(made) == 1  # it was not trained, and the study did not go on
    assert not made[0].optimizer.steps
    study(two_stages, monkeypatch)
    found = diagnosing.diagnosed("own", stages=1)
    assert isinstance(found, StudyDiagnosis)
    assert [*found.stages] == ["slow"]
    assert "ended behind its first stage" in str(found)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loop_that_ends_without_numbers_keeps_what_was_seen(monkeypatch: Any) -> None:
    def run(experiment: Experiment) -> dict[str, Any]:
        line = Line(lr=1e30)
        for _ in experiment.steps("line", 50, **line.state):
            line.step()
        return {}

    study(run, monkeypatch)
    found = diagnosing.diagnosed("own")
    assert isinstance(found, StudyDiagnosis)
    assert "weights-not-finite" in codes(found.stages["line"])
    assert "The study ended there" in str(found)


def test_a_study_without_stages_is_not_called_healthy(monkeypatch: Any) -> None:
    study(lambda experiment: {"end": 1.0}, monkeypatch)
    assert str(diagnosing.diagnosed("own")).startswith("Not known: own has no stage")


def test_what_a_study_raises_is_raised(monkeypatch: Any) -> None:
    def run(experiment: Experiment) -> dict[str, Any]:
        raise NonFiniteError("none", expected="some", got="NaN")

    study(run, monkeypatch)
    with pytest.raises(NonFiniteError, match="none"):
        diagnosing.diagnosed("own")


def test_ctrl_c_keeps_what_was_seen(monkeypatch: Any) -> None:
    def run(experiment: Experiment) -> dict[str, Any]:
        line = Line()
        for step in experiment.steps("line", 50, **line.state):
            line.step()
            if step == 9:
                raise KeyboardInterrupt
        return {}

    study(run, monkeypatch)
    found = diagnosing.diagnosed("own")
    assert isinstance(found, StudyDiagnosis)
    assert found.interrupted
    assert "the loop ended after 9 of 50 steps" in str(found)


def test_options_of_a_study_for_something_else() -> None:
    options: list[dict[str, Any]] = [{"full": True}, {"stages": 2}]
    for given in options:
        with pytest.raises(ArgumentError, match="is no study"):
            diagnosing.diagnosed("mnist", **given)


@pytest.mark.slow
def test_a_game_of_two_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["doctor", "gan", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["healthy"] is True
    assert [*found["stages"]] == ["judge", "game"]
    assert "loss" in found["stages"]["game"]["not_examined"]
    assert "examining judge" in said.err
