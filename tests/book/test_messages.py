"""Errors of the textbook, of explanations and of checked gradients, in any language.

``str(error)`` is English. A part that is translated too early would stand in it for
good, in the language that was in use then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import book, nn, optim
from chainrule.book import experiments, pictures, work
from chainrule.book.marking.worksheet import worksheet
from chainrule.errors import ChainruleError
from chainrule.explanation import example
from chainrule.text.languages import language
from tests.gradient_check.faults import applied, crooked
from tests.rows import table

MODEL = nn.Sequential(nn.Linear(2, 1, dtype="float64"))
X, Y = [1.0, 2.0], [1.0]


def marked(answers: Any, optimizer: Any = None, loss: Any = "mse", **more: Any) -> Any:
    return cr.check_work(MODEL, X, Y, loss, answers, optimizer, **more)


def of_file(text: str) -> Any:
    return work.read_work(text)


ERRORS: dict[str, Callable[[], Any]] = {
    # descriptions of networks, losses, names
    "one size": lambda: cr.derive("2"),
    "too deep": lambda: cr.derive("-".join("1" * 99)),
    "no size": lambda: cr.derive("2--1"),
    "no layer": lambda: cr.derive("2-x"),
    "no such size": lambda: cr.derive("2-0"),
    "an active input": lambda: cr.derive("2tanh-1"),
    "no activation": lambda: cr.derive("2-1tnah"),
    "one softmax": lambda: cr.derive("2-1softmax"),
    "no loss": lambda: cr.derive("2-1", "msw"),
    "no softmax": lambda: cr.derive("2-2", "cross_entropy"),
    "no sigmoid": lambda: cr.derive("2-2", "binary_cross_entropy"),
    "no score": lambda: cr.derive("2-1tanh", "hinge"),
    "no equation": lambda: cr.derive("2-1")["detla1"],
    "a batch": lambda: cr.derive("2-1").evaluate(MODEL, [X, X], [Y, Y]),
    # marking
    "no name": lambda: marked({"detla1": 1}),
    "a moment": lambda: marked({"mW1": [[1, 2]]}),
    "blank": lambda: marked({"z1": "?"}),
    "no number": lambda: marked({"z1": "a"}),
    "no optimiser": lambda: marked({"z1": 1}, optim.Adamax(lr=0.1)),
    "another model": lambda: marked(
        {"z1": 1}, optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    ),
    "some parameters": lambda: marked(
        {"z1": 1}, optim.SGD([next(iter(MODEL.named_parameters()))], lr=0.1)
    ),
    "groups": lambda: marked(
        {"z1": 1},
        optim.SGD([{"params": "0.bias", "lr": 0.5}, {"params": "0.weight"}], lr=0.1),
    ),
    "no eta": lambda: marked({"W1": [[1, 2]]}),
    "options": lambda: marked({"z1": 1}, loss=nn.MSELoss(reduction="sum")),
    "a file": lambda: of_file("network = 1"),
    "no toml": lambda: of_file("network = ["),
    "nothing": lambda: work.load(Path("nowhere.toml")),
    "no table": lambda: work.load(Path("nowhere.csv")),
    "a large sheet": lambda: worksheet("9-9-1"),
    # the index and the experiments
    "no section": lambda: book.entries("9.9"),
    "no word": lambda: book.search("qqqq"),
    "no picture": lambda: pictures.save(["1.1"], "."),
    "no experiment": lambda: experiments.run("convergense"),
    # explanations
    "no y": lambda: cr.explain(MODEL, X),
    "no model": lambda: cr.explain(1, X, Y, nn.MSELoss()),  # type: ignore[arg-type]
    "no layer of it": lambda: example().layer(7),
    "no quantity": lambda: example()["wieght"],
    "no element": lambda: example().element("0.weight", (9, 9)),
    "no composite": lambda: cr.explain(MODEL, X, Y, nn.MSELoss(), composites=["x"]),
    # gradients
    "no function": lambda: cr.check_gradients(1),  # type: ignore[arg-type]
    "integers": lambda: cr.check_gradients(lambda x: x.sum(), np.arange(3)),
    "a rule": lambda: cr.check_gradients(
        lambda x: applied(crooked, x).sum(), [0.5, 2.0]
    ),
    "a cut": lambda: cr.check_gradients(lambda x: (x * x.detach()).sum(), [0.5, 2.0]),
}


def message(name: str, lang: str) -> str:
    with language(lang), pytest.raises(ChainruleError) as caught:
        ERRORS[name]()
    return str(caught.value)


@table("name", ERRORS)
def test_an_error_is_english_in_any_language(name: str) -> None:
    english = message(name, "en")
    assert message(name, "zh-TW") == english
    assert not re.search("[\u4e00-\u9fff]", english)
