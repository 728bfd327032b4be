"""A browser for tests of pages: the Chromium of the machine, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

#: What the browser may be called, after the path that CHROMIUM names.
NAMES = ("chromium", "chromium-browser", "google-chrome")


def browser_path() -> str | None:
    """The path of a browser; None where the machine has none."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def browsing() -> Iterator[Any]:
    """A browser that is open; the test is skipped where there is none.

    The browser is a program of the machine. What drives it is a package, of the extra
    ``test``: where only that is missing, ``--need-packages`` makes the skip a failure.
    """
    path = browser_path()
    if path is None:
        pytest.skip("this machine has no browser (Chromium or Chrome)")
    api = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: chainrule[test]"
    )
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        try:
            yield browser
        finally:
            browser.close()
