"""The engines that the contract is tested on: all that run here, and one of tests."""

from __future__ import annotations

import pytest

import chainrule.engines
from tests.engines.device import ENGINE, traffic
from tests.ways import ENGINES


@pytest.fixture(params=[*ENGINES, "device"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an engine; ``device`` is one whose memory is not NumPy's."""
    monkeypatch.setitem(chainrule.engines._registry, "device", ENGINE)
    traffic.clear()
    return request.param


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an engine whose memory is not NumPy's; it counts its traffic."""
    monkeypatch.setitem(chainrule.engines._registry, "device", ENGINE)
    traffic.clear()
    return "device"
