"""Networks of files, and builds that are given up, in a real browser."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainrule.lab import doorway
from tests.lab.test_browser import Browser
from tests.lab.test_models import TABLE, TRAINER, dense, python
from tests.lab.test_server import served

pytestmark = pytest.mark.slow


@pytest.fixture
def page(chromium: Any) -> Iterator[Browser]:
    context = chromium.new_context(viewport={"width": 1300, "height": 1000})
    yield (browser := Browser(context.new_page()))
    assert browser.errors() == []
    context.close()


def click_a_path(page: Any) -> None:
    page.click("#open")
    page.wait_for_selector(".equation.backward")
    page.click(".equation.parameter .matrix button >> nth=1")
    page.wait_for_selector("#path table")


def test_an_onnx_file_is_opened_fed_trained_and_clicked(
    page: Browser, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(TABLE)
    with served(tmp_path / "lab", dense(tmp_path)) as lab:
        page.page.goto(lab.url)
        page.until("#network-text", "22 parameters; inputs (N, 2)")
        page.page.wait_for_selector("#picture img")
        assert page.page.is_disabled("#train")
        # Data that do not fit, and then some that do.
        page.page.select_option("#source", "mnist")
        page.page.click("#build")
        page.until("#form-problem", "do not fit the network of net.onnx")
        page.page.set_input_files("#files", str(table))
        page.page.wait_for_selector("#questions button")
        page.page.select_option("#target", "c")
        page.until("#upload-state", "60 rows")
        page.page.click("#questions button.main")
        page.page.click("#build")
        page.until("#network-text", "training: 54")
        page.page.wait_for_selector("#picture img")
        page.page.click("#train")
        page.until("#figures", "finished")
        click_a_path(page.page)
        page.page.reload()
        page.until("#network-text", "training: 54")
        assert page.page.input_value("#model") == "net.onnx"
        assert "The data do not fit the network of net.onnx." in lab.end()[1]


def test_the_trainer_of_a_python_file_is_trained(page: Browser, tmp_path: Path) -> None:
    target = python(tmp_path, TRAINER, "make")
    with served(tmp_path / "lab", target) as lab:
        page.page.goto(lab.url)
        page.until("#network-text", "validation: 20")
        assert page.page.locator("#class-optimizer").count() == 0
        page.page.click("#train")
        page.until("#figures", "finished")
        click_a_path(page.page)
        page.page.select_option("#model", "")  # and layers of one's own
        page.page.click("#build")
        page.until("#network-text", "training: 320")
        page.page.select_option("#model", "own_network.py:make")
        page.page.select_option("#source", "own_network.py:make")
        page.page.click("#build")
        page.until("#network-text", "validation: 20")


def test_a_file_that_cannot_be_opened_is_said(page: Browser, tmp_path: Path) -> None:
    with served(tmp_path / "lab", python(tmp_path, "1 / 0\n")) as lab:
        page.page.goto(lab.url)
        page.until("#form-problem", "own_network.py:1: ZeroDivisionError")
        assert "ZeroDivisionError" in lab.end()[1]


#: A folder is chosen, without the window of the system for it.
CHOOSE = """paths => {
  const input = document.getElementById("folder");
  const files = paths.map((path) => Object.defineProperty(
    new File([path], path.split("/").pop()), "webkitRelativePath", { value: path }));
  Object.defineProperty(input, "files", { value: files, configurable: true });
  input.dispatchEvent(new Event("change"));
  delete input.files;
}"""


def test_folders_of_images_are_not_mixed(page: Browser, tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab:
        page.page.goto(lab.url)
        page.until("#network-text", "parameters")

        def choose(*paths: str) -> None:
            page.page.evaluate("at => document.getElementById(at).textContent = ''", AT)
            page.page.evaluate(CHOOSE, paths)

        choose("pets/train/cat/1.png", "pets/test/cat/1.png")
        page.until(f"#{AT}", "lie in several folders: pets/test, pets/train.")
        assert not [*(tmp_path / "lab").rglob("*.png")]
        for second in ("cat", "dog"):
            choose("pets/cat/1.png", f"pets/{second}/2.png", "pets/.hidden/3.png")
            page.until(f"#{AT}", "pets")
        found = (p for p in (tmp_path / "lab").rglob("*.png"))
        assert sorted(p.read_text() for p in found) == [
            "pets/cat/1.png",
            "pets/dog/2.png",
        ]


AT = "upload-state"
XOR = {"data": {"source": "xor"}, "model": {"layers": ["Linear"]}}


def encoded(run: Any) -> str:
    """A network as links have it."""
    return base64.urlsafe_b64encode(json.dumps(run).encode()).decode().rstrip("=")


def test_a_link_that_was_cut_is_said(page: Browser, tmp_path: Path) -> None:
    """It opens no other network in silence."""
    whole = encoded(XOR)
    with served(tmp_path / "lab") as lab:
        for cut in (whole[:1], whole[: len(whole) // 2], whole[:-2]):
            page.page.goto("about:blank")
            page.page.goto(f"{lab.url}#run={cut}")
            page.until("#form-problem", "The link is not whole")
            assert page.page.inner_text("#network-text") == ""
        page.page.goto("about:blank")
        page.page.goto(f"{lab.url}#run={whole}")
        page.until("#network-text", "training: 4")
        assert page.page.inner_text("#form-problem") == ""


def test_the_file_for_the_browser_leads_to_the_page(
    page: Browser, tmp_path: Path
) -> None:
    with served(tmp_path / "lab") as lab:
        link = f"#run={encoded(XOR)}\"'<b>"
        door = doorway.write(tmp_path / "door", f"{lab.url}{link}")
        page.page.goto(door.as_uri())
        page.until("#network-text", "parameters")
        assert page.page.url.startswith(f"http://127.0.0.1:{lab.port}/")
        assert "token" not in page.page.url


def test_a_build_without_end_is_cancelled(page: Browser, tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab:
        page.page.goto(lab.url)
        page.until("#network-text", "parameters")
        page.page.click("#step")
        page.until("#figures", "paused")
        page.page.fill('.option[data-key="samples"] input', "10000000")
        page.page.fill(
            '[data-layer="0"] .option[data-key="out_features"] input', "9999"
        )
        page.page.fill(
            '[data-layer="2"] .option[data-key="out_features"] input', "9999"
        )
        page.page.click("#build")
        page.page.wait_for_selector("#building-part:visible")
        other = Browser(page.page.context.new_page())
        other.page.goto(lab.url)
        other.page.wait_for_selector("#building-part:visible")
        begun = time.monotonic()
        other.page.click("#cancel")
        page.until("#form-problem", "The build was cancelled.", 20)
        assert page.page.is_hidden("#building-part")
        assert time.monotonic() - begun < 20
        # What was there goes on, and another network can be built.
        page.page.click("#step")
        page.until("#figures", "step\n2")
        page.page.fill('.option[data-key="samples"] input', "300")
        page.page.fill('[data-layer="0"] .option[data-key="out_features"] input', "3")
        page.page.fill('[data-layer="2"] .option[data-key="out_features"] input', "3")
        page.page.click("#build")
        page.until("#network-text", "training: 240")
        assert other.errors() == []
