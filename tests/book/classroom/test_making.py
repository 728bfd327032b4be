"""Sheets of a class: one for each name, with numbers of its own, and their key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.book.classroom import classroom, making
from chainrule.book.classroom.students import file_name, read_names
from chainrule.book.work import load
from chainrule.errors import ArgumentError, DataError
from chainrule.html.arrays import POLICY
from tests.book.classroom.conftest import NAMES, SPEC


def test_each_student_has_other_numbers(folder: Path) -> None:
    forms = sorted((folder / "forms").iterdir())
    given = [tomllib.loads(form.read_text("utf-8")) for form in forms]
    assert [form["student"] for form in given] == NAMES
    assert [form["seed"] for form in given] == [3, 4, 5, 6]
    assert len({str((form["x"], form["weights"])) for form in given}) == len(NAMES)
    # The same names and seed give the same class.
    again = dict(classroom(SPEC, NAMES, seed=3).files())
    assert all(again[f"forms/{f.name}"] == f.read_text("utf-8") for f in forms)


def test_the_key_has_the_exercise_of_the_form_and_right_answers(folder: Path) -> None:
    for form in (folder / "forms").iterdir():
        key = folder / "key" / form.name
        asked, solved = (tomllib.loads(p.read_text("utf-8")) for p in (form, key))
        answers = solved.pop("answers")
        blanks = asked.pop("answers")
        assert asked == solved
        assert load(key).marked().ok
        for name, numbers in answers.items():
            assert np.shape(numbers) == np.shape(blanks[name])
            assert set(np.ravel(np.array(blanks[name], object))) == {"?"}


def test_no_answer_stands_in_what_is_handed_out(folder: Path) -> None:
    for key in (folder / "key").iterdir():
        answers = tomllib.loads(key.read_text("utf-8"))["answers"]
        numbers = {str(n) for v in answers.values() for n in np.ravel(v)}
        long = {n.lstrip("-0.") for n in numbers if len(n.lstrip("-0.")) >= 4}
        assert len(long) > 5
        for name in (f"forms/{key.name}", f"sheets/{key.stem}.html"):
            text = (folder / name).read_text("utf-8")
            assert not [n for n in long if n in text], name
        for name in ("key.html", "key.tex"):
            text = (folder / name).read_text("utf-8")
            assert all(n in text for n in long), name


def test_sheets_have_blanks_of_their_shape_a_picture_and_room(folder: Path) -> None:
    page = (folder / "sheets" / "001-ada-lovelace.html").read_text("utf-8")
    assert "Ada Lovelace" in page
    assert "--seed 3" in page
    assert page.count('<svg viewBox="0 0 510') == 1
    assert page.count('class="room"') == 9
    assert "break-before" in page
    blanks = re.findall(
        r'<table( class="sides")?>((?:<tr>(?:<td class=blank></td>)+</tr>)+)', page
    )
    shapes = [(b.count("<tr>"), b.count("<td") // b.count("<tr>")) for _, b in blanks]
    assert shapes[:5] == [(2, 1), (2, 1), (1, 1), (1, 1), (1, 1)]
    assert shapes[5:11] == [(1, 1), (2, 1), (1, 2), (1, 1), (2, 2), (2, 1)]
    assert page.partition(POLICY)[1] == POLICY
    assert "http" not in page.replace("http-equiv", "")


def test_all_sheets_are_one_document(folder: Path) -> None:
    page = (folder / "sheets.html").read_text("utf-8")
    assert page.count("<h1>") == len(NAMES)
    tex = (folder / "sheets.tex").read_text("utf-8")
    assert tex.count(r"\clearpage") == len(NAMES) - 1
    assert tex.count(r"\begin{tikzpicture}") == len(NAMES)
    assert tex.count(r"\begin{") == tex.count(r"\end{")
    assert "陳小明" in tex
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_languages(tmp_path: Path, lang: str) -> None:
    classroom(SPEC, ["A", "B"], lang=lang).save(tmp_path / lang)
    page = (tmp_path / lang / "sheets.html").read_text("utf-8")
    assert ("練習" in page) == (lang == "zh-TW")


def test_a_folder_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="never overwritten"):
        classroom(SPEC, NAMES).save(folder)


def test_a_class_that_is_larger_than_there_are_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two seeds that give the same numbers only one is taken."""
    usual = making.worksheet

    def few(*args: Any, seed: int, **more: Any) -> Any:
        return usual(*args, seed=seed // 2 % 2, **more)

    monkeypatch.setattr(making, "worksheet", few)
    two = classroom("1-1sigmoid", ["A", "B"])
    assert [sheet.seed for sheet in two.sheets] == [0, 1]
    with pytest.raises(ArgumentError, match="not enough different numbers"):
        classroom("1-1sigmoid", ["A", "B", "C"])


# -- names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "Ada\n陳小明\n".encode(),
        "\ufeffAda\r\n\r\n陳小明".encode(),
        "  Ada \t\r陳小明\r".encode(),
    ],
    ids=["plain", "BOM and Windows", "Mac"],
)
def test_names(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    assert read_names(tmp_path / "names.txt") == ["Ada", "陳小明"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "1 to 500 students"),
        (b"\n\n  \n", "1 to 500 students"),
        (b"Ada\nada", "line 2: this name is there twice"),
        ("Ａｄａ\nAda".encode(), "twice"),
        ("陳小明".encode("big5"), "not in UTF-8"),
        ("陳小明".encode("utf-16"), "not in UTF-8"),
        (b"A\x00da", "line 1: this is no name"),
        ("A\u202eda".encode(), "no name"),
        (b"x" * 200, "no name"),
        ("\n".join(f"S{i}" for i in range(501)).encode(), "501 students"),
    ],
)
def test_names_that_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises((DataError, ArgumentError), match=words):
        read_names(tmp_path / "names.txt")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b\\c", "CON", ".hidden", "陳 小明"]
)
def test_names_of_files_stay_in_their_folder(name: str) -> None:
    made = file_name(1, name)
    assert re.fullmatch(r"001-[\w-]+", made)
