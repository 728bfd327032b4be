"""Zeros, and numbers of few digits: what is wrong is wrong, what is right is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import chainrule as cr
from chainrule import nn, optim

#: Those that divide by the size of the gradient: the first step is η.
OPTIMIZERS = (
    optim.Adam(lr=0.1),
    optim.AdamW(lr=0.1, weight_decay=0.0),
    optim.RMSprop(lr=0.1, alpha=0.0),
    optim.Adagrad(lr=0.1),
)
by_size = pytest.mark.parametrize(
    "optimizer", OPTIMIZERS, ids=[type(o).__name__ for o in OPTIMIZERS]
)


def unit(activation: nn.Module, W: list[float], b: float) -> nn.Module:
    """One neuron."""
    made = nn.Sequential(nn.Linear(len(W), 1, dtype="float64"), activation)
    made.load_state_dict({"0.weight": [W], "0.bias": [b]})
    return made


def dead(answers: Any, optimizer: optim.RuleOptimizer) -> Any:
    """A neuron that does not fire: z = −8, and all gradients are 0."""
    model = unit(nn.ReLU(), [1, 2], -9)
    x, y = [0.5, 0.25], [1.0]
    return cr.check_work(model, x, y, "half_squared", answers, optimizer)


# -- gradients that are 0 --------------------------------------------------------------


@pytest.mark.one_in(3)
@by_size
@pytest.mark.parametrize("zeros", [{}, {"delta1": "0.0000", "dW1": [["0.0000"] * 2]}])
def test_no_gradient_no_step(optimizer: Any, zeros: dict[str, Any]) -> None:
    wrong = {"W1": [["1.190", "2.150"]]}
    assert dead(zeros | wrong, optimizer).first == "W1"
    right = {"W1": [["1.000", "2.000"]]}
    assert dead(zeros | right, optimizer).ok


@by_size
def test_an_input_of_0_moves_no_weight(optimizer: Any) -> None:
    model = unit(nn.ReLU(), [1, 2], 1)
    statuses = []
    for first in ("1.0700", "1.0000"):
        sheet = {"z1": "1.5000", "W1": [[first, "1.9000"]]}
        report = cr.check_work(model, [0, 0.25], [1], "half_squared", sheet, optimizer)
        statuses.append(report["W1"].status)
    assert statuses == ["wrong", "right"]


# -- digits and decimals ---------------------------------------------------------------


def test_small_squares_say_nothing_about_the_decimals_of_a_sheet() -> None:
    """δ⁽¹⁾ = −0.00044 is carried on as −0.0004; v = 1.000e-5 has 8 decimals."""
    model = nn.Sequential(
        nn.Linear(1, 1, dtype="float64"), nn.Linear(1, 1, dtype="float64")
    )
    weights = {"0.weight": [[0.004]], "1.weight": [[0.00044]]}
    model.load_state_dict(weights | {"0.bias": [0.0], "1.bias": [0.0]})
    sheet = {"delta2": "-1.0000", "dW1": "-0.1000", "vW1": "1.000e-05"}
    optimizer = optim.Adam(lr=0.1)
    for given in ({"dW1": "-0.1000"}, sheet):
        report = cr.check_work(
            model, [250.0], [1.00044], "half_squared", given, optimizer
        )
        assert report.ok, report.text()


# -- what comes after an answer of few digits ------------------------------------------


def test_what_is_open_from_wrong_numbers_is_not_right() -> None:
    """σ(0.6) is 0.6 as far as it goes; the right σ(1) = 0.7311 is not."""
    model = unit(nn.Sigmoid(), [1.0], 0.0)
    sheet = {"z1": "0.6", "a1": "0.6", "delta1": "-0.052867"}
    report = cr.check_work(model, [1.0], [1.0], "half_squared", sheet)
    mark = report["a1"]
    assert (mark.status, mark.since, mark.slips) == ("wrong", (), ())
    assert mark.remarks == ("copied",)
    assert report["delta1"].status == "right"


def one_sigmoid(answers: dict[str, Any]) -> Any:
    """δ = −0.142253, and a slip comes to −0.14 as well."""
    model = unit(nn.Sigmoid(), [0.5], -0.5)
    return cr.check_work(model, [0.3], [1.0], "half_squared", answers)


def test_what_follows_from_an_answer_that_is_right_after_all_is_right() -> None:
    report = one_sigmoid({"delta1": "-0.14", "dW1": "-0.042", "db1": "-0.1423"})
    assert [mark.status for mark in report.marks] == ["right"] * 3
    assert (report["dW1"].since, report.ok) == ((), True)


def test_the_verdict_counts_what_is_open_and_what_follows() -> None:
    open_ = {"delta1": "-0.14"}
    report = one_sigmoid(open_ | {"dW1": "-0.0420"})
    statuses = [mark.status for mark in report.marks]
    assert statuses == ["open", "consequence"]
    assert "1 of too few digits to tell, and the others" in report.verdict()
    assert "the others have too few digits" in one_sigmoid(open_).verdict()
    report = one_sigmoid(open_ | {"db1": "0.9"})
    assert "0 of 2 answers are right, 1 of too few" in report.verdict()
    assert report.verdict().endswith("The first wrong one is ∂ℒ/∂b⁽¹⁾.")


def test_an_open_answer_keeps_its_remarks() -> None:
    report = one_sigmoid({"delta1": "-0.14"})
    marks = tuple(replace(mark, remarks=("per_sample",)) for mark in report.marks)
    told = replace(report, marks=marks).text()
    assert "too few digits to tell" in told
    assert "the 1/n comes later" in told


# -- right to few digits ---------------------------------------------------------------


@pytest.mark.parametrize("given", [["1.1", "1.9"], ["1.1", "2.0"], ["0.9", "1.9"]])
def test_a_whole_unit_of_the_last_digit_is_no_rounding(given: list[str]) -> None:
    assert dead({"W1": [given]}, optim.SGD(lr=0.1)).first == "W1"


@pytest.mark.parametrize(
    ("z", "status"),
    [("7.3", "right"), ("7.4", "right"), ("7.2", "wrong"), ("7.5", "wrong")],
)
def test_two_digits_are_rounded_or_cut_off(z: str, status: str) -> None:
    model = unit(nn.Identity(), [1.0], 0.378)
    assert cr.check_work(model, [7.0], [1.0], "mse", {"z1": z})["z1"].status == status
