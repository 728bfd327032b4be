"""The reference page of the run-file format, generated from its models.

python -m chainrule.runs.reference > docs/run-files.md
python -m chainrule.runs.reference --lang zh-TW > docs/zh-TW/run-files.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from chainrule.errors import ArgumentError
from chainrule.runs import classes, layers, schema
from chainrule.runs.classes import Family
from chainrule.runs.section import Section, accepted
from chainrule.runs.values import show
from chainrule.text import Message, tr
from chainrule.text.languages import language

_HEAD = """\
# Runs from a file

A run's file says what to learn from, with which network and how. It is
[TOML](https://toml.io): sections in brackets, keys below them, text in quotes.

```toml
[data]
source = "houses.csv"
target = "price"

[model]
layers = [
  { class = "Linear", out_features = 64 },
  "ReLU",
  "Linear",
]
```

```sh
chainrule new houses.toml --data houses.csv --target price    # writes such a file
chainrule train houses.toml --out runs/houses
chainrule evaluate runs/houses                                # on its test part
chainrule predict runs/houses new-houses.csv --out priced.csv
```

A file is checked as a whole before anything is computed, and all of its problems are
shown at once, each with its line. Options of the command line (`--epochs`,
`--batch-size`, `--lr`, `--seed`, `--engine`, `--threads`, `--limit`) replace what the
file says. The run keeps the text of its file in its checkpoint: `chainrule train FILE
--resume DIRECTORY` finishes an interrupted run bit for bit. All that a run writes
lies in its own directory.

This page is made from the models that files are checked with:
`python -m chainrule.runs.reference`, in Traditional Chinese with `--lang zh-TW`.
"""
#: What leads from a document to the same one in the other language.
_LINK = "[繁體中文](zh-TW/run-files.md)"

#: Translates a text of the page: ``tr``, or a function that records it.
Phrase = Callable[..., str]


def page(phrase: Phrase = tr) -> str:
    """Return the whole reference page as Markdown, in the current language."""
    sections = ("\n".join(_section(name, phrase)) + "\n" for name in schema.SECTIONS)
    return "\n".join([phrase(_HEAD), *sections])


def document(phrase: Phrase = tr) -> str:
    """Return the page as a file for ``docs``, with a link to the other language."""
    title, _, rest = page(phrase).partition("\n\n")
    return f"{title}\n\n{phrase(_LINK)}\n\n{rest}"


def texts() -> list[str]:
    """Return all English texts of the page, for translation."""
    found: list[str] = []

    def noted(text: str, /, **values: str) -> str:
        if not isinstance(text, Message):  # those are found in the source
            found.append(text)
        return text

    document(noted)
    return list(filter(None, found))


def _section(name: str, phrase: Phrase) -> Iterator[str]:
    section, family = schema.SECTIONS[name], schema.FAMILIES.get(name)
    yield f"## `{section.title}`\n\n{phrase(classes.summary(section))}"
    yield from _table(section, phrase)
    if name == "data":
        for cls in schema.KINDS.values():
            table = list(_table(cls, phrase, without=section))
            if table:
                yield f"\n### {phrase('Data of {kind}', kind=phrase(cls.what))}"
                yield from table
        yield ""
        yield from (
            f"- `{k}`{phrase(': ')}{phrase(v)}" for k, v in schema.FORMATS.items()
        )
    if family is not None:
        yield from _family(family, section, phrase)


def _family(family: Family, section: type[Section], phrase: Phrase) -> Iterator[str]:
    """Yield the Markdown of each class of a family, with its options."""
    for name, cls in family.classes.items():
        yield f"\n### `{name}`\n\n{phrase(classes.summary(cls))}"
        yield from _table(family.model(name), phrase, without=family.base)


def _table(
    section: type[Section], phrase: Phrase, without: type[Section] | None = None
) -> Iterator[str]:
    """Yield the Markdown table of a section's keys, without keys of another section."""
    others = without.known() if without else {}
    fields = {k: f for k, f in section.known().items() if k not in others}
    if not fields:
        return
    heads = phrase("key"), phrase("value"), phrase("if left out"), phrase("meaning")
    yield f"\n| {' | '.join(heads)} |\n|---|---|---|---|"
    for name, field in fields.items():
        default = "" if field.default is None else show(field.default)
        if field.is_required():
            default = phrase("must be there")
        elif name in layers.INFERRED:
            default = phrase("follows from the rest")
        elif name == "path":
            default = show(schema.FILES[section.title])
        meaning = phrase(classes.describe(section, name))
        cells = [f"`{name}`", phrase(accepted(field)), default, meaning]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Print the document; English, whatever the locale, where no language is named."""
    parser = argparse.ArgumentParser(prog="python -m chainrule.runs.reference")
    parser.add_argument("--lang", default="en", help="en (the default) or zh-TW")
    options = parser.parse_args()
    try:
        with language(options.lang):
            print(document(), end="")
    except ArgumentError as error:
        parser.error(error.translated())


if __name__ == "__main__":
    main()
