"""Clicks in a browser: every equation that a page shows is true.

pytest -m slow tests/explanation/test_clicks.py
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.explanation.interactive.entries import entries_of
from tests.browsers import browsing
from tests.explanation.test_entries import CLOSE, Case, case

pytestmark = pytest.mark.slow

MODELS = [
    *("ReLU", "Conv2d", "RNN", "GRU", "LSTM", "MultiheadAttention", "BatchNorm1d"),
    *("Residual", "embedding", "autoencoder", "Tied", "float32"),
]
CLICKS = 20
_TERM = re.compile(r"^[=+] ?(.*)$")
#: Chooses the i-th cell as a mouse does, and returns what is shown of it.
CLICK = """(i) => {
  const cells = [...document.querySelectorAll("table[data-v] td")];
  const cell = cells[i % cells.length];
  for (let up = cell.closest("details"); up; up = up.parentNode.closest("details")) {
    up.open = true;
  }
  cell.click();
  const texts = (all) => [...all].map((each) => each.textContent);
  const steps = [...document.querySelectorAll("#path .equation")];
  return {
    head: document.querySelector("#path h2").textContent,
    equations: steps.map((step) => texts(step.querySelectorAll("p"))),
    lit: cell.dataset.lit,
    said: document.getElementById("live").textContent,
    many: cells.length,
  };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as made:
        yield made


def opened(browser: Any, step: Case, folder: Path, errors: list[str]) -> Any:
    file = folder / "step.html"
    file.write_text(step.explained.to_html(), "utf-8")
    page = browser.new_page()
    page.on("console", lambda m: errors.append(m.text))
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    return page


def worked(factors: str) -> float:
    return math.prod(map(float, factors.split(" · ")))


def faults(step: Case, lines: list[str], index: dict[str, Any]) -> list[str]:
    """What is false in an equation that the page shows: its terms, sum and number."""
    left, *rest = lines
    sides: list[list[str]] = []
    for line in rest:
        term = _TERM.match(line)
        if term is None:
            continue  # a remark
        if line.startswith("="):
            sides.append([])
        sides[-1].append(term[1])
    result = float(sides[-1][0].split("   ")[0])
    found = list[str]()
    numeric = [side for side in sides[:-1] if not any("∂" in t for t in side)]
    for side in numeric:
        if any(re.search(r"[^\d.e+\-· ]", term) for term in side):
            continue
        first, *others = map(worked, side)
        total = first
        for other in others:
            total += other
        if total != result:
            found.append(f"{left}: {side} comes to {total!r}, not {result!r}")
    name = left.removeprefix("∂ℒ/∂")
    symbol, _, place = name.partition("[")
    places = tuple(int(i) for i in place.rstrip("]").split(", ")) if place else ()
    run, v = step.explained.exact.run, index.get(symbol)
    if v is None or v not in run.cotangents or v is run.loss:
        return found
    wanted = float(run.arrays[run.cotangents[v]][places])
    terms = sum(abs(worked(t)) for t in numeric[0]) if numeric else 0.0
    off = abs(result - wanted)
    if off > CLOSE * (terms + abs(wanted)) and off > 1e-6 * step.rounding(symbol):
        found.append(f"{left} = {result!r}, not {wanted!r}")
    return found


@pytest.mark.parametrize("name", MODELS)
def test_clicks_show_true_equations(name: str, browser: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    step, errors = case(name, rng), list[str]()
    page = opened(browser, step, tmp_path, errors)
    names = step.explained.exact.names.of
    index: dict[str, Any] = {}
    for value, symbol in names.items():
        index.setdefault(symbol.text(), value)
    seen = 0
    for i in rng.integers(0, 10_000, CLICKS):
        shown = page.evaluate(CLICK, int(i))
        assert shown["lit"] == "self"
        assert " = " in shown["head"]
        assert shown["said"]
        for lines in shown["equations"]:
            assert faults(step, lines, index) == []
            seen += 1
    assert seen >= CLICKS
    assert errors == []


def test_a_false_equation_is_seen(browser: Any, tmp_path: Path) -> None:
    step, errors = case("ReLU", np.random.default_rng(5)), list[str]()
    page = opened(browser, step, tmp_path, errors)
    shown = page.evaluate(CLICK, 20)
    lines = next(e for e in reversed(shown["equations"]) if len(e) > 3)
    index = {s.text(): v for v, s in step.explained.exact.names.of.items()}
    assert faults(step, lines, index) == []
    last = lines[-1].removeprefix("=").strip()
    wrong = [*lines[:-1], f"= {float(last) * (1 + 1e-9)!r}"]
    assert faults(step, wrong, index)


def test_keys_and_steps(browser: Any, tmp_path: Path) -> None:
    """Arrows go from cell to cell, Enter chooses, Escape closes; buttons step."""
    step, errors = case("ReLU", np.random.default_rng(5)), list[str]()
    page = opened(browser, step, tmp_path, errors)
    first = page.locator('#layer-1 table[data-kind="value"]').first
    first.locator("td").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    at = (
        "[document.activeElement.cellIndex, document.activeElement.parentNode.rowIndex]"
    )
    assert page.evaluate(at) == [1, 1]
    assert page.locator("#tip").is_visible()
    assert page.evaluate("document.activeElement.ariaLabel").startswith("W⁽¹⁾[1, 1] = ")
    page.keyboard.press("Enter")
    assert page.locator("#path").is_visible()
    assert page.locator("[data-lit=self]").count() >= 1
    assert page.locator("[data-lit=back]").count() >= 1
    page.keyboard.press("Escape")
    assert not page.locator("#path").is_visible()
    assert page.locator("[data-lit]").count() == 0
    assert page.evaluate(at) == [1, 1]
    page.locator("[data-go=turn]").click()
    assert page.locator("#path h2").inner_text() == "∂ℒ/∂ℒ = 1" or (
        page.locator("#at").inner_text().startswith("backward")
    )
    before = page.locator("#path h2").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#path h2").inner_text() != before
    page.keyboard.press("ArrowLeft")
    assert page.locator("#path h2").inner_text() == before
    assert errors == []


def test_what_is_computed_is_not_called_given(browser: Any, tmp_path: Path) -> None:
    """A unit that is off has derivatives of 0, and is computed nonetheless."""
    from chainrule import nn

    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Hardtanh(0.1, 0.2), nn.Linear(4, 2))
    step = Case(model, rng.normal(size=(2, 3)) * 9, [0, 1], nn.CrossEntropyLoss())
    page = opened(browser, step, tmp_path, errors := list[str]())
    values = entries_of(step.explained).data["values"]
    symbols = [v.get("symbol") for v in values]
    for symbol, given in (("a⁽¹⁾", False), ("W⁽¹⁾", True), ("x", True)):
        table = f'table[data-v="{symbols.index(symbol)}"][data-kind=value] td'
        page.locator(table).first.click()
        said = page.locator("#live").text_content()
        assert said.startswith(f"{symbol}[0, 0] = ")
        assert said.endswith("It is given.") is given
        assert ("It is given." in page.locator("#path").inner_text()) is given
    assert errors == []


def test_folds_are_remembered(browser: Any, tmp_path: Path) -> None:
    errors = list[str]()
    page = opened(browser, case("ReLU", np.random.default_rng(5)), tmp_path, errors)
    page.locator("#layer-1 > summary").click()
    page.wait_for_timeout(100)
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.evaluate("document.getElementById('layer-1').open") is False
    assert page.evaluate("document.getElementById('layer-2').open") is True
    page.locator('nav a[href="#layer-1"]').click()
    page.wait_for_timeout(100)
    assert page.evaluate("document.getElementById('layer-1').open") is True
    assert errors == []


def test_no_page_is_wider_than_a_phone(browser: Any, tmp_path: Path) -> None:
    errors = list[str]()
    page = opened(browser, case("Conv2d", np.random.default_rng(5)), tmp_path, errors)
    page.set_viewport_size({"width": 390, "height": 844})
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    page.evaluate(CLICK, 3)
    assert page.evaluate(wide) == 0
    assert errors == []


def test_a_window_moves_over_a_large_array(browser: Any, tmp_path: Path) -> None:
    """Numbers of the window are those of the array; the slider goes through samples."""
    from chainrule import nn

    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 15))
    x = rng.normal(size=(9, 20)).astype(np.float32)
    step = Case(model, x, rng.integers(0, 15, 9), nn.CrossEntropyLoss())
    page = opened(browser, step, tmp_path, errors := list[str]())
    made = entries_of(step.explained)
    weight = made.symbols["W⁽¹⁾"].id
    box = page.locator(
        f'[data-window]:has(table[data-v="{weight}"][data-kind=value])'
    ).first
    box.scroll_into_view_if_needed()
    for label, start in (("row", 17), ("column", 5)):
        box.get_by_label(label).fill(str(start))
        box.get_by_label(label).press("Tab")
    rows = box.locator("tr").all_inner_texts()
    shown = np.array([row.split() for row in rows], float)
    np.testing.assert_allclose(shown, model[0].weight.numpy()[17:25, 5:13], atol=1e-4)
    box.locator("td").nth(9).click()
    assert page.locator("#path h2").inner_text().startswith("W⁽¹⁾[18, 6] = ")
    page.locator("#sample").fill("6")
    given = page.locator("#inputs [data-window]").first
    given.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    shown = np.array(given.locator("td").all_inner_texts(), float)
    np.testing.assert_allclose(shown, x[6, :8], atol=1e-2)
    assert errors == []
    assert json.dumps(made.data)


def test_what_scrolls_can_be_reached_by_keys(browser: Any, tmp_path: Path) -> None:
    """In sections that are not drawn yet, too."""
    rng = np.random.default_rng(0)
    step = case("TransformerEncoderLayer True", rng)
    page = opened(browser, step, tmp_path, errors := list[str]())
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(200)
    page.wait_for_selector("html[data-reached]", state="attached")
    wide, lost = page.evaluate(
        """() => {
          const boxes = [...document.querySelectorAll(".scroll")];
          const wide = boxes.filter((box) => box.scrollWidth > box.clientWidth);
          const inside = "[tabindex='0'], a, button, input";
          const lost = wide.filter((b) => b.tabIndex !== 0 && !b.querySelector(inside));
          return [wide.length, lost.length];
        }"""
    )
    assert wide > 10
    assert lost == 0
    assert errors == []
