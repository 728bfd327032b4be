"""What all experiments share: texts in both languages, pictures, JSON, refusals."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from chainrule import book, engines, viz
from chainrule.book import experiments
from chainrule.book.experiments import Experiment
from chainrule.book.experiments.experiment import WIDTH, compared, listed, paired
from chainrule.errors import ArgumentError, ChainruleWarning
from chainrule.text import languages
from chainrule.text.numbers import width
from chainrule.viz import drawing
from tests.book.experiments.conftest import ENGINES, GIVEN, SMALL


def chinese(text: str) -> int:
    return sum("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.mark.parametrize("name", experiments.names())
def test_an_experiment_is_of_the_book(name: str) -> None:
    module = experiments.find(name)
    assert module.SECTIONS
    assert set(module.SECTIONS) <= set(book.sections())
    asked = {shown for entry in book.entries() for shown in entry.shows}
    assert f"chainrule explore {name}" in asked


@pytest.mark.one_in(2)
@pytest.mark.parametrize("spoken", ["en", "zh"])
def test_it_tells_question_table_and_answer(done: Experiment, spoken: str) -> None:
    with languages.language(spoken):
        text, about, rows = str(done), done.about, done.table
        answer = done.answer
    assert text.startswith(done.name)
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(rows) > 2
    for said in (about.title, about.question, about.done, *(a.text for a in answer)):
        assert "{" not in said
        assert said
        assert (chinese(said) > 3) == (spoken == "zh"), said
    if spoken == "en":
        assert not chinese(text)
    prose = [line for line in text.split("\n") if "•" in line]
    assert len(prose) == len(answer) >= 2
    assert max(map(width, prose)) <= WIDTH


@pytest.mark.filterwarnings("ignore:Glyph .* missing")  # fonts may lack
@pytest.mark.one_in(3)
def test_it_draws(done: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    drawn: list[str] = []
    draw = done.module.draw

    def watched(figure: Any, found: Any) -> None:
        draw(figure, found)
        for axes in figure.axes:
            drawn.extend([axes.get_title(), axes.get_xlabel()])
            assert axes.has_data() or axes.patches

    monkeypatch.setattr(done.module, "draw", watched)
    monkeypatch.setattr(drawing, "has_chinese", lambda: True)
    monkeypatch.setattr(drawing, "png", lambda figure, what: b"")
    with languages.language("zh"):
        done.png()
    assert chinese("".join(drawn)) > 0


def test_its_numbers_are_json(done: Experiment) -> None:
    told = json.loads(json.dumps(done.plain(), allow_nan=False))
    assert told["name"] == done.name
    assert told["answer"][0]["text"]
    assert told["numbers"].keys() == done.numbers.keys()


def test_what_is_told_is_made_of_the_numbers_alone(done: Experiment) -> None:
    """They stay as they are, and a copy of them tells the same."""
    numbers = copy.deepcopy(done.numbers)
    assert done.module.answer(numbers) == done.answer
    assert done.module.table(numbers) == done.table
    assert json.dumps(numbers) == json.dumps(done.numbers)


def test_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    found = experiments.run("symmetry", out=tmp_path / "a" / "b")
    picture, numbers = (tmp_path / "a/b" / f"symmetry.{e}" for e in ("png", "json"))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert json.loads(numbers.read_text("utf-8"))["sections"] == ["3.9", "3.6"]
    monkeypatch.setattr("chainrule.viz.can_plot", lambda: False)
    assert found.save(tmp_path / "c") == [tmp_path / "c" / "symmetry.json"]


def test_a_picture_without_a_chinese_font(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(drawing, "has_chinese", lambda: False)
    found = experiments.run("symmetry")
    english = found.png()
    with (
        languages.language("zh"),
        pytest.warns(ChainruleWarning, match="No installed font has Chinese"),
    ):
        assert found.png() == english


@pytest.mark.parametrize(
    ("name", "near"),
    [("vanishin", "explore vanishing"), ("深度", "explore$"), (3, "explore$")],
)
def test_an_unknown_experiment(name: Any, near: str) -> None:
    with pytest.raises(ArgumentError, match=rf"no experiment (.|\n)*chainrule {near}"):
        experiments.find(name)


@pytest.mark.parametrize("how", [{"seed": -1}, {"seed": 0.5}, {"quick": 2}])
def test_a_bad_setting(how: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        experiments.run("convergence", **how)


def test_the_same_seed_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_registry", ENGINES)
    for constant, value in SMALL["batches"].items():
        monkeypatch.setattr(experiments.find("batches"), constant, value)
    one, same = (experiments.run("batches", seed=3).numbers for _ in range(2))
    assert one == same
    assert one != experiments.run("batches", seed=4).numbers


def test_words_of_sentences() -> None:
    assert compared(False, "a", "b").expected == "b"
    assert compared(True, "a", "b").expected == ""
    assert listed([]) == "–"
    with languages.language("zh"):
        assert paired({"a": "1", "b": "2"}) == "a：1；b：2"


PARAMETERS = [
    (name, parameter)
    for name in experiments.names()
    for parameter in experiments.find(name).PARAMETERS
]


@pytest.mark.filterwarnings("error")
@pytest.mark.one_in(6)
@pytest.mark.parametrize(
    ("name", "parameter"), PARAMETERS, ids=[f"{n}-{p.name}" for n, p in PARAMETERS]
)
def test_a_parameter_at_its_ends(
    name: str, parameter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is told and drawn there, and it has an effect."""
    module = experiments.find(name)
    monkeypatch.setattr(engines, "_registry", ENGINES)
    for constant, value in SMALL.get(name, {}).items():
        monkeypatch.setattr(module, constant, value)
    told = []
    for value in (parameter.low, parameter.high):
        given = {**GIVEN.get(name, {}), parameter.name: value}
        found = experiments.run(name, quick=True, **given)
        assert found.plain()["parameters"][parameter.name] == value
        text = "".join([found.about.done, *(said.text for said in found.answer)])
        assert "{" not in text
        if viz.can_plot():
            assert found.png()
        told.append((text, json.dumps(found.numbers)))
    assert told[0][1] != told[1][1]
    assert parameter.low <= parameter.default <= parameter.high
    if parameter.quick is not None:
        assert parameter.low <= parameter.quick <= parameter.high


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rat": 0.1}, "no parameter 'rat'"),
        ({"rate": "x"}, "rate cannot have"),
        ({"rate": 7}, "a number from 0.005 to 0.55"),
        ({"rate": float("nan")}, "rate cannot have"),
        ({"rate": True}, "rate cannot have"),
        ({"rate": 10**400}, "rate cannot have"),
    ],
)
def test_a_bad_parameter(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        experiments.run("convergence", **given)
    with pytest.raises(ArgumentError, match="a whole number from 1 to 12"):
        experiments.run("symmetry", inputs=1.5)


def test_a_chosen_rate_is_among_those_that_are_told() -> None:
    found = experiments.run("convergence", rate=0.3, kappa=10)
    assert [row["rate"] for row in found.numbers["rates"]].count(0.3) == 1
    assert {0.3, 0.125} < {row["rate"] for row in found.numbers["rates"]}
    # ρ = max |1 − ηλ| with λ = 0.4 and 4.
    row = next(r for r in found.numbers["rates"] if r["rate"] == 0.3)
    assert row["measured"] == pytest.approx(1 - 0.3 * 0.4)
    assert "κ = 10" in str(found)
