"""Every view of the lab's page, and how to come to it, for tests that all share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chainrule.book import experiments
from tests.lab.test_sentences import ATTENDING, said

#: What a test does with a view: its name.
Check = Callable[[str], None]


def tables(folder: Path) -> tuple[Path, Path]:
    """A table with a question, and one of sentences."""
    folder.mkdir(exist_ok=True)
    days = "".join(f"{i},{i % 12 + 1:02d}/03/2024,{i % 2}\n" for i in range(40))
    asking = folder / "sold.csv"
    asking.write_text(f"size,day,sold\n{days}")
    return asking, folder / said(folder)


def open_folds(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.wait_for_timeout(100)  # until what listens to it has heard


def of_a_network(page: Any) -> Iterator[str]:
    """The views of a network of points: as it is built, trained, and opened up."""
    open_folds(page)
    yield "a new network"
    page.evaluate("location.hash = 'hide=curves,noise,nonsense'")
    page.wait_for_selector("#hidden-problem:visible")
    open_folds(page)
    yield "a page that hides something"
    page.click("#show-all")
    page.click("#step")
    page.wait_for_selector("#confusion table")
    open_folds(page)
    yield "a network after a step"
    page.click("#confusion button >> nth=0")
    page.click("#open")
    page.wait_for_selector(".equation.backward")
    page.wait_for_selector("#saliency .salient")
    page.click(".equation.parameter .matrix button >> nth=1")
    page.wait_for_selector("#path table")
    open_folds(page)
    yield "a sample and a path"
    page.click("#first")
    yield "the first equation of a sample"
    page.click("#network .unit >> nth=2")
    yield "what a unit answers"


def of_uploads(page: Any, folder: Path) -> Iterator[str]:
    """Questions of a table, and a network of sentences."""
    asking, texts = tables(folder)
    page.set_input_files("#files", str(asking))
    page.wait_for_selector("#questions fieldset")
    open_folds(page)
    yield "questions of a table"
    page.set_input_files("#files", str(texts))
    page.wait_for_selector(
        '#text-column option[value="sentence"]:checked', state="attached"
    )
    yield "a table of sentences"
    page.click("#questions button.main")
    page.select_option('[data-layer="1"] select', ATTENDING[1]["class"])
    page.fill('[data-layer="1"] .option[data-key="nhead"] input', "2")
    page.keyboard.press("Tab")
    page.click("#build")
    page.wait_for_selector("#sentence-part:visible", timeout=60_000)
    page.fill("#sentence", "the film was so lovely, truly")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sentence-inside .attention")
    page.click("#open")
    page.wait_for_selector("#saliency .attention", state="attached")
    open_folds(page)
    yield "sentences"


def of_writing(page: Any, folder: Path) -> Iterator[str]:
    """A text that is read character by character, and written."""
    folder.mkdir(exist_ok=True)
    text = folder / "poem.txt"
    text.write_text("the cat sat on the mat.\n" * 30)
    page.set_input_files("#files", str(text))
    page.wait_for_selector("#read-text")
    open_folds(page)
    yield "a text that was uploaded"
    page.click("#read-text")
    page.fill('.option[data-key="length"] input', "16")
    page.click("#build")
    page.wait_for_selector("#writing-part:visible", timeout=60_000)
    page.click("#step")
    page.wait_for_selector("#history:visible")
    page.fill("#prompt", "the cat\nsat")
    page.click("#write")
    page.wait_for_selector("#writing-state:has-text('1')")
    page.click("#foresee")
    page.wait_for_selector("#foreseen-inside .attention")
    page.click("#open")
    page.wait_for_selector(".equation.backward")
    open_folds(page)
    page.wait_for_selector("#saliency .attention")
    yield "a text that is written"
    page.fill("#prompt", "貓")
    page.click("#foresee")
    page.wait_for_selector("#foreseen .why")
    yield "a character that was never read"


def of_pictures(page: Any) -> Iterator[str]:
    """A network of digits, one drawn by hand, and a form that is wrong."""
    page.select_option("#source", "mnist")
    page.fill('.option[data-key="limit"] input', "300")
    page.click("#build")
    page.wait_for_selector("#digit-part:visible", timeout=60_000)
    page.click("#step")
    page.wait_for_selector("#confusion table")
    page.focus("#drawn")
    for __ in range(6):
        page.keyboard.press("Shift+ArrowDown")
    page.wait_for_selector("#answer .bar")
    page.click("#open")
    page.wait_for_selector(".equation.backward")
    open_folds(page)
    page.wait_for_selector("#saliency canvas")
    yield "pictures"
    page.fill('.option[data-key="batch_size"] input', "-1")
    page.click("#build")
    page.wait_for_selector("#form-problem .why")
    yield "an error in the form"


def of_the_doctor(page: Any) -> Iterator[str]:
    """What the doctor says, and what is shared."""
    page.click("#diagnose")
    page.wait_for_selector(
        "#doctor-state:has-text('…')", state="detached", timeout=180_000
    )
    open_folds(page)
    yield "the doctor"


def of_explorations(page: Any) -> Iterator[str]:
    """Each exploration, with its table, and one that cannot be done."""
    page.click("#to-explore")
    for name in experiments.names():
        page.click(f'#explorations a[href="#explore={name}"]')
        page.wait_for_selector(
            f'#exploration-found[data-name="{name}"]:not(.old)', timeout=120_000
        )
        open_folds(page)
        yield f"exploration {name}"
