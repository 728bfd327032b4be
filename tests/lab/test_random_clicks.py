"""Random clicks on everything that the page has: no error, and nothing lost.

``CLICKS=10000 pytest -m slow tests/lab/test_random_clicks.py`` is the full check;
``SEED`` draws others.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.test_browser import Browser
from tests.lab.test_models import TABLE, TRAINER, dense, python
from tests.lab.test_server import served

pytestmark = pytest.mark.slow
#: Clicks over all scenes, those of one go, and what they are drawn from.
CLICKS, GO = int(os.environ.get("CLICKS", "1200")), 25
SEED = int(os.environ.get("SEED", "0"))
#: Clicks, and answers: what is typed, chosen, moved, drawn and pressed.
SCRIPT = """([seed, count, tame]) => {
  let state = seed;
  const next = (n) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * n);
  };
  const kinds = "button, summary, select, input, textarea, canvas[tabindex], " +
    "td button, #show-all, header nav a, #explorations a";
  let made = 0;
  for (let i = 0; i < count; i++) {
    const all = [...document.querySelectorAll(kinds)].filter((e) =>
      e.offsetParent && !e.disabled && e.type !== "file" &&
        !(tame && e.id === "diagnose"));
    const one = all[next(all.length)];
    if (!one) continue;
    made += 1;
    if (one.tagName === "SELECT") {
      const some = [...one.options].filter((o) => o.value !== "mnist");
      if (!some.length) continue;
      one.value = some[next(some.length)].value;
      one.dispatchEvent(new Event("change"));
    } else if (one.tagName === "CANVAS") {
      const box = one.getBoundingClientRect();
      for (const type of ["pointerdown", "pointermove", "pointermove", "pointerup"]) {
        one.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1,
          clientX: box.left + next(box.width), clientY: box.top + next(box.height) }));
      }
    } else if (["number", "text", "textarea"].includes(one.type)) {
      const texts = ["", "0", "1", "2", "3", "8", "-1", "1e9", "0.5", "x", "<b>"];
      one.value = texts[next(texts.length)];
      one.dispatchEvent(new Event("change"));
    } else if (one.type === "range") {
      one.value = String(next(1 + Number(one.max)));
      one.dispatchEvent(new Event("input"));
    } else one.click();
  }
  return made;
}"""


def toys(page: Any, folder: Path) -> None:
    page.click("#build")


def chinese(page: Any, folder: Path) -> None:
    page.select_option("#language", "zh-TW")


def mnist(page: Any, folder: Path) -> None:
    page.select_option("#source", "mnist")
    page.fill('.option[data-key="limit"] input', "200")
    page.click("#build")
    page.wait_for_selector("#digit-part:visible")


def table(page: Any, folder: Path) -> None:
    (folder / "t.csv").write_text(TABLE)
    page.set_input_files("#files", str(folder / "t.csv"))
    page.wait_for_selector("#questions button")
    page.select_option("#target", "c")
    page.wait_for_selector("#questions button:enabled")
    page.click("#questions button.main")
    page.click("#build")
    page.wait_for_function(
        "() => document.querySelector('#network-text').textContent.includes(': 54')"
    )


def text(page: Any, folder: Path) -> None:
    page.fill('.option[data-key="length"] input', "8")
    page.click("#build")
    page.wait_for_selector("#writing-part:visible")


def poem(folder: Path) -> str:
    (folder / "poem.txt").write_text("the cat sat on the mat.\n" * 30)
    return str(folder / "poem.txt")


def hiding(page: Any, folder: Path) -> None:
    page.click("#build")
    page.click("#hiding summary")


def explorations(page: Any, folder: Path) -> None:
    page.click("#build")
    page.click("#to-explore")


def reload(page: Any) -> None:
    """Load the page anew; what it hides is shown again, and the network too."""
    page.reload()
    page.wait_for_selector("#build", state="attached")
    if page.is_visible("#show-all"):
        page.click("#show-all")
    page.click("#to-network")
    page.wait_for_selector("#build:visible")


def of_the_file(page: Any, folder: Path) -> None:
    # Until now the network is shown without a run, which a click might cancel.
    page.wait_for_selector("#figures dd")
    page.click("#build")


#: What is clicked on: how it is opened, and what makes it ready.
SCENES: dict[str, tuple[Callable[[Path], str] | None, Callable[[Any, Path], None]]] = {
    "toys": (None, toys),
    "chinese": (None, chinese),
    "mnist": (None, mnist),
    "table": (None, table),
    "hiding": (None, hiding),
    "explorations": (None, explorations),
    "text": (poem, text),
    "onnx": (dense, lambda page, folder: table(page, folder)),
    "python": (lambda folder: python(folder, TRAINER, "make"), of_the_file),
}


@pytest.mark.parametrize("scene", SCENES)
def test_random_clicks_break_nothing(chromium: Any, tmp_path: Path, scene: str) -> None:
    opens, prepare = SCENES[scene]
    target = [] if opens is None else [opens(tmp_path)]
    draw = random.Random(f"{SEED} {scene}")
    context = chromium.new_context(viewport={"width": 1300, "height": 1000})
    with served(tmp_path / "lab", *target) as lab:
        seen = Browser(context.new_page())
        page = seen.page
        page.goto(lab.url)
        seen.until("#network-text", "parameters")
        prepare(page, tmp_path)
        left = math.ceil(CLICKS / len(SCENES))
        while left > 0:
            tame = draw.random() < 0.9  # the doctor trains, so it comes rarely
            left -= page.evaluate(SCRIPT, [draw.randrange(2**31), min(GO, left), tame])
            page.wait_for_timeout(20)
            assert seen.errors() == []
            assert lab.process.poll() is None
            if draw.random() < 0.05:
                reload(page)
            if scene == "explorations" and page.is_visible("#to-explore"):
                page.click("#to-explore")
        page.evaluate("document.querySelector('#cancel').click()")
        page.wait_for_selector("#building-part", state="hidden")
        reload(page)
        page.wait_for_selector("#build:enabled")
        page.select_option("#language", "en")
        seen.until("#figures", "step")
        if "Pause" in seen.text("#train"):
            page.click("#train")
            page.wait_for_function(
                "() => document.querySelector('#train').textContent !== 'Pause'"
            )
        step = int(
            seen.text("#figures").split("step\n")[1].split("\n")[0].replace(",", "")
        )
        assert seen.errors() == []
        code, words = lab.end()
        assert code == 0
        if step:  # what was trained is there
            path = words.partition("What was trained is in ")[2].strip().splitlines()[0]
            assert steps_in(Path(path)) == step
    context.close()


def steps_in(run: Path) -> int:
    """The updates that a checkpoint has, whatever network it is of."""
    from chainrule.training import checkpoint

    document, __ = checkpoint.read(checkpoint.locate(run))
    return document["optimizer_steps"]
