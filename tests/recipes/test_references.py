"""Every full run reaches the figures of the literature (hours in all)."""

from __future__ import annotations

import pytest

from chainrule import recipes
from chainrule.recipes import Experiment

STUDIES = [
    name
    for name in recipes.names()
    if recipes.kind(name) == "study" and hasattr(recipes.find(name), "REFERENCES")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_full_run_reaches_its_references(name: str) -> None:
    told = recipes.perform(Experiment(name, seed=1))
    assert [r["key"] for r in told["references"] if not r["reached"]] == []
