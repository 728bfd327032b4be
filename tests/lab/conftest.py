"""A browser, a lab, and the one's page of the other.

What they need is imported by those tests alone that use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browsers import browsing


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.lab.test_server import served

    with served(tmp_path_factory.mktemp("served") / "lab") as lab:
        yield lab


@pytest.fixture
def seen(chromium: Any, lab: Any) -> Iterator[Any]:
    from tests.lab.test_browser import opened

    with opened(chromium, lab) as seen:
        yield seen
