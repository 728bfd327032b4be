"""Every entry of the book's index names things that exist."""

from __future__ import annotations

import ast
import importlib
import shlex
from functools import cache
from pathlib import Path

import pytest
from click import ClickException

from chainrule import book, recipes
from chainrule.book import clinics, experiments
from chainrule.cli import cli
from chainrule.errors import ArgumentError
from chainrule.text import languages

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = {"formula", "table", "step", "statement", "system", "question", "exercise"}
ENTRIES = book.entries()


def name(entry):
    return f"{entry.section}-{entry.en}"


@cache
def functions(file: str) -> set[str]:
    """The test functions of a file, read off its source."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    }


def resolve(dotted: str):
    """The module, class, function or method that a dotted name means."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


def accepts(line: str) -> None:
    """The command line exists: its command, its options and its recipe."""
    _, verb, *arguments = shlex.split(line)
    command = cli.commands[verb]
    given = command.make_context(verb, [*arguments])  # options and kinds are checked
    assert given.params
    if verb == "train":
        assert arguments[0] in recipes.names()
    if verb == "explore":
        assert arguments[0] in [*experiments.names(), *clinics.names()]


def is_complete(entry) -> bool:
    known = entry.section in book.sections() and entry.kind in KINDS
    notes = bool(entry.note_en) == bool(entry.note_zh)  # none in one language only
    return bool(known and entry.en and entry.zh and notes)


def test_an_entry_is_complete():
    assert not [name(entry) for entry in ENTRIES if not is_complete(entry)]


def is_there(shown: str) -> bool:
    """Whether a command line or a dotted name exists."""
    try:
        if shown.startswith("chainrule "):
            accepts(shown)
        else:
            return resolve(shown) is not None
    except (AssertionError, AttributeError, ImportError, KeyError, ClickException):
        return False
    return True


def test_what_shows_an_entry_exists():
    assert not [name(entry) for entry in ENTRIES if not entry.shows]
    shown = [(name(entry), shown) for entry in ENTRIES for shown in entry.shows]
    assert not [row for row in shown if not is_there(row[1])]
    assert not is_there("chainrule.nn.Linaer")
    assert not is_there("chainrule explore vanishin")
    assert not is_there("chainrule tarin xor")


def is_test(test: str) -> bool:
    """Whether a file has the test; ``file::*`` stands for any."""
    file, _, function = test.partition("::")
    if not (ROOT / file).is_file():
        return False
    return bool(functions(file)) if function == "*" else function in functions(file)


def test_what_holds_a_built_entry_exists():
    assert not [name(entry) for entry in ENTRIES if not entry.tests]
    tests = [(name(entry), test) for entry in ENTRIES for test in entry.tests]
    assert not [row for row in tests if not is_test(row[1])]


def test_every_formula_test_of_the_textbook_is_in_the_index():
    """No test of tests/textbook goes unnamed."""
    named = {t for entry in ENTRIES for t in entry.tests}
    for file in sorted((ROOT / "tests/textbook").glob("test_*.py")):
        relative = file.relative_to(ROOT).as_posix()
        for function in functions(relative):
            assert f"{relative}::{function}" in named, f"{relative}::{function}"


#: What each section of the book has, counted on its pages: rows of tables, steps,
#: questions and exercises.
COUNTS = {
    ("1.5", "table"): 9,
    ("1.8", "question"): 4,
    ("2.4", "step"): 5,
    ("2.5.1", "table"): 4,
    ("2.7", "table"): 5,
    ("2.9", "table"): 6,
    ("2.10", "question"): 4,
    ("3.2.2", "formula"): 4,
    ("3.2.3", "table"): 4,
    ("3.5", "step"): 8,  # the fifth has two formulas
    ("3.10", "table"): 6,
    ("3.11", "exercise"): 4,
}


@pytest.mark.parametrize(("section", "kind"), COUNTS)
def test_nothing_of_the_book_is_left_out(section, kind):
    found = [e for e in book.entries(section) if e.kind == kind]
    assert len(found) == COUNTS[section, kind]


def test_every_section_is_listed_once_and_in_order():
    numbers = list(book.sections())
    keys = [tuple(map(int, number.split("."))) for number in numbers]
    assert keys == sorted(keys)
    assert {k[0] for k in keys} == {1, 2, 3}


def test_a_section_brings_its_subsections():
    inside = {entry.section for entry in book.entries("3.4")}
    assert inside == {"3.4.1", "3.4.2", "3.4.3"}
    assert {e.section for e in book.entries("2.1")} == set()  # not 2.10


def test_an_unknown_section_gets_the_nearest():
    with pytest.raises(ArgumentError, match=r"chainrule book 3\.4\.3"):
        book.entries("3.4.33")


def test_an_unknown_language_is_refused():
    with pytest.raises(ArgumentError, match="does not speak"):
        book.page("2.7", "fr")


def test_the_page_is_in_the_language_asked_for():
    text = book.page("2.7", "zh-TW")
    assert "激活函數" in text
    assert "表格" in text
    assert "held by" not in text
    assert "Sigmoid: smooth" in book.page("2.7", "en")
    with languages.language("zh"):
        assert book.page("2.7") == text


def test_a_section_without_entries_says_so():
    assert "nothing to show" in book.page("1.7")
