"""Parts of the page that a link hides, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from chainrule.lab import site
from chainrule.lab.recording import record
from chainrule.lab.settings import run_file
from tests.lab.runs import circles
from tests.lab.test_browser import Browser, opened
from tests.lab.test_server import Served

pytestmark = pytest.mark.slow
#: The parts, each with whether something of it is there, and whether it is displayed.
THERE = """async () => {
  const { PARTS } = await import("/js/hiding.js");
  const all = Object.assign({}, ...Object.values(PARTS));
  return Object.entries(all).map(([name, selector]) => {
    const found = [...document.querySelectorAll(selector)];
    return [name, found.length, found.some((e) => e.getClientRects().length > 0)];
  });
}"""


def to(seen: Browser, fragment: str) -> None:
    """Go to another address of the same page, as a link that is opened."""
    seen.page.goto("about:blank")
    seen.page.goto(fragment)
    seen.until("#network-text", "parameters")


def base(seen: Browser) -> str:
    return seen.page.url.partition("#")[0]


def test_a_link_hides_what_is_not_ticked_and_keeps_its_values(seen: Browser) -> None:
    page = seen.page
    page.fill('.option[data-key="noise"] input', "0.23")
    page.click("#build")
    seen.until("#network-text", "parameters")
    page.wait_for_selector("#build:enabled")
    page.click("#hiding summary")
    for name in ("noise", "activation", "optimizer", "doctor", "curves"):
        page.uncheck(f"#tick-{name}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#shares button >> nth=0")
    seen.until("#share-state", "copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert "&hide=noise,activation,optimizer,doctor,curves" in link
    assert page.is_visible("#doctor-part")  # it is what the link hides
    to(seen, link)
    for place in (
        '.option[data-key="noise"]',
        '[data-use="activation"]',
        '[data-section="optimizer"]',
        "#doctor-part",
        "#curves-part",
    ):
        assert page.locator(place).count() > 0, place
        assert not page.locator(place).first.is_visible(), place
    assert page.is_visible("#build")
    tree = page.locator("body").aria_snapshot()
    assert "noise" not in tree.lower().replace(page.inner_text("#hidden-note"), "")
    assert "Examine" not in tree
    # What is hidden counts: the network is that of the link.
    page.fill('.option[data-key="epochs"] input', "7")
    page.click("#build")
    page.wait_for_selector("#build:enabled")
    page.wait_for_function("() => location.hash.includes('hide=')")
    said = site.linked(page.url)
    assert said["data"]["noise"] == 0.23  # type: ignore[index]
    assert said["training"]["epochs"] == 7  # type: ignore[index]
    # A language, a reload, and the other view hide the same.
    page.select_option("#language", "zh-TW")
    assert not page.is_visible("#doctor-part")
    page.select_option("#language", "en")
    page.reload()
    seen.until("#network-text", "parameters")
    assert not page.is_visible("#doctor-part")
    page.click("#to-explore")
    page.click("#to-network")
    assert not page.is_visible("#doctor-part")
    # The way back.
    seen.until("#hidden-note", "5")
    page.click("#show-all")
    assert page.is_visible("#doctor-part")
    assert page.is_visible('.option[data-key="noise"]')
    assert not page.is_visible("#hidden-note")
    assert "hide" not in page.url
    assert page.evaluate("document.activeElement.tagName") == "H2"


def test_every_part_hides_something_and_comes_back(seen: Browser) -> None:
    page, address = seen.page, base(seen)
    page.click("#step")
    page.wait_for_selector("#confusion table")
    page.wait_for_selector("#history:visible")
    page.click("#open")
    page.wait_for_selector(".equation")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = page.evaluate(THERE)
    assert all(count for __, count, __shown in found), found
    shown = {name for name, __, there in found if there}
    hidden = {"digit", "sentence", "regularization"}  # of other networks, or below
    for name in sorted(shown - hidden - {"explorations", "sliders"}):
        page.evaluate("(hash) => { location.hash = hash; }", f"hide={name}")
        page.wait_for_selector("#hidden-note:visible")
        now = {n: there for n, __, there in page.evaluate(THERE)}
        assert not now[name], name
        page.click("#show-all")
        now = {n: there for n, __, there in page.evaluate(THERE)}
        assert {n for n, there in now.items() if there} == shown, name
    page.goto(f"{address}#explore=convergence&hide=views,explorations")
    page.wait_for_selector("#exploration-settings .slider")
    assert not page.is_visible("#exploration-list")
    assert not page.is_visible("header nav")
    page.evaluate("location.hash = 'explore=convergence&hide=sliders'")
    page.wait_for_selector("#exploration-settings", state="hidden")
    page.click("#show-all")
    page.wait_for_selector("#exploration-settings .slider")
    page.wait_for_selector("#exploration-found:not(.old)")


@pytest.mark.parametrize(
    "said", ["noise,nonsense", "constructor", "<img src=x onerror=alert(1)>"]
)
def test_a_part_that_is_not_there_is_named(seen: Browser, said: str) -> None:
    to(seen, f"{base(seen)}#hide={said}")
    wrong = said.split(",")[-1]
    seen.until("#hidden-problem", wrong)
    assert "regularization" in seen.text("#hidden-problem")
    assert seen.page.locator("#hidden-problem img").count() == 0
    noise = seen.page.is_visible('.option[data-key="noise"]')
    assert noise == (not said.startswith("noise"))


def test_an_error_is_seen_where_the_form_is_hidden(chromium: Any, lab: Served) -> None:
    with opened(chromium, lab) as seen:
        to(seen, f"{base(seen)}#hide=setup")
        assert not seen.page.is_visible("#setup-part")
        seen.page.evaluate(
            """() => {
              const input = document.querySelector('[data-key="batch_size"] input');
              input.value = "-1";
              input.dispatchEvent(new Event("change"));
              document.querySelector("#setup").requestSubmit();
            }"""
        )
        seen.page.wait_for_selector("#problem:visible")
        assert "batch_size" in seen.text("#problem")


def test_a_recording_hides_what_its_link_does(chromium: Any, tmp_path: Path) -> None:
    content = record(run_file(circles(), tmp_path)).content
    path = tmp_path / "index.html"
    path.write_text(site.page(content, site.hidden("#run=e30&hide=curves,history,no")))
    page = chromium.new_page()
    seen = Browser(page)
    page.goto(path.as_uri())
    seen.until("#network-text", "parameters")
    assert not page.is_visible("#curves-part")
    assert not page.is_visible("#history")
    assert page.is_visible("#output-part")
    assert "no" in seen.text("#hidden-problem")
    ticks = page.locator("#ticks input").evaluate_all("all => all.map(e => e.id)")
    assert "tick-curves" in ticks
    assert not {"tick-setup", "tick-noise", "tick-doctor"} & {*ticks}
    page.click("#show-all")
    assert page.is_visible("#curves-part")
    page.goto("about:blank")
    page.goto(f"{path.as_uri()}#hide=output")  # the address goes before the page
    seen.until("#network-text", "parameters")
    assert page.is_visible("#curves-part")
    assert not page.is_visible("#output-part")
    assert seen.errors() == []
    page.close()


def test_the_texts_of_all_parts_are_there() -> None:
    from chainrule.lab.app import page_files
    from chainrule.lab.texts import texts

    script = page_files()["js/hiding.js"][1].decode()
    list_ = script.partition("PARTS = {")[2].partition("\n};")[0]
    groups = re.findall(r"^  (\w+): \{\n(.*?)^  \},", list_, re.M | re.S)
    assert len(groups) == 5
    known = texts("en")
    for group, inner in groups:
        assert f"shown_{group}" in known
        for name in re.findall(r"^    (\w+):", inner, re.M):
            assert f"part_{group}_{name}" in known, name
