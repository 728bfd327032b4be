"""The search of fixes: what goes together, what it costs, what it leaves alone."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import (
    Case,
    Change,
    Diagnosis,
    changes,
    examples,
    initialising,
    rebuilding,
    space,
)
from chainrule.doctor.fixes import Search
from chainrule.doctor.setup import Run, as_drawn, run
from chainrule.errors import ArgumentError


def diagnosed(*args: Any, **given: Any) -> Diagnosis:
    trainer, data, more = examples.example(*args, **given)
    return cr.diagnose(trainer, data, **more)


def two() -> Diagnosis:
    """Two things are wrong: the weights and the rate."""
    model = examples.spread(examples.mlp(depth=6), 0.0003)
    return diagnosed(model, epochs=15, optimizer=optim.SGD(lr=1e-4))


@pytest.mark.parametrize(
    "limits", [(0, 300), pytest.param((3000, 12000), marks=pytest.mark.slow)]
)
def test_a_search_keeps_its_limit(limits: tuple[int, ...]) -> None:
    found = two()
    assert found.case is not None
    for limit in limits:
        search = Search(found.case, found.findings, limit)
        search.run()
        assert search.spent.steps <= limit
        for fix in search.fixes():
            assert len(fix.comparison.after) == len(fix.comparison.before)


def test_two_things_that_are_wrong_are_mended_together() -> None:
    found = two()
    best = found.fix()[0]
    assert best.comparison.gain > 0.3
    assert len(best.comparison.after) == 5
    slots = {slot for change in best.changes for slot in change.slots}
    assert "rate" in slots
    assert slots & {"weights", "width"}  # wider layers have weights drawn anew
    document = best.to_dict()
    assert len(document["changes"]) == len(best.changes) > 1
    assert document["diff"] == "\n".join(document["changes"])


def test_what_a_search_costs_is_said() -> None:
    found = two()
    found.fix()
    assert found.search is not None
    spent = found.to_dict()["search"]
    assert spent["runs"] > spent["whole"] > 0
    assert 0 < spent["steps"] <= spent["limit"]
    assert spent["seconds"] > 0
    assert f"{spent['steps']:,} training steps" in str(found)
    assert f"{spent['steps']:,} training steps" in found.to_html()


@pytest.mark.slow
def test_a_limit_of_steps_is_kept() -> None:
    found = two()
    found.fix(steps=200)
    assert found.search is not None
    once = found.case.prepared().steps  # type: ignore[union-attr]
    # Measuring over seeds comes on top: of the leaders, and of what was.
    assert found.search.steps <= 200 + 8 * once
    with pytest.raises(ArgumentError):
        found.fix(steps=0)


def test_a_healthy_run_is_left_alone() -> None:
    found = diagnosed()
    assert found.fix() == []
    assert found.search is None


@pytest.mark.slow
def test_the_same_seed_finds_the_same_fixes() -> None:
    first, second = two(), two()
    for found in (first, second):
        found.fix()
    assert [f.to_dict() for f in first.fixes] == [f.to_dict() for f in second.fixes]


def test_what_does_not_help_is_left_out() -> None:
    best = diagnosed(optimizer=optim.SGD(lr=100.0)).fix()[0]
    assert len(best.changes) == 1
    assert best.finding == "learning-rate-too-large"


def test_a_training_that_is_refused_is_mended() -> None:
    rows = examples.binary(examples.moons())
    found = diagnosed(examples.mlp(2, 1), rows, loss=nn.BCELoss())
    best = found.fix()[0]
    assert any("BCEWithLogitsLoss" in c.after for c in best.changes)
    assert best.comparison.gain > 0.3


def test_what_cannot_be_mended_has_no_fix() -> None:
    data = Dataset(np.eye(3)[:3], np.arange(3) % 2, classes=2)
    assert isinstance(diagnosed(examples.mlp(3), data, epochs=5).fix(), list)
    assert diagnosed(loss=lambda p, t: 1 / 0).fix() == []
    assert diagnosed(rows=(np.array([["a"]]), [1])).fix() == []


# -- changes together ------------------------------------------------------------------


def change(after: str, *slots: str) -> Change:
    return Change("", "", after, lambda setup: setup.append(after), slots=slots)


def test_changes_that_exclude_each_other_are_not_made_together() -> None:
    low, high = change("low", "rate"), change("high", "rate")
    adam, weights = change("adam", "optimizer", "rate"), change("he", "weights")
    assert changes.compatible([low, high, weights]) == (weights, low)
    assert changes.compatible([adam, low, weights]) == (weights, adam)
    made: list[str] = []
    changes.together(changes.compatible([low, weights])).apply(made)
    assert made == ["he", "low"]


@pytest.mark.parametrize(
    "make",
    [
        lambda s: changes.rate_times(s, 0.1),
        lambda s: changes.optimizer(s, lambda: optim.SGD(lr=0.2)),
        lambda s: changes.clipped(s),
        lambda s: initialising.variance(s, relu=True),
        lambda s: changes.activation(s, ["1", "3"], nn.Tanh, "x"),
        lambda s: changes.between(s, ["0"]),
        lambda s: changes.loss(s, nn.CrossEntropyLoss, "x"),
        lambda s: changes.standardised(s),
        lambda s: changes.plan(s, "x", batch_size=8),
        lambda s: changes.option(s, "weight_decay", 0.1, "x"),
        lambda s: changes.targets_shaped(s, ()),
        lambda s: rebuilding.wider(s),
    ],
)
def test_each_change_says_what_it_decides_on_and_goes_with_the_others(
    make: Any,
) -> None:
    trainer, data, given = examples.example(epochs=1)
    setup = Case(trainer, data, **given).setup
    one = make(setup)
    assert one.slots
    rest = [
        initialising.variance(setup, relu=True),
        changes.between(setup, ["2"]),
        changes.clipped(setup),
        changes.optimizer(setup, lambda: optim.AdamW(lr=0.01)),
        changes.standardised(setup),
    ]
    copy = setup.copy()
    changes.together(changes.compatible([one, *rest])).apply(copy)
    assert run(copy).error is None
    assert repr(setup.optimizer) == repr(trainer.optimizer)


def test_every_change_that_a_symptom_makes_says_what_it_decides_on() -> None:
    """Without slots a search makes together what excludes each other."""
    folder = Path(cr.__file__).parent / "doctor"
    made = [
        call
        for path in folder.rglob("*.py")
        if path.name != "saving.py"  # of a file, which is not searched
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Change"
    ]
    assert len(made) > 15
    for call in made:
        named = any(keyword.arg == "slots" for keyword in call.keywords)
        assert named or len(call.args) > 5, ast.unparse(call)


def test_usual_remedies_name_the_component_that_they_mend() -> None:
    layers = [nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Dropout(0.9)]
    trainer, data, given = examples.example(
        nn.Sequential(*layers, nn.Linear(8, 2)),
        (np.asarray(examples.moons().x[:]) * 50, examples.moons().y),
        optimizer=optim.SGD(lr=0.1, weight_decay=0.1),
        batch_size=128,
    )
    case = Case(trainer, data, **given)
    found = {space.component(case.setup, c): c for c in space.usual(case)}
    assert found.keys() == set(space.MENDS.values())
    assert found["regularisation"].after == "4: nn.Identity()"
    assert found["activation"].after.startswith("1: nn.LeakyReLU")


def test_a_run_in_parts_is_the_run_in_one() -> None:
    trainer, data, given = examples.example(epochs=9)
    case = Case(trainer, data, **given)
    parts, whole = Run(case.prepared()), Run(case.prepared())
    for share in (1 / 9, 1 / 3, 1.0):
        parts.to(share)
    whole.to(1.0)
    assert parts.over
    assert len(whole.record.rows) == whole.record.setup.epochs
    np.testing.assert_array_equal(parts.record.losses, whole.record.losses)


def test_weights_are_drawn_anew_where_they_look_drawn() -> None:
    drawn = examples.mlp(width=32)
    assert as_drawn(drawn) >= {"0", "2"}
    assert "2" not in as_drawn(examples.spread(examples.mlp(width=32), 0.001))
    constant = examples.mlp(width=32)
    nn.init.constant_(constant[2].weight, 0.1)
    assert "2" not in as_drawn(constant)
    dead = examples.mlp(width=32)
    nn.init.constant_(dead[0].bias, -6.0)
    assert "0" not in as_drawn(dead)

    class Own(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(cr.ones(2, 2))

    assert as_drawn(Own()) == frozenset()
