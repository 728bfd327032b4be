"""Another language says the same of all that is open, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from chainrule.doctor.labels import METRICS
from chainrule.text import translated
from chainrule.text.languages import language
from tests.lab.test_browser import Browser, opened
from tests.lab.test_browser_writing import poem
from tests.lab.test_models import DATA, MODULE, python
from tests.lab.test_server import Served, served

pytestmark = pytest.mark.slow
#: Whether a sample and a path have Chinese characters, or none.
SPOKEN = """(zh) => ["#path", "#sample"].every((place) =>
  /[\\u4e00-\\u9fff]/.test(document.querySelector(place).innerText) === zh)"""


#: Choose a language; return what pictures say of themselves in the same moment.
CHOOSE = """(name) => {
  const chosen = document.querySelector("#language");
  chosen.value = name;
  chosen.dispatchEvent(new Event("change"));
  return [...document.querySelectorAll("#picture img")].map((image) => image.alt);
}"""


def speak(page: Any, name: str) -> None:
    page.select_option("#language", name)
    page.wait_for_timeout(50)


def test_a_sample_its_path_and_a_cell_stay_open(chromium: Any, tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab, opened(chromium, lab) as seen:
        page = seen.page
        page.click("#step")
        page.wait_for_selector("#confusion table")
        page.click("#confusion button >> nth=0")
        page.wait_for_selector("#cell button")
        page.select_option("#part", "validation")
        page.fill("#row", "3")
        page.click("#open")
        page.wait_for_selector(".equation.backward")
        page.click("#saliency-part summary")
        page.wait_for_selector("#saliency .salient")
        page.click(".equation.parameter .matrix button >> nth=1")
        page.wait_for_selector("#path table")
        page.click(".fold >> nth=0 >> summary")  # it is closed then
        page.click("#first")
        page.click("#next")
        page.click("#network .unit >> nth=3")
        page.click("#step")  # the weights are others now, the sample's are not
        seen.until("#figures", "step\n2")
        before = read(seen)
        for name in ("zh-TW", "en", "zh-TW"):
            speak(page, name)
            page.wait_for_function(SPOKEN, arg=name == "zh-TW")
            assert read(seen) == before
            title = page.get_attribute('.option[data-key="samples"]', "title")
            assert any("\u4e00" <= c <= "\u9fff" for c in title) == (name == "zh-TW")


HAN = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize("text", [MODULE, DATA], ids=["without data", "with data"])
def test_a_network_of_a_file_is_said_anew(
    chromium: Any, tmp_path: Path, text: str
) -> None:
    with (
        served(tmp_path / "lab", python(tmp_path, text)) as lab,
        opened(chromium, lab) as seen,
    ):
        page = seen.page
        for name in ("zh-TW", "en"):
            # A picture of the other language is gone at once; a new one takes its time.
            assert page.evaluate(CHOOSE, name) == []
            for place in ("#train", "#network-text", "#modules summary"):
                assert bool(HAN.search(seen.text(place))) == (name == "zh-TW"), place
            title = page.get_attribute("#picture img", "alt")
            assert bool(HAN.search(title)) == (name == "zh-TW")


def test_what_is_wrong_and_folds_of_the_form_stay(
    chromium: Any, lab: Served, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "nothing.md").write_text("no picture")
    with opened(chromium, lab) as seen:
        page = seen.page
        page.set_input_files("#folder", str(empty))
        page.wait_for_function("document.querySelector('#upload-state').innerText")
        page.fill('.option[data-key="batch_size"] input', "-1")
        page.click("#build")
        page.wait_for_selector("#form-problem .why")
        page.click('[data-section="training"] details summary')
        page.evaluate("document.querySelector('#setup details').open = true")
        folds = "[...document.querySelectorAll('#setup details')].map((d) => d.open)"
        before = page.evaluate(folds)
        assert before.count(True) >= 2
        assert before.count(False) >= 2
        for name in ("zh-TW", "en"):
            speak(page, name)
            for place in ("#form-problem", "#upload-state"):
                assert bool(HAN.search(seen.text(place))) == (name == "zh-TW"), place
            assert page.locator(".option.wrong").count() == 1
            assert page.evaluate(folds) == before


def test_a_score_has_a_name_in_every_language(chromium: Any, lab: Served) -> None:
    with opened(chromium, lab) as seen:
        page = seen.page
        page.select_option("#source", "hills")
        page.fill('.option[data-key="lr"] input', "10")
        page.click("#build")
        page.wait_for_selector("#build:enabled")
        page.click("#diagnose")
        page.wait_for_selector(".finding.sick", timeout=180_000)
        for name in ("en", "zh-TW"):
            speak(page, name)
            with language(name):
                assert translated(METRICS["r2"]) in seen.text("#findings")


def read(seen: Browser) -> dict[str, Any]:
    """What is shown and is the same in every language: numbers, and what is open."""
    page = seen.page
    numbers = """(place) => [...document.querySelectorAll(place)].map((e) =>
      e.innerText.replace(/[^0-9.−-]+/g, " ").trim())"""
    return {
        "part": page.input_value("#part"),
        "row": page.input_value("#row"),
        "sample": page.evaluate(numbers, "#sample p"),
        "path": page.evaluate(numbers, "#path td:nth-child(2)"),
        "cell": page.evaluate(numbers, "#cell button"),
        "salient": page.evaluate(numbers, "#saliency .salient"),
        "equations": page.locator(".equation:visible").count(),
        "folds": page.evaluate(
            "[...document.querySelectorAll('#inside details')].map((d) => d.open)"
        ),
        "unit": page.locator("#output button:visible").count(),
    }


def test_what_was_written_and_foreseen_stays(
    chromium: Any, lab: Served, tmp_path: Path
) -> None:
    with opened(chromium, lab) as seen:
        page = seen.page
        page.set_input_files("#files", poem(tmp_path))
        page.click("#read-text")
        page.fill('[data-key="length"] input', "8")
        page.fill('[data-key="width"] input', "16")
        page.keyboard.press("Tab")
        page.click("#build")
        page.wait_for_selector("#writing-part:visible")
        page.fill("#prompt", "the cat sat on the mat")
        page.click("#write")
        seen.until("#writing-state", "Written")
        page.click("#foresee")
        page.wait_for_selector("#foreseen meter")
        written, bars = seen.text("#written"), page.locator("#foreseen meter").count()
        page.click("#shares button >> nth=0")
        page.wait_for_function("document.querySelector('#share-state').innerText")
        for name in ("zh-TW", "en"):
            speak(page, name)
            assert seen.text("#written") == written
            assert page.locator("#foreseen meter").count() == bars
            for place in ("#writing-state", "#foreseen p", "#share-state"):
                said = page.inner_text(f"{place} >> nth=0")
                assert said
        assert "Written" in seen.text("#writing-state")


def test_a_count_agrees_with_its_noun(chromium: Any, lab: Served) -> None:
    with opened(chromium, lab) as seen:
        said = seen.page.evaluate(
            """async () => {
              const { t } = await import("/js/texts.js");
              const keys = ["sick", "healthy_notes", "rows_n", "columns_n",
                "more_terms", "steps_a_second", "parameters_n", "foreseen_left_out"];
              return keys.map((key) => [t(key, { n: 1 }), t(key, { n: 1200 })]);
            }"""
        )
        for one, many in said:
            assert one != many
            assert "1,200" in many
        assert said[0] == ["1 finding:", "1,200 findings, the likeliest cause first:"]
