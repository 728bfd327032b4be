"""Memory that does not suffice for a step: one message, and the state kept."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.xla.starting import run, told

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="a process' memory is limited by Linux' RLIMIT_AS"
)


def kept(when: str) -> dict[str, dict[str, Any]]:
    """Return what a program keeps whose memory runs out."""
    facts = told(run("memory.py", when))
    for fact in facts.values():
        assert "A device's memory ran out." in fact["said"]
        assert "smaller batches" in fact["said"]
    return facts


def test_a_batch_that_is_too_large_leaves_the_state() -> None:
    """It is found at the step's first run, whose state is kept apart."""
    facts = kept("first")
    for fact in facts.values():
        assert fact["after"] == fact["before"]
        assert "float32[60000, 4]" in fact["said"]  # what was asked
        assert fact["next"] != fact["before"]


@pytest.mark.slow
def test_memory_that_runs_out_later() -> None:
    """A Trainer goes back to a snapshot; the state of a function has to be loaded."""
    facts = kept("later")
    function, trainer = facts["function"], facts["trainer"]
    assert "A device's memory ran out." in function["read"]
    assert "load_state_dict" in function["read"]
    assert function["again"] == function["before"] != function["next"]
    assert trainer["after"] == trainer["before"]
    assert trainer["next"] == 2
