"""``chainrule explain`` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from tests.cli import data
from tests.cli.conftest import SMALL, one_message

QUICK = ["--engine", "numpy", "--epochs", "2"]


def test_a_run(chainrule: Any) -> None:
    """Its next update, as text; one number of a batch, as JSON."""
    assert chainrule("train", "mnist", *SMALL, "--out", "digits").code == 0
    told = chainrule("explain", "digits", "--row", 3, "--layer", 3)
    assert told.code == 0
    assert "z⁽³⁾ = W⁽³⁾ a⁽²⁾ + b⁽³⁾" in told.out
    assert "z⁽²⁾ =" not in told.out
    assert "── update" in told.out
    trainer = cr.Trainer.load("digits")
    _, test = cr.data.mnist()
    x, y = test.x[[0, 5]], test.y[[0, 5]]
    explanation = cr.explain(trainer.model, x, y, trainer.loss)
    rows, element = ["--row", 0, "--row", 5], ["--element", "4.weight", "7,1"]
    told = chainrule("explain", "digits", *rows, *element, "--json").json
    own = float(explanation["4.weight"].grad[7, 1])
    assert told["own"] == [own, "float32"]
    assert told["gradient"] == explanation.exact["4.weight"].grad[7, 1]


@pytest.mark.parametrize(
    ("form", "part"), [("md", "$$"), ("latex", "\\documentclass"), ("html", "<math")]
)
def test_documents(chainrule: Any, form: str, part: str) -> None:
    told = chainrule("explain", "mnist", "--layer", 3, "--format", form)
    assert told.code == 0
    assert part in told.out


def test_an_untrained_recipe_in_chinese(chainrule: Any) -> None:
    told = chainrule("explain", "lenet", "--layer", 5, "--lang", "zh-TW")
    assert told.code == 0
    assert "反向" in told.out


def test_a_study_of_several_networks(chainrule: Any) -> None:
    """The first is shown, and the others are named; each may be asked for."""
    told = chainrule("explain", "algorithm1")
    assert told.code == 0
    assert "z⁽²⁾ = W⁽²⁾ a⁽¹⁾ + b⁽²⁾" in told.out
    assert "--network 3.2.3" in told.err
    told = chainrule("explain", "algorithm1", "--network", "3.2.3", "--layer", 3)
    assert "z⁽³⁾ = W⁽³⁾ a⁽²⁾ + b⁽³⁾" in told.out


def test_a_table_of_the_users(chainrule: Any) -> None:
    data.houses(Path("houses.csv"))
    assert chainrule("new", "h.toml", "--data", "houses.csv").code == 0
    trained = chainrule("train", "h.toml", *QUICK, "--out", "houses")
    assert trained.code == 0, trained.err
    told = chainrule("explain", "houses", "houses.csv", "--row", 2)
    assert told.code == 0, told.err
    assert "z⁽¹⁾" in told.out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["mnist", "--row", 10_000], "There is no row 10000"),
        (["q-learning"], "has no network"),
        (["two-two-one", "--network", "netwrk"], "has no network 'netwrk'"),
        (["mnist", "--network", "netwrk"], "mnist has one network"),
        (["xor", "data.csv"], "on its own data"),
        (["mnist", "data.csv"], "on its own data"),
        (["mnist", "--element", "4.weight", "1;2"], "whole numbers"),
        (["mnist", "--element", "4.weight", "10,0"], "no such element"),
        (["mnist", "--element", "9.weight", "0,0"], "Nothing here is called"),
        (["mnist", "--layer", "4"], "There is no layer"),
        (["mnist", "--composite", "sofmax"], "no composite"),
        (["nowhere"], "cannot be read"),
    ],
)
def test_refusals(chainrule: Any, given: list[Any], words: str) -> None:
    one_message(chainrule("explain", *given), 2, words)
