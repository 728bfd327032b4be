"""``chainrule worksheet --count`` and ``chainrule check-work FOLDER``."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import one_message

SPEC = "2-2sigmoid-1sigmoid"


@pytest.fixture
def a_class(chainrule: Any) -> Any:
    """The command line, beside a class of three whose answers are all right."""
    made = chainrule("worksheet", SPEC, "--count", 3, "--out", "class")
    assert (made.code, made.err) == (0, "")
    for key in Path("class/key").iterdir():
        shutil.copy(key, Path("class/answers"))
    return chainrule


def test_a_class_is_made_and_marked(a_class: Any) -> None:
    result = a_class("check-work", "class")
    assert result.code == 0
    assert "3 of 3 sheets are marked." in result.out
    assert "marks.html" in result.err
    assert Path("class/marks.csv").is_file()
    assert len(list(Path("class/marks").iterdir())) == 3


def test_a_class_as_data(chainrule: Any) -> None:
    made = chainrule(
        "worksheet", SPEC, "--count", 2, "--out", "class", "--seed", 9, "--json"
    )
    assert [s["seed"] for s in made.json["students"]] == [9, 10]
    assert all(Path(file).is_file() for file in made.json["files"])
    shutil.copy("class/key/001-student-1.toml", "class/answers")
    marked = chainrule("check-work", "class", "--json")
    assert marked.code == 1
    assert [s["points"] for s in marked.json["students"]] == [15, None]
    assert json.dumps(marked.json["strays"]) == "[]"


def test_names(chainrule: Any) -> None:
    Path("names.txt").write_text("Ada\n陳小明\n", "utf-8")
    made = chainrule("worksheet", SPEC, "--names", "names.txt", "--out", "class")
    assert made.code == 0
    assert Path("class/forms/002-陳小明.toml").is_file()
    one_message(
        chainrule("worksheet", SPEC, "--names", "no.txt", "--out", "other"), 2, "no.txt"
    )


def test_answers_from_elsewhere(a_class: Any) -> None:
    with zipfile.ZipFile("all.zip", "w") as archive:
        for path in Path("class/answers").iterdir():
            archive.write(path, path.name)
    shutil.rmtree("class/answers")
    one_message(a_class("check-work", "class"), 2, "no answers")
    assert a_class("check-work", "class", "--answers", "all.zip").code == 0
    one_message(a_class("check-work", "all.zip"), 2, "--answers all.zip")


@pytest.mark.parametrize("form", ["md", "html", "text"])
def test_formats(a_class: Any, form: str) -> None:
    assert "Student 1" in a_class("check-work", "class", "--format", form).out


@pytest.mark.parametrize(
    "options",
    [
        ("--count", 3),
        ("--out", "class"),
        ("--names", "names.txt"),
        ("--count", 3, "--names", "n.txt", "--out", "class"),
        ("--count", 3, "--out", "class", "--format", "latex"),
        ("--count", 3, "--out", "class", "--answers"),
    ],
)
def test_options_that_do_not_go_together(
    chainrule: Any, options: tuple[Any, ...]
) -> None:
    one_message(chainrule("worksheet", SPEC, *options), 2, "--out class")
    assert not Path("class").exists()


def test_what_is_refused(a_class: Any) -> None:
    one_message(
        a_class("worksheet", SPEC, "--count", 3, "--out", "class"),
        2,
        "never overwritten",
    )
    one_message(
        a_class("worksheet", SPEC, "--count", 501, "--out", "large"), 2, "1 to 500"
    )
    one_message(a_class("check-work", "class", "--task", "a.toml"), 2, "--task")
    one_message(
        a_class("check-work", "class/key/001-student-1.toml", "--answers", "class"), 2
    )
    Path("empty").mkdir()
    one_message(a_class("check-work", "empty"), 2, "no key of a class")


@pytest.mark.parametrize("form", ["nbgrader", "pytest"])
def test_exports(chainrule: Any, form: str) -> None:
    made = chainrule("worksheet", SPEC, "--format", form)
    assert made.code == 0
    assert made.out == chainrule("worksheet", SPEC, "--format", form).out
    assert "graded" in made.out
