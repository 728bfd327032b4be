"""Whole quick runs of recipes are a suite of their own: ``pytest -m recipes``."""

from __future__ import annotations

import re

import pytest

#: The recipes that take a second at most stay in the fast suite.
FAST = ("registry", "study", "xor", "two_two_one", "algorithm1", "mnist", "tabular")
WHOLE = re.compile(r"cut_short|killed|goes_on|engine|quick|draws|shows|of_ones_own")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs a recipe from its beginning to its end."""
    for item in items:
        if "tests/recipes/" not in item.path.as_posix():
            continue
        fast = item.path.stem.removeprefix("test_") in FAST
        if fast or item.get_closest_marker("slow"):
            continue
        if "whole" in getattr(item, "fixturenames", ()) or WHOLE.search(item.name):
            item.add_marker("recipes")
