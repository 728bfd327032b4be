"""Texts that are read by characters and written, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainrule.errors import ArgumentError
from chainrule.lab import characters
from tests.lab.test_browser import Browser
from tests.lab.test_server import Served, served

pytestmark = pytest.mark.slow
POEM = "the cat sat on the mat.\nthe dog sat on the log.\n" * 40


@pytest.fixture
def page(chromium: Any) -> Iterator[Browser]:
    context = chromium.new_context(viewport={"width": 1300, "height": 1000})
    yield (browser := Browser(context.new_page()))
    assert browser.errors() == []
    context.close()


def poem(folder: Path) -> str:
    path = folder / "poem.txt"
    path.write_text(POEM)
    return str(path)


def write(seen: Browser, prompt: str) -> str:
    seen.page.fill("#prompt", prompt)
    seen.page.click("#write")
    seen.until("#writing-state", "Written")
    return seen.page.inner_text("#written")


def test_a_text_that_is_dropped_is_read_trained_and_written(
    page: Browser, lab: Served, tmp_path: Path
) -> None:
    seen, view = page, page.page
    view.goto(lab.url)
    seen.until("#network-text", "parameters")
    view.set_input_files("#files", poem(tmp_path))
    view.click("#read-text")
    view.fill('[data-key="length"] input', "16")
    view.fill('[data-key="width"] input', "33")
    view.keyboard.press("Tab")
    view.click("#build")
    seen.until("#form-problem", "the heads share the width")
    assert view.locator('.option.wrong[data-key="width"]').count() == 1
    view.fill('[data-key="width"] input', "32")
    view.fill('[data-key="epochs"] input', "6")
    view.keyboard.press("Tab")
    view.click("#build")
    view.wait_for_selector("#writing-part:visible")
    assert view.is_hidden("#sentence-part")
    before = write(seen, "the c")
    view.click("#train")
    seen.until("#figures", "finished")
    after = write(seen, "the c")
    assert before != after
    assert after.startswith("the c")
    words = {*POEM.split()}
    assert sum(w in words for w in after.split()) > len(after.split()) / 2
    # The same seed writes the same, and the past wrote what it wrote.
    assert write(seen, "the c") == after
    view.focus("#past")
    view.keyboard.press("Home")
    seen.until("#past-step", "step 0")
    assert write(seen, "the c") == before
    view.click("#now")
    # What is typed outside of the limits becomes what is nearest.
    for id, typed, becomes in (
        ("temperature", "0", "0.01"),
        ("temperature", "", "0.8"),
        ("count", "0", "1"),
        ("count", "1e9", "1000"),
        ("count", "40", "40"),
        ("writing-seed", "-3", "0"),
    ):
        view.fill(f"#{id}", typed)
        write(seen, "the c")
        assert view.input_value(f"#{id}") == becomes
    # What comes next, and whom the characters listen to.
    view.fill("#prompt", "the c")
    view.click("#foresee")
    view.wait_for_selector("#foreseen .bar")
    seen.until("#foreseen", "likeliest next character is a")
    assert "␣" in seen.text("#foreseen-inside")
    assert view.locator("#foreseen-inside table.attention").count() == 4
    assert view.locator("#foreseen-inside table.attention >> nth=0 >> tr").count() == 6
    # A window, forward and back.
    view.fill("#row", "16")
    view.click("#open")
    view.wait_for_selector(".equation.backward")
    assert POEM[16:32].replace("\n", "↵").replace(" ", "␣") in seen.text("#sample")
    view.click("#saliency-part summary")
    view.wait_for_selector("#saliency .tokens")
    # What it never read, and a page that comes back.
    view.fill("#prompt", "貓")
    view.click("#write")
    seen.until("#written", "never read")
    view.reload()
    view.wait_for_selector("#writing-part:visible")
    assert view.input_value('[data-key="width"] input') == "32"
    assert view.input_value("#model").endswith("poem.txt")
    # Layers again, and other data.
    view.select_option("#model", "")
    view.click("#build")
    view.wait_for_selector("#writing-part", state="hidden")


def test_the_plays_of_the_recipe_are_opened(page: Browser, tmp_path: Path) -> None:
    try:
        characters.need("gpt")
    except ArgumentError:
        pytest.skip("needs the package of the recipe gpt")
    with served(tmp_path / "lab", "gpt") as lab:
        page.page.goto(lab.url)
        page.page.wait_for_selector("#writing-part:visible", timeout=60_000)
        page.page.wait_for_selector("#picture img")
        page.page.click("#train")
        page.until("#figures", "training")
        page.page.wait_for_timeout(1000)
        text = write(page, "HAMLET:\n")  # while it trains
        assert text.startswith("HAMLET:\n")
        page.page.click("#train")
        page.until("#figures", "paused")
        page.page.fill('[data-key="epochs"] input', "1")
        page.page.select_option('[data-key="network"] select', "gru")
        page.page.click("#modules summary")
        page.page.click("#build")
        page.until("#modules", "GRU")
        assert page.page.is_hidden("#problem")


def test_a_table_in_a_text_may_be_either(
    page: Browser, lab: Served, tmp_path: Path
) -> None:
    path = tmp_path / "sold.txt"
    path.write_text("a,b\n" + "".join(f"{i % 9},{i % 2}\n" for i in range(60)))
    page.page.goto(lab.url)
    page.until("#network-text", "parameters")
    page.page.set_input_files("#files", str(path))
    page.page.wait_for_selector("#read-text")
    assert page.page.locator("#questions button.main").count() == 2
    page.page.click("#questions button.main >> nth=0")
    assert page.page.input_value("#source") == "data-sold.txt"
    page.page.click("#build")
    page.until("#network-text", "training: 54")


def test_an_image_that_is_called_a_text_is_refused(
    page: Browser, lab: Served, tmp_path: Path
) -> None:
    path = tmp_path / "cat.txt"
    path.write_bytes(bytes(range(256)) * 20)
    page.page.goto(lab.url)
    page.until("#network-text", "parameters")
    page.page.set_input_files("#files", str(path))
    page.until("#upload-state", "no text in UTF-8")
    assert page.page.locator("#read-text").count() == 0
