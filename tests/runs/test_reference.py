"""The reference of the file format: whole, and as the documents have it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from chainrule.runs import classes, file, reference, schema
from chainrule.runs.classes import Family, options_of

PAGE = Path(__file__).parents[2] / "docs" / "run-files.md"
FAMILIES = [
    classes.layers(),
    classes.losses(),
    classes.optimizers(),
    classes.schedules(),
    classes.callbacks(),
]


def test_the_page_is_up_to_date() -> None:
    """Write it anew: python -m chainrule.runs.reference > docs/run-files.md."""
    assert PAGE.read_text(encoding="utf-8") == reference.page()


def test_every_key_and_every_option_is_on_the_page() -> None:
    page = reference.page()
    for section in schema.SECTIONS:
        for key in section.keys:
            assert f"| `{key.name}` | " in page
    for family in FAMILIES:
        for name in family.classes:
            part = page.split(f"### `{name}`\n")[1].split("\n#")[0]
            for option in family.options(name):
                assert f"| `{option}` | " in part, name


def test_the_example_of_the_page_is_right() -> None:
    example = reference.page().split("```toml\n")[1].split("```")[0]
    assert file.parse(example)["data"]["target"] == "price"


@pytest.mark.parametrize("section", schema.SECTIONS, ids=lambda s: s.name)
def test_examples_and_defaults_are_values_of_their_keys(
    section: schema.Section,
) -> None:
    for key in section.keys:
        example = tomllib.loads(f"v = {key.example}")["v"]
        assert key.kind.take(example) is not None
        if key.default is not None and schema.value(key.default) is not None:
            key.kind.take(schema.value(key.default))
        assert key.doc
        assert not key.doc.endswith(".")


def test_every_synonym_leads_somewhere() -> None:
    known = {s.name for s in schema.SECTIONS}
    known |= {key.name for s in schema.SECTIONS for key in s.keys}
    for family in FAMILIES:
        for name in family.classes:
            known |= {name, *family.options(name)}
    assert set(schema.SYNONYMS.values()) <= known
    assert not set(schema.SYNONYMS) & {s.name for s in schema.SECTIONS}


# -- options of classes ----------------------------------------------------------------

#: Arguments that a file does not give: the run has them, or they are no plain values.
HIDDEN = {
    "Family layer": {"dtype"},
    "Family loss": {"reduction"},
    "Family optimiser": {"params"},
    "Family schedule": {"lr", "max_lr"},
    "Family callback": set(),
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.what)
def test_no_argument_of_a_class_is_forgotten(family: Family) -> None:
    """An annotation that nobody can read would make its argument disappear."""
    import inspect

    assert family.classes
    for name, made in family.classes.items():
        arguments = set(inspect.signature(made).parameters)
        assert arguments - set(family.options(name)) <= HIDDEN[f"Family {family.what}"]


def test_options_have_the_kinds_of_their_annotations() -> None:
    expected = {option.name: option.kind.expected for option in _all_options()}
    assert expected["out_features"] == "a whole number ≥ 1"
    assert expected["betas"] == "a list of 2 numbers"
    assert expected["nesterov"] == "true or false"
    assert expected["clip_norm"] == "a finite number"
    assert expected["milestones"].startswith("a list of whole numbers")
    assert expected["path"] == "a path in quotes"


def _all_options() -> list[classes.Option]:
    made = [kind for family in FAMILIES for kind in family.classes.values()]
    return [option for kind in made for option in options_of(kind).values()]


def test_documentation_of_arguments() -> None:
    from chainrule import optim

    said = classes.documentation(optim.SGD)
    assert said["nesterov"].startswith("look ahead")
    assert "see " not in said["clip_norm"]
    assert "``" not in "".join(said.values())
