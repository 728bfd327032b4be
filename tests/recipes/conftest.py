"""Quick runs of recipes: one for each module, in a suite of their own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .runs import quick

#: Modules whose runs take a second at most; they stay in the fast suite.
FAST = ("registry", "experiment", "xor", "two_two_one", "algorithm1", "mnist")
#: Tests that run a recipe from its beginning to its end.
SLOWER = re.compile(
    r"killed|the_quick_run|of_ones_own|draws_them|labels_change_no_cluster"
    r"|both_engines_begin_alike|few_photos_are_enough|a_short_run_learns"
)


@pytest.fixture(scope="module")
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """One quick run of the module's RECIPE: its result, its text, its directory."""
    name = request.module.RECIPE
    out = tmp_path_factory.mktemp(name) / "run"
    return {**quick(name, out), "out": out}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs a recipe from its beginning to its end: ``-m recipes``."""
    for item in items:
        if "tests/recipes/" not in item.path.as_posix():
            continue
        fast = item.path.stem.removeprefix("test_") in FAST
        if fast or item.get_closest_marker("slow"):
            continue
        if "whole" in getattr(item, "fixturenames", ()) or SLOWER.search(item.name):
            item.add_marker("recipes")
