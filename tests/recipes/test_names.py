"""names against counting by hand, and what a killed run becomes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment
from chainrule.recipes import given_names as names

from .runs import check, need

RECIPE = "names"

need("names")


@pytest.fixture(scope="module")
def folder() -> Path:
    return Experiment("names").folder("names", "names")


def test_the_names(folder: Path) -> None:
    found = names.read(folder)
    assert len(found) == len(set(found)) == 5163
    assert found == sorted(found)
    assert {c for name in found for c in name} == set("abcdefghijklmnopqrstuvwxyz")
    assert max(map(len, found)) == 11
    lines = (folder / "dist.male.first").read_text().split("\n")
    assert {line.split()[0].lower() for line in lines if line} <= set(found)


def test_no_name_is_in_two_parts(folder: Path) -> None:
    found = names.read(folder)
    parts = names.split(found)
    assert [len(part) for part in parts.values()] == [4130, 516, 517]
    assert sorted(n for part in parts.values() for n in part) == found
    assert names.split(found) == parts


def test_what_the_networks_are_given() -> None:
    data = names.letters(["ada", "bo"])
    assert data.x.shape == (7, 6)
    assert data.y.tolist() == [1, 4, 1, 0, 2, 15, 0]
    assert data.x[2].tolist() == [0, 0, 0, 0, 1, 4]
    data = names.rows(["ada", "bo"], 5)
    assert data.x[:].tolist() == [[0, 1, 4, 1, 0], [0, 2, 15, 0, 0]]
    assert data.y.tolist() == [[1, 4, 1, 0, -100], [2, 15, 0, -100, -100]]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_counts_by_hand(n: int) -> None:
    some = ["anna", "nan", "ann"]
    wanted: Counter[tuple[int, ...]] = Counter()
    for name in some:
        told = "." * (n - 1) + name + "."
        for i in range(len(told) - n + 1):
            wanted[tuple(names.LETTERS.index(c) for c in told[i : i + n])] += 1
    table = names.counts(some, n)
    assert {k: int(table[k]) for k in wanted} == wanted
    assert table.sum() == sum(len(name) + 1 for name in some)
    p = names.smoothed(table, 0.5)
    assert p.sum(-1) == pytest.approx(1)
    mean = np.mean([-np.log(p[k]) for k, times in wanted.items() for _ in range(times)])
    assert names.cost(p, table) == pytest.approx(mean)


def test_names_are_drawn_from_p() -> None:
    """Each letter is as frequent as its softmax says."""
    scores = np.full(27, -np.inf)
    scores[[0, 1, 2]] = np.log([0.5, 0.3, 0.2])
    made = names.invent(
        lambda b: np.tile(scores, (len(b), 1)), np.random.default_rng(0), 4000
    )
    first = Counter(name[:1] for name in made)
    for letter, p in (("", 0.5), ("a", 0.3), ("b", 0.2)):
        assert abs(first[letter] / 4000 - p) < 4 * (p * (1 - p) / 4000) ** 0.5
    assert set("".join(made)) == {"a", "b"}
    assert max(map(len, made)) <= 11


def test_a_letter_of_unseen_names(whole: dict[str, Any], folder: Path) -> None:
    """The table of costs, against tables made here."""
    parts = names.split(names.read(folder))
    train = parts["train"][:1500]
    found = whole["result"]["counts"]["2"]
    pairs = Counter(p for n in train for p in zip("." + n, n + "."))
    firsts = Counter(a for (a, _), k in pairs.items() for _ in range(k))
    costs = [
        -np.log((pairs[a, b] + found["alpha"]) / (firsts[a] + 27 * found["alpha"]))
        for n in parts["test"]
        for a, b in zip("." + n, n + ".")
    ]
    assert found["test"] == pytest.approx(np.mean(costs), rel=1e-9)
    test = whole["result"]["test"]
    assert test["the last 1 counted"] == found["test"]
    assert whole["result"]["gain"]["network"] == pytest.approx(
        found["test"] - test["the network"]
    )
    assert f"the network           {test['the network']:.3f}" in whole["text"]
    assert test["the network"] < test["how often it comes"]


def test_the_quick_run(whole: dict[str, Any]) -> None:
    made = whole["result"]["made"]
    assert set(made["network"]) == set(made["gru"]) == {"0", "1", "2"}
    assert f"epoch  2   {', '.join(made['gru']['2'])}" in whole["text"]
    check(whole, "losses", "embeddings", "bigram")
    assert re.search(r"1,500 to learn from", whole["text"])


@pytest.mark.parametrize("name", ["Ann", "ann marie", "zoé", "a.b", "o'neil"])
@pytest.mark.parametrize("how", ["numbers", "prefixes", "windows", "rows", "counts"])
def test_letters_that_no_name_has(name: str, how: str) -> None:
    asked = {
        "numbers": lambda: names.numbers(name),
        "prefixes": lambda: names.prefixes([name]),
        "windows": lambda: names.windows([name]),
        "rows": lambda: names.rows([name], 12),
        "counts": lambda: names.counts([name], 2),
    }[how]
    with pytest.raises(cr.errors.ArgumentError, match="'names' does not know"):
        asked()
