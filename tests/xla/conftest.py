"""The engine of tests that other folders run on other engines."""

from __future__ import annotations

import pytest

from tests.engines.device import traffic


@pytest.fixture
def engine() -> str:
    """The name of the engine; the traffic of the one of tests is none of its."""
    traffic.clear()
    return "xla"
