"""Slips that a student made are found, by a marker that has never seen the student."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.book.derivation import derive
from chainrule.book.derivation.formulas import split
from chainrule.book.derivation.network import parse
from chainrule.book.marking import MISCONCEPTIONS
from chainrule.book.marking.misconceptions import slips_of
from chainrule.book.marking.place import Place
from chainrule.book.marking.steps import step_of
from tests.book.marking.conftest import marked
from tests.book.marking.student import (
    KINDS,
    LOSSES,
    Student,
    named,
    planted,
    task,
)


def sheet(student: Student) -> dict[str, Any]:
    """Answers up to the slip and two that follow, without logarithms of −1."""
    keys = list(student.answers)
    last = keys.index(student.key) + 2
    answers = {key: student.answers[key] for key in keys[: last + 1]}
    return {key: v for key, v in answers.items() if np.isfinite(v).all()}


def one_of_each(rng: np.random.Generator, students: list[Student]) -> list[Student]:
    """One student for each kind of slip, at some layer."""
    order = rng.permutation(len(students))
    chosen = {(students[i].key.rstrip("1234"), students[i].slip): i for i in order}
    return [students[i] for i in sorted(chosen.values())]


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_the_first_wrong_answer_and_its_slip(loss: str) -> None:
    seed = LOSSES.index(loss)
    _all_are_found(seed, loss, 1 + seed % 2 * 2, every=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(15))
def test_many_wrong_answers_and_their_slips(seed: int) -> None:
    _all_are_found(seed, LOSSES[seed % 5], 1 + seed // 5 % 2 * 2)


def _all_are_found(seed: int, loss: str, n: int, *, every: int = 1) -> None:
    rng = np.random.default_rng(seed)
    made = task(rng, loss=loss, n=n, depth=2 + seed % 3, square=seed % 2 == 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        students = one_of_each(rng, list(planted(made)))
    assert len(students) > 20
    missed: list[str] = []
    for student in students[::every]:
        report = marked(made, sheet(student))
        assert report.first == student.key, (student.key, student.slip)
        names = [found.name for found in report[student.key].slips]
        if named(student.slip) not in names:
            missed.append(f"{student.key} {student.slip}: {names}")
    assert not missed


@pytest.mark.parametrize(
    ("digits", "every"),
    [(4, 4), *(pytest.param(n, 1, marks=pytest.mark.slow) for n in (3, 4))],
)
def test_slips_of_students_who_round(digits: int, every: int) -> None:
    rng = np.random.default_rng(digits)
    made = task(rng, loss="half_squared", depth=2)
    students = one_of_each(rng, list(planted(made, digits)))[::every]
    missed = 0
    for student in students:
        report = marked(made, sheet(student))
        assert report.first == student.key
        names = [found.name for found in report[student.key].slips]
        missed += named(student.slip) not in names
    assert missed <= len(students) // 20


def test_every_kind_of_slip_is_planted_somewhere() -> None:
    seen: set[tuple[str, str]] = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        loss = LOSSES[seed % 5]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            for student in planted(
                task(rng, loss=loss, n=1 + seed % 2 * 2, square=seed > 4)
            ):
                seen.add((student.key.rstrip("1234"), student.slip))
    wanted = {(kind, slip) for kind, slips in KINDS.items() for slip in slips}
    assert wanted == seen


def test_every_misconception_can_happen_somewhere() -> None:
    seen: set[str] = set()
    pairs = [
        ("3-3sigmoid-3tanh-3softmax", "cross_entropy"),
        ("2-2relu-1sigmoid", "binary_cross_entropy"),
        ("2-2-2sigmoid", "mse"),
    ]
    for spec, loss in pairs:
        for batch in (False, True):
            formulas = derive(spec, loss, batch=batch).formulas
            for k in formulas.network.layers:
                for kind in ("z", "a", "delta", "dW", "db", "W", "b", "loss"):
                    place = Place(formulas, kind, 0 if kind == "loss" else k)
                    seen |= {slip.name for slip in slips_of(place)}
    for optimizer in (
        optim.AdamW(),
        optim.RMSprop(weight_decay=0.1),
        optim.SGD(lr=0.1, momentum=0.9, nesterov=True),
    ):
        formulas = derive("2-2").formulas
        step = step_of(formulas.network.module(), formulas, optimizer)
        formulas = replace(formulas, steps=step.equations)
        for key in formulas.updates:
            seen |= {s.name for s in slips_of(Place(formulas, *split(key)))}
    fitted = {"other_rate", "factor"}  # of numbers that only the answers tell
    assert seen == set(MISCONCEPTIONS) - fitted


def test_no_slip_is_the_right_formula() -> None:
    """Where a slip would give the right numbers it is never reported."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        made = task(rng, loss=LOSSES[seed % 5], n=1 + seed % 2)
        assert marked(made, Student(made).answers).ok


# -- where not everything is given -----------------------------------------------------


def two_layers() -> Any:
    return task(np.random.default_rng(5), loss="half_squared", depth=2)


def test_a_slip_in_what_was_not_written_down() -> None:
    made = two_layers()
    student = Student(made, "bias_forgotten", "z1")
    report = marked(made, {k: student.answers[k] for k in ("a1", "z2", "delta1")})
    assert report.first == "a1"
    (found,) = report["a1"].slips
    assert (found.message(), found.key) == ("b⁽¹⁾ is missing", "z1")
    assert report["z2"].status == report["delta1"].status == "consequence"
    assert "z⁽¹⁾" in report.text()


def test_gradients_alone() -> None:
    made = two_layers()
    student = Student(made, "slope_forgotten", "delta1")
    report = marked(made, {k: student.answers[k] for k in ("dW1", "db1", "dW2")})
    assert report.first == "dW1"
    found = {(f.message(), f.key) for f in report["dW1"].slips}
    assert ("f′ is missing", "delta1") in found
    assert report["db1"].status == "consequence"
    assert report["dW2"].status == "right"


def test_a_slip_is_not_looked_for_where_the_next_answer_says_it_was_not() -> None:
    made = two_layers()
    answers = Student(made).answers
    given = {"dW1": -answers["dW1"], "db1": answers["db1"], "b1": answers["b1"]}
    given["W1"] = made.parameters["W1"] + made.lr * answers["dW1"]
    report = marked(made, given)
    assert report.first == "dW1"
    assert [report[k].status for k in ("db1", "b1")] == ["right", "right"]
    assert report["W1"].since == ("dW1",)


def test_follow_on_marks_name_what_they_follow_from() -> None:
    made = two_layers()
    student = Student(made, "sign", "delta2")
    report = marked(made, student.answers)
    assert report["dW2"].since == ("delta2",)
    assert report["delta1"].since == ("delta2",)
    assert report["dW1"].since == ("delta1",)
    assert report["W1"].since == ("dW1",)
    assert report["z2"].status == "right"


def test_two_slips_are_both_found() -> None:
    made = two_layers()
    answers = Student(made, "bias_forgotten", "z1").answers
    answers = dict(answers, delta1=-answers["delta1"])
    report = marked(
        made,
        {
            k: answers[k]
            for k in answers
            if k[:2] not in ("dW", "db") and k not in ("W1", "b1", "W2", "b2")
        },
    )
    assert [m.key for m in report.marks if m.status == "wrong"] == ["z1", "delta1"]
    assert report["delta1"].slips[0].name == "sign"


def test_what_is_copied_wrong() -> None:
    made = two_layers()
    answers = Student(made).answers
    wrong = dict(answers, z1=answers["z1"] + 0.7)
    report = marked(made, wrong)
    assert [m.key for m in report.marks if m.status != "right"] == ["z1"]
    assert report["z1"].remarks == ("copied",)


def test_an_unknown_slip_is_no_slip() -> None:
    made = two_layers()
    answers = Student(made).answers
    odd = np.random.default_rng(0).normal(size=answers["delta1"].shape)
    report = marked(made, {"delta1": odd})
    assert report["delta1"].slips == ()
    assert "No usual slip" in report.text()


def test_a_common_factor() -> None:
    made = two_layers()
    answers = Student(made).answers
    report = marked(made, {"delta1": 0.3 * answers["delta1"]})
    (found,) = report["delta1"].slips
    assert found.name == "factor"
    assert "0.3" in found.message()


def test_another_rate_is_named() -> None:
    made = two_layers()
    report = marked(made, Student(made, "other_rate", "W2").answers)
    (found,) = report["W2"].slips
    assert found.message() == "another η: 0.37 in place of 0.1"


def test_without_a_rate_slips_that_need_one_are_left_out() -> None:
    from tests.book.marking.conftest import model_of

    made = two_layers()
    answers = Student(made, "sign", "delta1").answers
    given = {k: v for k, v in answers.items() if k[0] in "zad"}
    report = cr.check_work(model_of(made), made.x[0], made.y, made.loss, given)
    assert report.first == "delta1"


# -- how much is worked out ------------------------------------------------------------


def test_the_search_works_out_no_more_than_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six layers, and all between x and the old W1 is open: 124,000 formulas once."""
    from chainrule.book.marking import rounding

    many = 0

    def counted(*arguments: Any) -> Any:
        nonlocal many
        many += 1
        return computed(*arguments)

    computed = rounding.computed
    monkeypatch.setattr(rounding, "computed", counted)
    network = parse("3-4tanh-4tanh-4tanh-4tanh-4tanh-3softmax")
    model, rng = network.module(), np.random.default_rng(3)
    state = {
        k: rng.normal(size=v.shape).round(1) for k, v in model.state_dict().items()
    }
    model.load_state_dict(state)
    x, old = rng.normal(size=3).round(1), {"W1": state["0.weight"] + 0.001}
    report = cr.check_work(model, x, 1, "cross_entropy", old, lr=0.1)
    assert report.first == "W1"
    assert many < 40_000


def test_what_follows_from_a_slip_is_not_all_that_comes_after_it() -> None:
    """dW2 and W2 do not depend on δ1, though they are worked out behind it."""
    made = two_layers()
    student = Student(made, "slope_forgotten", "delta1")
    other = {"W2": student.answers["W2"] + 0.5}
    report = marked(made, {"dW1": student.answers["dW1"]} | other)
    assert report["W2"].since == ()
