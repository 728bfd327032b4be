"""Right answers are right, however they were rounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.book.marking.written import read
from chainrule.text.languages import language
from tests.book.marking.conftest import marked, model_of
from tests.book.marking.student import Student, Task, rounded, task

NAMES = ("", "sigmoid", "tanh", "relu", "leakyrelu", "gelu")


def at_the_end(made: Task, digits: int, rng: np.random.Generator) -> dict[str, Any]:
    return {k: rounded(v, digits) for k, v in Student(made).answers.items()}


def at_every_step(made: Task, digits: int, rng: np.random.Generator) -> dict[str, Any]:
    return Student(made, digits=digits).answers


def only_some(made: Task, digits: int, rng: np.random.Generator) -> dict[str, Any]:
    answers = Student(made, digits=digits).answers
    kept = {key: v for key, v in answers.items() if rng.random() < 0.4}
    return kept or answers


def to_decimals(made: Task, digits: int, rng: np.random.Generator) -> dict[str, Any]:
    return {k: np.round(v, digits) for k, v in Student(made).answers.items()}


def as_text(made: Task, digits: int, rng: np.random.Generator) -> dict[str, Any]:
    def written(v: Any) -> Any:
        return [written(item) for item in v] if np.ndim(v) else f"{v:#.{digits}g}"

    return {k: written(v) for k, v in Student(made).answers.items()}


WAYS = (at_the_end, at_every_step, only_some, to_decimals, as_text)


slow = pytest.mark.slow


@pytest.mark.parametrize("digits", [3, *(pytest.param(n, marks=slow) for n in (4, 6))])
def test_right_answers_are_never_called_wrong(digits: int) -> None:
    for seed in range(2 * len(WAYS)):
        rng = np.random.default_rng(1000 * digits + seed)
        made = task(rng, n=1 + seed % 2 * 2, names=NAMES)
        with np.errstate(all="ignore"):
            answers = WAYS[seed % len(WAYS)](made, digits, rng)
        answers = {k: v for k, v in answers.items() if "nan" not in str(v)}
        report = marked(made, answers)
        assert report.ok, (seed, report.text())


@pytest.mark.slow
def test_right_answers_of_many_networks() -> None:
    for seed in range(15):
        rng = np.random.default_rng(seed)
        made = task(rng, n=1 + seed % 2 * 2, names=NAMES)
        for digits in (3, 4, 6):
            for way in WAYS:
                with np.errstate(all="ignore"):
                    answers = way(made, digits, rng)
                answers = {k: v for k, v in answers.items() if "nan" not in str(v)}
                report = marked(made, answers)
                assert report.ok, (seed, digits, way, report.text())


def test_numbers_of_float32_are_right() -> None:
    made = task(np.random.default_rng(1), loss="mse", depth=3)
    answers = Student(made).answers
    short = {k: np.asarray(v, np.float32).tolist() for k, v in answers.items()}
    assert marked(made, short).ok


def marked_in(lang: str, made: Task, answers: dict[str, Any]) -> str:
    with language(lang):
        return marked(made, answers).text()


def sigmoid_task() -> tuple[Task, dict[str, Any]]:
    made = task(np.random.default_rng(2), loss="binary_cross_entropy", depth=2)
    return made, Student(made).answers


@pytest.mark.parametrize(
    ("off", "ok"), [(0.0, True), (0.4, True), (0.6, False), (-0.6, False)]
)
def test_half_of_the_last_digit_is_allowed_and_no_more(off: float, ok: bool) -> None:
    made, answers = sigmoid_task()
    right = answers["a1"]
    step = 10.0 ** (np.floor(np.log10(np.abs(right))) - 5)
    near = np.array([float(f"{v:.5e}") for v in (right + off * step).ravel()])
    shifted = np.array([float(f"{v:.5e}") for v in right.ravel()])
    # A whole step of the sixth digit away from the rounded one is too far.
    given = near if ok else shifted + np.sign(off) * 2 * step.ravel()
    report = marked(made, {"a1": given})
    assert (report["a1"].status == "right") == (ok or report["a1"].remarks != ())


def test_few_digits_are_right_with_a_remark() -> None:
    made, answers = sigmoid_task()
    short = [f"{v:.2g}" for v in answers["a1"].ravel()]
    report = marked(made, {"a1": short})
    assert report.ok
    assert report["a1"].remarks == ("short",)
    assert "too few digits" in report.text()


def two_digits(values: Any) -> list[Any]:
    return [[f"{v:.2g}" for v in row] for row in np.atleast_2d(values)]


def test_too_few_digits_to_tell_a_step_from_none() -> None:
    """The old weights have two digits, and the step is shorter than that."""
    made, _ = sigmoid_task()
    old = {key: np.round(v, 1) for key, v in made.parameters.items()}
    longest = np.abs(Student(replace(made, parameters=old)).answers["dW2"]).max()
    made = replace(made, parameters=old, lr=0.01 / longest)
    answers = Student(made).answers
    report = marked(made, answers | {"W2": two_digits(old["W2"])})
    mark = report["W2"]
    assert (mark.status, mark.slips[0].name) == ("open", "old_for_new")
    assert (report.ok, report.first) == (False, None)
    assert "too few digits to tell" in report.text()
    assert "位數太少" in marked_in("zh-TW", made, {"W2": two_digits(old["W2"])})
    exact = [[f"{v:.6f}" for v in row] for row in old["W2"]]
    assert marked(made, answers | {"W2": exact}).first == "W2"


def test_what_comes_after_it_settles_what_was_open() -> None:
    made, answers = sigmoid_task()
    z = answers["z1"]
    wrong = Student(made, "bias_forgotten", "z1").answers["z1"]
    biases = np.sign(z) * 0.004 * np.abs(z)
    made = replace(made, parameters=made.parameters | {"b1": biases.ravel()})
    answers = Student(made).answers
    wrong = Student(made, "bias_forgotten", "z1").answers["z1"]
    short = [f"{v:.2g}" for v in answers["z1"].ravel()]
    if short != [f"{v:.2g}" for v in wrong.ravel()]:
        pytest.fail("the bias is too large for this test")
    alone = marked(made, {"z1": short})
    assert alone["z1"].status in ("open", "right")
    both = marked(made, {"z1": short, "a1": answers["a1"]})
    assert both.ok, both.text()
    slipped = Student(made, "bias_forgotten", "z1").answers["a1"]
    assert marked(made, {"z1": short, "a1": slipped})["a1"].status != "right"


def test_digits_that_were_cut_off() -> None:
    made, answers = sigmoid_task()
    cut = [str(v)[: str(v).index(".") + 5] for v in answers["a1"].ravel()]
    assert marked(made, {"a1": cut}).ok


def test_one_digit_off_is_wrong() -> None:
    made, answers = sigmoid_task()
    first = [f"{v:.4f}" for v in answers["a1"].ravel()]
    first[0] = f"{float(first[0]) + 0.01:.4f}"
    assert not marked(made, {"a1": first}).ok


@pytest.mark.parametrize(
    ("text", "value", "digits", "decimals"),
    [
        ("0.0730", 0.073, 3, 4),
        ("\N{MINUS SIGN}1.5e-3", -0.0015, 2, 4),
        ("\N{EN DASH}0.25", -0.25, 2, 2),
        ("12", 12.0, 2, 0),
        (".5", 0.5, 1, 1),
        ("1/3", 1 / 3, 99, 99),
        ("0.000", 0.0, 0, 3),
        (np.float32(0.1), 0.1, 1, 1),
        (3, 3.0, 1, 0),
    ],
)
def test_digits_as_written(text: Any, value: float, digits: int, decimals: int) -> None:
    found = read("z1", text)
    assert found is not None
    assert found.values == pytest.approx(value)
    assert (found.digits.item(), found.decimals.item()) == (digits, decimals)


def test_a_right_sheet_has_no_remarks_in_either_language() -> None:
    made, answers = sigmoid_task()
    model = model_of(made)
    for lang, word in (("en", "All"), ("zh-TW", "全對")):
        report = cr.check_work(
            model, made.x[0], made.y, made.loss, answers, lr=0.1, lang=lang
        )
        assert word in report.text()
