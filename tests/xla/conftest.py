"""The engine of tests that other folders run on other engines."""

from __future__ import annotations

import pytest


@pytest.fixture
def engine() -> str:
    """The name of the engine."""
    return "xla"
