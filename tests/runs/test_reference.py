"""The reference of the file format: whole, and as the documents have it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from chainrule.runs import file, reference, schema
from chainrule.runs.classes import Family
from chainrule.runs.messages import SYNONYMS
from chainrule.runs.section import Section, example, meaning

PAGE = Path(__file__).parents[2] / "docs" / "run-files.md"
FAMILIES = list(schema.FAMILIES.values())
#: All sections that are written by hand.
SECTIONS = [*schema.SECTIONS.values(), *schema.KINDS.values()]


def test_the_page_is_up_to_date() -> None:
    """Write it anew: python -m chainrule.runs.reference > docs/run-files.md."""
    assert PAGE.read_text(encoding="utf-8") == reference.page()


def test_the_example_of_the_page_is_right() -> None:
    text = reference.page().split("```toml\n")[1].split("```")[0]
    assert getattr(file.parse(text).settings.data, "target") == "price"  # noqa: B009


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.__name__)
def test_examples_are_values_of_their_keys(section: type[Section]) -> None:
    for name, field in section.known().items():
        assert meaning(section, name), name
        assert not meaning(section, name).endswith(".")
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
        assert arguments - set(family.options(name)) <= set(family.keys.hidden), name
        for key in family.model(name).known():
            assert meaning(family.model(name), key) or name == "Flatten", name
