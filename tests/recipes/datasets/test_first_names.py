"""First names: the census' files, the split, and letters as numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.recipes import Experiment
from chainrule.recipes.datasets import first_names

from ..runs import needing


@needing("names")
def test_the_names() -> None:
    folder: Path = Experiment("names").folder("names", "names")
    parts = first_names.read(folder)
    assert {k: len(v) for k, v in parts.items()} == {
        "train": 4130,
        "validation": 516,
        "test": 517,
    }
    names = [name for part in parts.values() for name in part]
    assert len(names) == len(set(names)) == 5163
    assert {c for name in names for c in name} == set("abcdefghijklmnopqrstuvwxyz")
    assert max(map(len, names)) == first_names.LONGEST
    lines = (folder / "dist.male.first").read_text().split("\n")
    assert {line.split()[0].lower() for line in lines if line} <= set(names)
    assert first_names.read(folder) == parts


def test_letters_as_numbers() -> None:
    assert first_names.encode("bo", 0) == [2, 15, 0]
    assert first_names.encode("bo", 2) == [0, 0, 2, 15, 0]
    x, y = first_names.sequences(["ada", "bo", "christopher"])
    assert x.shape == y.shape == (3, 12)
    assert x[:2, :5].tolist() == [[0, 1, 4, 1, 0], [0, 2, 15, 0, 0]]
    assert y[:2, :5].tolist() == [[1, 4, 1, 0, -100], [2, 15, 0, -100, -100]]
    assert x[2, 1:].tolist() == y[2, :-1].tolist()
    assert y[2, -1] == 0


@pytest.mark.parametrize("name", ["Ann", "ann marie", "zoé", "a.b", "o'neil"])
@pytest.mark.parametrize(
    "function", [first_names.encode, lambda name: first_names.sequences([name])]
)
def test_letters_that_no_name_has(name: str, function: Callable[..., Any]) -> None:
    with pytest.raises(cr.errors.ArgumentError, match="'names' does not know"):
        function(name)
