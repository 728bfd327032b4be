"""Every view of the page: for all, in both languages, in light and dark, on a phone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainrule.lab.texts import texts
from tests.lab import views
from tests.lab.test_browser import Browser, opened
from tests.lab.test_server import served

pytestmark = pytest.mark.slow
LANGUAGES = ("en", "zh-TW")
#: Widths of a phone and of the page's narrowest layout of two columns.
PHONE = {"width": 360, "height": 740}
AREAS = ("network", "uploads", "writing", "pictures", "doctor", "explorations")


def shown(seen: Browser, area: str, folder: Path) -> Iterator[str]:
    page = seen.page
    if area == "uploads":
        yield from views.of_uploads(page, folder)
    elif area == "writing":
        yield from views.of_writing(page, folder)
    else:
        names = {
            "network": views.of_a_network,
            "pictures": views.of_pictures,
            "doctor": views.of_the_doctor,
            "explorations": views.of_explorations,
        }
        yield from names[area](page)


def faults_of_access(page: Any) -> list[str]:
    """What axe-core finds to be serious on the page as it is now."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="needs axe-playwright-python: chainrule[test]",
    )
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:160]} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


def beyond(page: Any) -> list[str]:
    """What is wider than the page, where it can be scrolled to the side."""
    return page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] :
          [...document.querySelectorAll("main:not([hidden]) *, header *")]
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 &&
              !e.closest(".wide, .equation, pre, #path"))
            .map((e) => `${e.id || e.className}: ${e.outerHTML.slice(0, 120)}`)
            .concat([`${document.documentElement.scrollWidth} pixels`])"""
    )


#: Every text that the page shows or names something with, and what it stands in.
#: The announcement is what has been announced, and a column or a sample may be called
#: by a word that is a text too.
SHOWN = """() => {
  const all = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.closest("[hidden], script, option, #announcement, code")) {
      all.push(node.data.trim());
    }
  }
  for (const name of ["aria-label", "placeholder", "alt"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      all.push(element.getAttribute(name).trim());
    }
  }
  return all;
}"""


def english() -> list[re.Pattern[str]]:
    """The page's English texts of two words or more that are others in Chinese."""
    chinese = texts("zh-TW")
    patterns: list[re.Pattern[str]] = []
    for key, forms in texts("en").items():
        for text in forms.values() if isinstance(forms, dict) else [forms]:
            words = re.findall(r"[A-Za-z]+", re.sub(r"\{\w+\}", "", text))
            if forms != chinese[key] and len(words) > 1:
                parts = re.split(r"\{\w+\}", text.strip())
                pattern = ".+".join(map(re.escape, parts))
                patterns.append(re.compile(pattern, re.DOTALL))
    return patterns


@pytest.mark.parametrize("area", [a for a in AREAS if a != "explorations"])
def test_a_language_that_is_chosen_is_that_of_all(
    chromium: Any, tmp_path: Path, area: str
) -> None:
    patterns, kept = english(), dict[str, list[str]]()

    def left(page: Any) -> list[str]:
        found = {text for text in page.evaluate(SHOWN) if 3 < len(text) < 400}
        return [text for text in found if any(p.fullmatch(text) for p in patterns)]

    with served(tmp_path / "lab") as lab, opened(chromium, lab) as seen:
        page = seen.page
        for view in shown(seen, area, tmp_path / "tables"):
            assert left(page), "in English there are some"
            page.select_option("#language", "zh-TW")
            end = time.monotonic() + 10
            while (found := left(page)) and time.monotonic() < end:
                page.wait_for_timeout(100)
            kept[view] = found
            page.select_option("#language", "en")
            end = time.monotonic() + 10
            while len(left(page)) < 3 and time.monotonic() < end:
                page.wait_for_timeout(100)
    assert kept
    assert {view: found for view, found in kept.items() if found} == {}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("area", AREAS)
def test_no_view_has_a_serious_fault_of_access(
    chromium: Any, tmp_path: Path, area: str, scheme: str, language: str
) -> None:
    faults: dict[str, list[str]] = {}
    with (
        served(tmp_path / "lab") as lab,
        opened(chromium, lab, color_scheme=scheme) as seen,
    ):
        seen.page.select_option("#language", language)
        for view in shown(seen, area, tmp_path / "tables"):
            faults[view] = faults_of_access(seen.page)
        if area == "network":
            lab.process.kill()
            seen.page.wait_for_selector("#connection.lost")
            faults["no connection"] = faults_of_access(seen.page)
    assert faults
    assert {view: found for view, found in faults.items() if found} == {}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("area", AREAS)
def test_every_view_fits_a_phone(
    chromium: Any, tmp_path: Path, area: str, language: str
) -> None:
    wide: dict[str, list[str]] = {}
    with served(tmp_path / "lab") as lab, opened(chromium, lab) as seen:
        seen.page.set_viewport_size(PHONE)
        seen.page.select_option("#language", language)
        for view in shown(seen, area, tmp_path / "tables"):
            wide[view] = beyond(seen.page)
    assert wide
    assert {view: found for view, found in wide.items() if found} == {}
