"""No page of a class is wider than a phone, in a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chainrule.book.classroom import classroom, mark_class
from tests.browsers import browsing

pytestmark = pytest.mark.slow
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("spec", ["2-3tanh-2-1sigmoid", "4-4sigmoid-4tanh-3"])
def test_no_page_of_a_class_is_wider_than_a_phone(tmp_path: Path, spec: str) -> None:
    classroom(spec, ["Ada Lovelace", "陳小明"], seed=3).save(tmp_path)
    for key in (tmp_path / "key").iterdir():
        shutil.copy(key, tmp_path / "answers" / key.name)
    mark_class(tmp_path).save(tmp_path)
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) == 7
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        wide = []
        for path in pages:
            page.goto(path.as_uri())
            if page.evaluate(WIDE):
                wide.append(path.name)
    assert wide == []
