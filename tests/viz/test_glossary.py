"""Abbreviations of reports: each that a report can show is explained at its end."""

from __future__ import annotations

import ast
import inspect
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import nn, optim, recipes
from chainrule.text.languages import language
from chainrule.viz.report import glossary
from chainrule.viz.words import LANGUAGES, read_words

from .capitals import NAMES, unexplained
from .reports import Write, section, trainer_of

RECIPES = Path(inspect.getfile(recipes)).parent
VIZ = RECIPES.parent / "viz"


def _texts(tree: ast.AST) -> Iterator[str]:
    """The strings of a program, but for docstrings within it and names of its own."""
    said: set[int] = set()
    stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                said.add(id(first.value))
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and id(node) not in said and text not in stored:
            yield text


def _without_fields(text: str) -> str:
    """A template without the names of its fields."""
    try:
        return " ".join(part for part, *_ in string.Formatter().parse(text))
    except ValueError:
        return text


def shown() -> Iterator[tuple[str, str]]:
    """Where texts of reports stand, and the texts."""
    lessons = {name.rpartition(".")[2] for name in recipes.RECIPES.values()}
    modules = [RECIPES / f"{name}.py" for name in lessons]
    modules += (RECIPES / "pictures").glob("*.py")
    modules += (RECIPES / "evaluation").glob("*.py")
    modules += (VIZ / f"{name}.py" for name in ("seen", "behind", "gallery", "scenes"))
    for path in sorted(modules):
        tree = ast.parse(path.read_text("utf-8"))
        if path.stem not in lessons:  # whose docstring the report shows
            tree.body = tree.body[1:]
        yield path.name, "\n".join(map(_without_fields, _texts(tree)))
    for path in sorted((RECIPES / "lessons").rglob("*.txt")):
        yield path.name, path.read_text("utf-8")
    for lang in LANGUAGES:
        yield lang, "\n".join(map(str, read_words(lang).values()))


def test_every_abbreviation_of_a_report_has_an_entry() -> None:
    lacking = {where: found for where, text in shown() if (found := unexplained(text))}
    assert not lacking


def test_an_abbreviation_without_an_entry_is_found() -> None:
    tree = ast.parse('"""A QRS."""\nprint(f"{x} TUVs", "{NAME} and XYZ", "LSTM")')
    assert unexplained(" ".join(map(_without_fields, _texts(tree)))) == {
        "QRS",
        "TUVs",
        "XYZ",
    }


@pytest.mark.parametrize("package", [nn, optim])
def test_classes_that_settings_show(package: Any) -> None:
    """A report shows the loss, the optimiser and the layers by their names."""
    kinds = [k for k, v in vars(package).items() if inspect.isclass(v)]
    assert not unexplained(" ".join(kinds))


def test_every_entry_is_found() -> None:
    for short in glossary.GLOSSARY:
        assert short in dict(glossary.abbreviations(f"a {short}, b", "en"))
        assert short not in NAMES


def test_what_is_found_and_what_is_not() -> None:
    text = "two LSTMs, TF-IDF, k-means, LeakyReLU, HOGWARTS, COR, ORDER, R²"
    found = {short for short, __ in glossary.abbreviations(text, "en")}
    assert found == {"LSTM", "R²", "ReLU", "TF-IDF"}


def test_what_explains_is_explained_too() -> None:
    """The entry of AUC speaks of the ROC."""
    found = dict(glossary.abbreviations("AUC", "en"))
    assert set(found) == {"AUC", "ROC"}


def test_a_report_ends_with_its_own_abbreviations(write: Write) -> None:
    data = cr.data.Dataset([[0.0, 1.0]] * 4, [[0.5]] * 4, name="<LSTM> & co")
    trainer = trainer_of(nn.Linear(2, 1), nn.MSELoss())
    for lang in LANGUAGES:
        listed = section(write(trainer, data, lang=lang), "abbreviations")
        names = [term.text for term in listed.find("dfn")]
        assert names == ["LSTM", "MSE", "R²", "SGD"]
        with language(lang):
            expected = [glossary.translated(glossary.GLOSSARY[name]) for name in names]
        assert [each.text for each in listed.find("dd")] == expected
