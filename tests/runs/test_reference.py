"""The reference of the file format: whole, and as the documents have it."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from chainrule import nn
from chainrule.runs import classes, file, reference, schema
from chainrule.runs.classes import Family
from chainrule.runs.messages import SYNONYMS
from chainrule.runs.section import Section, example
from chainrule.text.languages import language
from tests.rows import table

DOCS = Path(__file__).parents[2] / "docs"
#: The committed pages, by their languages.
PAGES = {
    "en": DOCS / "reference" / "run-files.md",
    "zh-TW": DOCS / "zh-TW" / "reference" / "run-files.md",
}
FAMILIES = list(schema.FAMILIES.values())
#: All sections that are written by hand.
SECTIONS = [*schema.SECTIONS.values(), *schema.KINDS.values()]


def printed(monkeypatch: pytest.MonkeyPatch, capsys: Any, *args: str) -> str:
    """What the module prints."""
    monkeypatch.setattr(sys, "argv", ["reference", *args])
    reference.main()
    return capsys.readouterr().out


@pytest.mark.parametrize("lang", PAGES)
def test_the_page_is_up_to_date(
    lang: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Write it anew: python -m chainrule.runs.reference --lang LANG > PAGE."""
    page = PAGES[lang].read_text(encoding="utf-8")
    assert page == printed(monkeypatch, capsys, "--lang", lang)


def test_the_module_speaks_english_unless_it_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with language("zh"):  # as a locale may say
        assert printed(monkeypatch, capsys).startswith("# Runs from a file\n")
        with pytest.raises(SystemExit):
            printed(monkeypatch, capsys, "--lang", "fr")
    assert "'en' 或 'zh-TW'" in capsys.readouterr().err


@pytest.mark.parametrize("lang", PAGES)
def test_the_example_of_the_page_is_right(lang: str) -> None:
    with language(lang):
        text = reference.page().split("```toml\n")[1].split("```")[0]
    assert getattr(file.parse(text).settings.data, "target") == "price"  # noqa: B009


def test_no_description_is_forgotten_in_chinese(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is a text that needs a Chinese line, wherever it is written."""
    told = set(reference.texts())
    for section in schema.SECTIONS.values():
        assert classes.summary(section) in told
    for family in FAMILIES:
        for name, made in family.classes.items():
            assert classes.summary(made) in told, name
            for key in family.model(name).known():
                assert classes.describe(family.model(name), key) in told or (
                    key in family.base.known()
                ), f"{name} {key}"
    monkeypatch.setattr(nn.ReLU, "__doc__", "Something else.\n\nAnd more.")
    assert "Something else." in reference.texts()


@table("section", SECTIONS, ids=lambda s: s.__name__)
def test_examples_are_values_of_their_keys(section: type[Section]) -> None:
    for name, field in section.known().items():
        assert classes.describe(section, name), name
        assert not classes.describe(section, name).endswith(".")
        if name not in ("class", "groups", "layers"):
            kind = field.rebuild_annotation()
            TypeAdapter(kind).validate_python(example(field), strict=True)


def test_every_synonym_leads_somewhere() -> None:
    known = {*schema.SECTIONS, *(key for s in SECTIONS for key in s.known())}
    for family in FAMILIES:
        for name in family.classes:
            known |= {name, *family.options(name)}
    assert set(SYNONYMS.values()) <= known
    assert not set(SYNONYMS) & set(schema.SECTIONS)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.what)
def test_no_argument_of_a_class_is_forgotten(family: Family) -> None:
    """An annotation that TOML has no values for would make its argument disappear."""
    assert family.classes
    for name, made in family.classes.items():
        arguments = set(inspect.signature(made).parameters)
        assert arguments - set(family.options(name)) <= set(family.base.hidden), name
        for key in family.model(name).known():
            assert classes.describe(family.model(name), key) or name == "Flatten", name
