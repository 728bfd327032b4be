"""Links to explorations, in a real browser: what does not fit is said."""

from __future__ import annotations

import pytest

from tests.lab.test_browser import Browser

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("link", "unread"),
    [
        ("explore=convergence&rate=0.3", ""),
        ("explore=convergence&rate=much", "rate=much"),
        ("explore=convergence&rate=", "rate="),
        ("explore=convergence&rate=1e9", "rate=1000000000"),
        ("explore=convergence&speed=2", "speed=2"),
        ("explore=convergence&seed=-1", "seed=-1"),
        ("explore=nothing", "explore=nothing"),
    ],
)
def test_what_does_not_fit_is_said(seen: Browser, link: str, unread: str) -> None:
    page = seen.page
    page.goto(f"{page.url.partition('#')[0]}#{link}")
    page.wait_for_selector("#exploration-settings .slider")
    said = page.text_content("#exploration-link")
    assert said.startswith("The link says") == bool(unread)
    assert unread in said
    page.wait_for_selector("#exploration-found:not(.old)")
    page.fill("#explore-seed", "1")
    page.press("#explore-seed", "Tab")
    assert not page.text_content("#exploration-link")  # the address is another one
