"""The page of the lab in a real browser."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.test_server import Served, children, served

pytestmark = pytest.mark.slow


class Browser:
    """A page of a lab, and what its console said."""

    def __init__(self, page: Any) -> None:
        self.page, self.said = page, []
        page.on("console", lambda m: self.said.append((m.type, m.text)))
        page.on("pageerror", lambda e: self.said.append(("error", str(e))))

    def text(self, place: str) -> str:
        return self.page.inner_text(place)

    def until(self, place: str, text: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while text not in self.text(place):
            assert time.monotonic() < end, self.text(place)
            self.page.wait_for_timeout(30)

    def errors(self) -> list[Any]:
        lost = "WebSocket connection"  # of a server that is gone, by the browser
        return [m for m in self.said if m[0] == "error" and lost not in m[1]]


@contextlib.contextmanager
def opened(chromium: Any, lab: Served, **options: Any) -> Iterator[Browser]:
    context = chromium.new_context(viewport={"width": 1300, "height": 1000}, **options)
    browser = Browser(context.new_page())
    try:
        browser.page.goto(lab.url)
        browser.until("#network-text", "parameters")
        yield browser
        assert browser.errors() == []
    finally:
        context.close()


def test_a_network_is_built_trained_paused_stepped_and_clicked(
    chromium: Any, tmp_path: Path
) -> None:
    with served(tmp_path / "lab") as lab, opened(chromium, lab) as seen:
        page = seen.page
        assert "token" not in page.url
        page.fill('.option[data-key="epochs"] input', "100000")
        page.fill('.option[data-key="samples"] input', "300")
        page.click("#build")
        seen.until("#network-text", "training: 240")
        page.click("#train")
        seen.until("#figures", "training")
        page.wait_for_timeout(1000)
        page.click("#train")
        seen.until("#figures", "paused")
        before = int(
            seen.text("#figures").split("step\n")[1].split("\n")[0].replace(",", "")
        )
        page.click("#step")
        seen.until("#figures", f"{before + 1:,}")
        page.fill("#row", "3")
        page.click("#open")
        page.wait_for_selector(".equation.backward")
        page.click(".equation.parameter .matrix button >> nth=1")
        page.wait_for_selector("#path table")
        assert "W⁽¹⁾[1, 2]" in seen.text("#path")
        page.click("#first")
        assert page.locator(".equation:visible").count() == 1
        page.click("#next")
        assert page.locator(".equation:visible").count() == 2
        # The past, by the keyboard.
        page.focus("#past")
        page.keyboard.press("Home")
        seen.until("#past-step", "step 0")
        page.click("#now")
        seen.until("#past-step", f"{before + 1:,}")
        # A reload, and a second tab, show the same run.
        page.reload()
        seen.until("#figures", f"{before + 1:,}")
        other = Browser(page.context.new_page())
        other.page.goto(lab.url)
        other.until("#figures", f"{before + 1:,}")
        other.page.click("#train")
        seen.until("#figures", "training")


def test_nothing_lies_beneath_what_stays_on_top(chromium: Any, lab: Served) -> None:
    seen_at = """(place) => {
      const box = document.querySelector(place).getBoundingClientRect();
      const top = document.elementFromPoint(box.left + 9, box.top + 9);
      return !!top?.closest(place);
    }"""
    with opened(chromium, lab) as seen:
        page = seen.page
        page.emulate_media(reduced_motion="reduce")
        page.click("#open")
        page.wait_for_selector(".equation.backward")
        page.click(".equation.backward .matrix button >> nth=-1")
        page.wait_for_selector("#path table")
        assert page.evaluate("scrollY") > 500
        assert page.evaluate(seen_at, "#run-part")
        assert page.evaluate(seen_at, "#path")
        page.evaluate("document.querySelector('#doctor-part').scrollIntoView()")
        assert page.evaluate(seen_at, "#doctor-part")


def test_mnist_is_learnt_and_a_digit_read(chromium: Any, tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab, opened(chromium, lab) as seen:
        page = seen.page
        page.select_option("#source", "mnist")
        page.click("#build")
        seen.until("#network-text", "54,000")
        page.click("#train")
        seen.until("#figures", "finished", 600)
        accuracy = (
            seen.text("#figures").split("validation accuracy\n")[1].split("\n")[0]
        )
        assert float(accuracy) >= 0.98
        box = page.locator("#drawn").bounding_box()
        page.locator("#drawn").scroll_into_view_if_needed()
        box = page.locator("#drawn").bounding_box()
        page.mouse.move(box["x"] + 140, box["y"] + 50)
        page.mouse.down()
        for i in range(20):
            page.mouse.move(box["x"] + 140 - i, box["y"] + 50 + 9 * i)
        page.mouse.up()
        seen.until("#answer", "1, ")


def test_a_process_and_a_server_that_die(chromium: Any, tmp_path: Path) -> None:
    lab = Served(tmp_path / "lab")
    try:
        with opened(chromium, lab) as seen:
            page = seen.page
            page.click("#step")
            while not (tmp_path / "lab" / "1" / "last.ckpt").exists():
                page.wait_for_timeout(30)
            for child in children(lab.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            seen.until("#problem", "has ended")
            page.click("#train")
            seen.until("#figures", "finished", 120)
            lab.process.kill()
            # First "lost", and from the next try on:
            seen.until("#connection", "No lab answers")
            assert page.is_disabled("#train")
    finally:
        lab.process.kill()
        lab.process.communicate()


def test_a_connection_that_comes_back(chromium: Any, tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab, opened(chromium, lab) as seen:
        page, routes = seen.page, []
        down = False

        def through(route: Any) -> None:
            if down:
                route.close()
                return
            route.connect_to_server()
            routes.append(route)

        page.route_web_socket("**/ws", through)
        page.reload()
        seen.until("#network-text", "parameters")
        page.fill('.option[data-key="samples"] input', "300")
        page.keyboard.press("Tab")
        down = True
        routes[-1].close()
        seen.until("#connection", "No lab answers")
        page.wait_for_timeout(2000)  # several tries
        assert page.is_disabled("#build")
        down = False
        page.wait_for_selector("#build:enabled")
        assert page.input_value('.option[data-key="samples"] input') == "300"
        page.click("#build")
        seen.until("#network-text", "training: 240")
        assert page.is_hidden("#problem")
        assert page.inner_text("#form-problem") == ""


def test_everything_that_can_be_used_has_a_name(chromium: Any, tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab, opened(chromium, lab) as seen:
        seen.page.click("#open")
        seen.page.wait_for_selector(".equation")
        nameless = seen.page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, [role]")]
              .filter((e) => e.offsetParent)
              .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() ||
                e.getAttribute("aria-labelledby") || e.labels?.length))
              .filter((e) => !["status", "alert"].includes(e.getAttribute("role")))
              .map((e) => e.outerHTML.slice(0, 100))"""
        )
        assert nameless == []
