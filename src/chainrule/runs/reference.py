"""The reference page of the run-file format, generated from its pydantic models.

python -m chainrule.runs.reference > docs/reference/run-files.md
python -m chainrule.runs.reference --lang zh-TW > docs/zh-TW/reference/run-files.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from chainrule.errors import ArgumentError
from chainrule.runs import classes, layers, schema
from chainrule.runs.section import Section, accepted
from chainrule.runs.values import show
from chainrule.text import _, tr
from chainrule.text.languages import language

_HEAD = _("""\
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
""")
#: The link from a document to the same one in the other language.
_LINK = _("[繁體中文](../zh-TW/reference/run-files.md)")


def page() -> str:
    """Return the run-file format's reference page as Markdown."""
    sections = ("\n".join(_section(name)) + "\n" for name in schema.SECTIONS)
    return "\n".join([tr(_HEAD), *sections])


def document() -> str:
    """Return the run-file reference as a document, with a link to its translation."""
    title, rest = page().split("\n\n", 1)
    return f"{title}\n\n{tr(_LINK)}\n\n{rest}"


def texts() -> Iterator[str]:
    """Yield the English texts of the run-file reference, for translation."""
    sections = [*schema.SECTIONS.values(), *schema.KINDS.values()]
    models = [model for family in schema.FAMILIES.values() for model in family.models()]
    yield from map(classes.summary, schema.SECTIONS.values())
    yield from (kind.what for kind in schema.KINDS.values() if kind.what)
    yield from (classes.summary(model.constructor) for model in models)
    for section in [*sections, *models]:
        yield from (classes.describe(section, key) for key in section.known())


def _section(name: str) -> Iterator[str]:
    section, family = schema.SECTIONS[name], schema.FAMILIES.get(name)
    yield f"## `{section.title}`\n\n{tr(classes.summary(section))}"
    yield from _table(section)
    if name == "data":
        for kind in schema.KINDS.values():
            table = list(_table(kind, without=section))
            if table:
                yield f"\n### {tr('Data of {kind}', kind=tr(kind.what))}"
                yield from table
        yield ""
        yield from (f"- `{k}`{tr(': ')}{tr(v)}" for k, v in schema.FORMATS.items())
    for model in family.models() if family else ():
        yield f"\n### `{model.title}`\n\n{tr(classes.summary(model.constructor))}"
        yield from _table(model, without=family.base if family else None)


def _table(
    section: type[Section], without: type[Section] | None = None
) -> Iterator[str]:
    """Yield the Markdown table of keys of a run file's section, for the reference."""
    others = without.known() if without else {}
    fields = {k: f for k, f in section.known().items() if k not in others}
    if not fields:
        return
    heads = tr("key"), tr("value"), tr("if left out"), tr("meaning")
    yield f"\n| {' | '.join(heads)} |\n|---|---|---|---|"
    for name, field in fields.items():
        default = "" if field.default is None else show(field.default)
        if field.is_required():
            default = tr("must be there")
        elif name in layers.INFERRED:
            default = tr("follows from the rest")
        elif (file := schema.FILES.get(section.title)) and name == file[0]:
            default = show(file[1])
        meaning = tr(classes.describe(section, name))
        cells = [f"`{name}`", tr(accepted(field)), default, meaning]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Print the run-file reference document, in English by default."""
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
