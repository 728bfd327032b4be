"""Documents as pages can be read in a light and in a dark scheme, and on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.book.marking.worksheet import worksheet
from chainrule.explanation.document import Document
from tests.browsers import browsing
from tests.explanation.test_documents import made
from tests.lab.test_access import faults_of_access

pytestmark = pytest.mark.slow
SPEC = "2-2sigmoid-1sigmoid"
DOCUMENTS: dict[str, Callable[[], Document]] = {
    "a derivation": lambda: cr.derive(SPEC),
    "a worksheet": lambda: worksheet(SPEC, answers=True),
    "an explanation": lambda: made("example"),
}
#: How dark the page is behind its text: the sum of the three colours of its background.
DARK = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_in_a_scheme(
    browser: Any, tmp_path: Path, name: str, scheme: str
) -> None:
    file = tmp_path / "page.html"
    DOCUMENTS[name]().save(file)
    context = browser.new_context(color_scheme=scheme)
    try:
        page = context.new_page()
        page.goto(file.as_uri())
        assert faults_of_access(page) == []
        assert (sum(page.evaluate(DARK)) < 200) == (scheme == "dark")
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate(DARK) == [255, 255, 255]
    finally:
        context.close()
