"""Whatever a study's files say: the study that was begun, or a clear error."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chainrule import recipes
from chainrule.errors import ChainruleError
from chainrule.recipes import Experiment

from ..fuzz import documents
from ..fuzz.dice import Dice

#: What studies of several kinds write.
RIGHT: list[dict[str, Any]] = [
    {"recipe": "own", "seed": 3, "engine": "auto", "quick": True, "options": {}},
    {
        "recipe": "own",
        "seed": 2**64 - 1,
        "engine": "numpy",
        "quick": False,
        "options": {"limit": 7, "data": "folder", "rate": 0.5},
    },
]
WORDS = ("recipe", "seed", "engine", "quick", "options", "limit", "data", "rate")


def own(
    experiment: Experiment,
    *,
    limit: int = 9,
    data: str | None = None,
    rate: float = 1.0,
) -> dict[str, Any]:
    """Needs of its options what the other recipes need of theirs."""
    assert type(limit) is int
    assert limit >= 1
    assert data is None or isinstance(data, str)
    assert 0 <= experiment.seed < 2**64
    return experiment.cached("stage", lambda: {"made": limit + rate})


@pytest.fixture(autouse=True)
def recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(SUMMARY="own", run=own)
    find = recipes.find
    monkeypatch.setattr(recipes, "find", lambda n: module if n == "own" else find(n))


def run(place: Path) -> dict[str, Any] | None:
    """What the study of a directory gives, or None where it is refused."""
    try:
        experiment = Experiment.restore(place)
        if experiment.name in recipes.RECIPES:
            return None  # another one, which is rightly begun
        return recipes.perform(experiment, again=True)["result"]
    except ChainruleError:
        return None


def check(seeds: range, place: Path) -> int:
    """How many of the changed files were taken."""
    taken = 0
    for seed in seeds:
        dice = Dice(random.Random(seed).randbytes(64))
        document = documents.mutate(dice.of(RIGHT), dice)
        (place / "stage.json").unlink(missing_ok=True)
        (place / "recipe.json").write_text(documents.text_of(document), "utf-8")
        taken += run(place) is not None
    return taken


def test_what_a_study_says(tmp_path: Path) -> None:
    for right in RIGHT:
        (tmp_path / "recipe.json").write_text(json.dumps(right), "utf-8")
        (tmp_path / "stage.json").unlink(missing_ok=True)
        assert run(tmp_path) is not None
    assert 0 < check(range(150), tmp_path) < 120


@pytest.mark.slow
def test_what_a_study_says_at_length(tmp_path: Path) -> None:
    check(range(150, 20_000), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seed": "3"}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"quick": "no"}, "quick"),
        ({"engine": ["numpy"]}, "engine"),
        ({"engine": "gpu"}, "gpu"),
        ({"recipe": ["own"]}, "recipe"),
        ({"recipe": "mnist"}, "no study"),
        ({"options": [1]}, "options"),
        ({"options": {"limit": "7"}}, "limit"),
        ({"options": {"limit": 0}}, "limit"),
        ({"options": {"limit": True}}, "limit"),
        ({"options": {"limits": 7}}, "limits"),
        ({"options": {"study": 7}}, "study"),
        ({"threads": 2}, "threads"),
    ],
)
def test_wrong_values(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    text = json.dumps(RIGHT[0] | wrong)
    (tmp_path / "recipe.json").write_text(text, "utf-8")
    with pytest.raises(ChainruleError, match=said):
        recipes.perform(Experiment.restore(tmp_path), again=True)


def test_a_file_too_deep(tmp_path: Path) -> None:
    for name in ("recipe.json", "stage.json"):
        (tmp_path / "recipe.json").write_text(json.dumps(RIGHT[0]), "utf-8")
        (tmp_path / name).write_text("[" * 100_000 + "]" * 100_000, "utf-8")
        with pytest.raises(ChainruleError, match="is no file of a recipe"):
            recipes.perform(Experiment.restore(tmp_path), again=True)
