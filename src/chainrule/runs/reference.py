"""The reference of the file format, made from the models that files are checked with.

python -m chainrule.runs.reference > docs/run-files.md
"""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.runs import classes, schema
from chainrule.runs.classes import Family
from chainrule.runs.section import Section, meaning, takes
from chainrule.runs.values import show

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
`python -m chainrule.runs.reference`.
"""


def page() -> str:
    """The whole page, in Markdown."""
    sections = ("\n".join(_section(name)) + "\n" for name in schema.SECTIONS)
    return "\n".join([_HEAD, *sections])


def _section(name: str) -> Iterator[str]:
    section, family = schema.SECTIONS[name], schema.FAMILIES.get(name)
    yield f"## `{section.title}`\n\n{classes.summary(section)}"
    yield from _table(section)
    if name == "data":
        for made in schema.KINDS.values():
            table = list(_table(made, without=section))
            if table:
                yield f"\n### Data of {made.what}"
                yield from table
        yield ""
        yield from (f"- `{kind}`: {what}" for kind, what in schema.FORMATS.items())
    if family is not None:
        yield from _family(family, section)


def _family(family: Family, section: type[Section]) -> Iterator[str]:
    """Each class with its options."""
    for name, made in family.classes.items():
        yield f"\n### `{name}`\n\n{classes.summary(made)}"
        yield from _table(family.model(name), without=family.keys)


def _table(
    section: type[Section], without: type[Section] | None = None
) -> Iterator[str]:
    """Its keys, but for those that another section has too."""
    others = without.known() if without else {}
    fields = {k: f for k, f in section.known().items() if k not in others}
    if not fields:
        return
    yield "\n| key | value | if left out | meaning |\n|---|---|---|---|"
    for name, field in fields.items():
        default = "must be there" if field.is_required() else show(field.default)
        if field.default is None:
            default = "follows" if name in (*schema.INFERRED, "path") else ""
        cells = [f"`{name}`", takes(field), default, meaning(section, name)]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(page(), end="")
