"""Clinics: each is sick of what it should be, the doctor says so, the change cures."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import pytest

from chainrule import book, engines
from chainrule.book import clinics
from chainrule.book.clinics import Visit
from chainrule.doctor import registered
from chainrule.errors import ArgumentError
from chainrule.text import Message, messages
from chainrule.text.numbers import width
from tests.book.experiments.conftest import ENGINES

each = pytest.mark.parametrize("name", clinics.names())
#: A visit takes seconds: of the five, two are made at every run of the tests.
OFTEN = ("clinic-3", "clinic-5")
each_visited = pytest.mark.parametrize(
    "name",
    [
        name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow)
        for name in clinics.names()
    ],
)


@functools.cache
def visit(name: str, seed: int = 0) -> Visit:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_registry", ENGINES)
        return clinics.run(name, quick=True, seed=seed)


@each
def test_it_is_of_the_book(name: str) -> None:
    clinic = clinics.find(name)
    assert set(clinic.sections) <= set(book.sections())
    asked = {shown for entry in book.entries() for shown in entry.shows}
    assert f"chainrule explore {name}" in asked
    assert clinic.code in {symptom.code for symptom in registered()}
    assert clinic.code in {code for code, __ in clinics.CHOICES.values()}
    assert clinic.shows in clinics.ASKS


@each_visited
def test_the_doctor_finds_it_first_and_its_change_cures(name: str) -> None:
    done = visit(name)
    first = done.diagnosis.findings[0]
    assert (first.code, first.severity) == (done.clinic.code, "sick")
    assert first.consequence_of is None
    sick, cured = (
        done.numbers[run]["epochs"][-1]["accuracy"] for run in ("sick", "cured")
    )
    assert cured > sick + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@each
def test_other_seeds(name: str, seed: int) -> None:
    done = visit(name, seed)
    assert done.diagnosis.findings[0].code == done.clinic.code


def number(text: str) -> float:
    return float(text.replace(",", "").rstrip("%"))


def gradients_vanish(done: Visit) -> None:
    rows = done.asked("gradients")[1:]
    assert number(rows[0][1]) < 1e-12 < 1e-3 < number(rows[-1][1])


def the_loss_rises(done: Visit) -> None:
    assert max(number(row[1]) for row in done.asked("loss")[1:]) > 2 * math.log(10)
    assert "lr=10.0" in done.shown("program")


def weights_are_zero(done: Visit) -> None:
    assert {row[1] for row in done.asked("weights")[1:]} == {"0"}


def inputs_are_unscaled(done: Visit) -> None:
    rows = {row[0]: row[1] for row in done.asked("data")[1:]}
    assert rows["greatest number"] == "255"


def outputs_are_shares(done: Visit) -> None:
    sums = [number(row[-1]) for row in done.asked("outputs")[1:]]
    assert sums == pytest.approx([1, 1, 1], abs=1e-3)


SHOWN = {
    "clinic-1": gradients_vanish,
    "clinic-2": the_loss_rises,
    "clinic-3": weights_are_zero,
    "clinic-4": inputs_are_unscaled,
    "clinic-5": outputs_are_shares,
}


@each_visited
def test_what_one_asks_for_shows_it(name: str) -> None:
    SHOWN[name](visit(name))


@each_visited
@pytest.mark.parametrize("ask", clinics.ASKS)
def test_a_table_has_as_many_cells_in_each_row(name: str, ask: str) -> None:
    rows = visit(name).asked(ask)
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}
    assert "nan" not in visit(name).shown(ask)


@each_visited
def test_nothing_says_what_it_is_before_the_answer(name: str) -> None:
    done = visit(name)
    told = json.dumps([done.plain(answered=False), done.complaint()])
    assert done.clinic.code not in told
    assert str(done.clinic.lesson) not in told
    assert "cured" not in told
    page = done._repr_html_()
    folded = page.rindex("<details>")
    assert done.clinic.code not in page[:folded]
    assert done.clinic.code in page[folded:]
    program = done.shown("program")
    assert not any(code in program for code, __ in clinics.CHOICES.values())


@each_visited
def test_the_answer(name: str) -> None:
    done = visit(name)
    right = next(k for k, (c, __) in clinics.CHOICES.items() if c == done.clinic.code)
    assert done.answered(right).startswith("  Right: ")
    assert done.answered("f").startswith("  That is not it. ")
    text = str(done)
    assert text.startswith(f"{name}: ")
    assert f": {done.clinic.code} (" in text
    assert str(done.clinic.lesson).split()[-1] in text
    assert max(map(width, done.complaint().splitlines())) <= 88


@each_visited
def test_every_word_is_a_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = clinics.find(name)
    texts = clinic.title, clinic.complaint, clinic.lesson
    assert all(isinstance(text, Message) for text in texts)
    monkeypatch.setattr(messages, "lookup", lambda text: f"⟦{text}⟧" if text else text)
    for line in visit(name).complaint().splitlines():
        words = [w for w in line.split() if w.isalpha() and len(w) > 2]
        assert not words or "⟦" in line or "⟧" in line or line.startswith(name), line


@each_visited
def test_its_numbers_are_json(name: str) -> None:
    done = visit(name)
    told = json.loads(json.dumps(done.plain(), allow_nan=False))
    assert told["answer"]["code"] == done.clinic.code
    assert told["answer"]["diagnosis"]["healthy"] is False
    assert "answer" not in done.plain(answered=False)


def test_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    done = visit("clinic-3")
    picture, numbers = done.save(tmp_path / "a")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads(numbers.read_text("utf-8"))["name"] == "clinic-3"
    assert done.png(answered=False) != picture.read_bytes()
    monkeypatch.setattr("chainrule.viz.can_plot", lambda: False)
    assert [p.name for p in done.save(tmp_path / "b")] == ["clinic-3.json"]


def test_the_same_seed_the_same_numbers() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_registry", ENGINES)
        again = clinics.run("clinic-5", quick=True)
    assert again.plain() | {"seconds": 0} == visit("clinic-5").plain() | {"seconds": 0}


@pytest.mark.parametrize("name", ["clinic-0", "", 3])
def test_an_unknown_clinic(name: Any) -> None:
    with pytest.raises(ArgumentError, match="no clinic"):
        clinics.find(name)


def test_an_unknown_ask_or_answer() -> None:
    done = visit("clinic-3")
    with pytest.raises(ArgumentError, match="does not show 'gradient'") as caught:
        done.asked("gradient")
    assert caught.value.fix == "--ask gradients"
    with pytest.raises(ArgumentError, match="no answer 'z'"):
        done.answered("z")
