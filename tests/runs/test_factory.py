"""Objects from checked settings: what constructors refuse, and what is only tried."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from chainrule.runs.factory import ProblemError

import chainrule as cr
from chainrule import optim
from chainrule.errors import ArgumentError, ChainruleWarning
from chainrule.runs import factory, file

DATA = 'data.source = "moons"\nmodel.layers = ["Linear"]\n'


class Trusting:
    """Takes its options on trust."""

    def __init__(self, error: Exception) -> None:
        raise error


@pytest.mark.parametrize(
    "error",
    [
        TypeError("odd"),
        ValueError("odd"),
        OverflowError("odd"),
        ZeroDivisionError("odd"),
        KeyError("odd"),
        IndexError("odd"),
        AttributeError("odd"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_whatever_a_constructor_raises_is_a_problem(error: Exception) -> None:
    with pytest.raises(ProblemError) as caught:
        factory.construct(Trusting, {"error": error}, ("loss",))
    problem = caught.value.problem
    assert problem.where == ("loss",)
    assert problem.what == "Trusting does not take these options."
    assert problem.fix is not None
    assert type(error).__name__ in problem.fix


def test_an_error_without_all_four_answers_gets_them() -> None:
    with pytest.raises(ProblemError) as caught:
        factory.construct(Trusting, {"error": ArgumentError("No.")}, ("loss",))
    problem = caught.value.problem
    assert problem.what == "No."
    assert None not in (problem.expected, problem.got, problem.fix)


def test_what_is_tried_draws_no_numbers_and_warns_of_nothing() -> None:
    cr.manual_seed(0)
    expected = cr.uniform(3).tolist()
    cr.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file.parse(f"{DATA}[optimizer]\nlr = -1\n")
    assert cr.uniform(3).tolist() == expected


def test_a_doubtful_learning_rate_is_told_once_the_run_begins() -> None:
    run = file.parse(f"{DATA}[optimizer]\nlr = 0\n")
    with pytest.warns(ChainruleWarning, match="learning rate of 0"):
        factory.optimizer(run["optimizer"], run["schedule"])


@pytest.mark.parametrize(
    ("keys", "made"),
    [
        ("", "Adam(lr=0.001"),
        ("[optimizer]\nlr = 0.5\n", "lr=0.5"),
        ('[optimizer]\nclass = "SGD"\nnesterov = true\nmomentum = 0.9\n', "nesterov"),
        ('[optimizer]\nclass = "Adam"\nbetas = [0.8, 0.9]\n', "0.8"),
    ],
)
def test_optimisers(keys: str, made: str) -> None:
    run = file.parse(DATA + keys)
    assert made in repr(factory.optimizer(run["optimizer"], run["schedule"]))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", optim.Schedule(0.1)),
        ('class = "StepLR"\nstep_size = 3\ngamma = 0.5\n', optim.StepLR(0.1, 3, 0.5)),
        ('class = "OneCycleLR"\ndiv_factor = 5\n', optim.OneCycleLR(0.1, div_factor=5)),
        ("warmup = 5\n", optim.LinearWarmup(optim.Schedule(0.1), 5)),
        (
            'class = "CosineAnnealingLR"\nwarmup = 5\n',
            optim.LinearWarmup(optim.CosineAnnealingLR(0.1), 5),
        ),
        (
            'class = "MultiStepLR"\nmilestones = [2, 4]\n',
            optim.MultiStepLR(0.1, [2, 4]),
        ),
    ],
    ids=str,
)
def test_schedules(keys: str, expected: Any) -> None:
    run = file.parse(f"{DATA}[optimizer]\nlr = 0.1\n[schedule]\n{keys}")
    made = factory.optimizer(run["optimizer"], run["schedule"]).schedule
    assert made.settings() == expected.settings()


def test_callbacks_write_into_the_directory_of_the_run() -> None:
    run = file.parse(
        f'{DATA}[[callbacks]]\nclass = "CSVLogger"\n'
        '[[callbacks]]\nclass = "BestCheckpoint"\npath = "gut/beste.ckpt"\n'
    )
    log, best = (
        factory.callback(i, item, Path("r")) for i, item in enumerate(run["callbacks"])
    )
    assert log.path == Path("r", "log.csv")
    assert best.path == Path("r", "gut", "beste.ckpt")


def test_losses() -> None:
    run = file.parse(
        f'{DATA}[loss]\nclass = "CrossEntropyLoss"\nlabel_smoothing = 0.1\n'
        "weight = [1, 2.5]\n"
    )
    made = factory.loss(run["loss"])
    assert made.label_smoothing == 0.1
    assert made.settings()["weight"] == [1.0, 2.5]
