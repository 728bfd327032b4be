"""The reference of the file format, made from the table that files are checked with.

python -m chainrule.runs.reference > docs/run-files.md
"""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.runs import classes, schema
from chainrule.runs.checking import INFERRED
from chainrule.runs.classes import Family, Option
from chainrule.runs.schema import Section
from chainrule.runs.template import written_default

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
--resume DIRECTORY` finishes an interrupted run bit for bit.

This page is made from the table that files are checked with:
`python -m chainrule.runs.reference`.
"""


def page() -> str:
    """The whole page, in Markdown."""
    sections = ("\n".join(_section(section)) + "\n" for section in schema.SECTIONS)
    return "\n".join([_HEAD, *sections])


def _section(section: Section) -> Iterator[str]:
    yield f"## `{section.header}`"
    yield ""
    yield f"{section.doc}{' Any number of times.' if section.many else ''}"
    yield ""
    yield "| key | value | if left out | meaning |"
    yield "|---|---|---|---|"
    for item in section.keys:
        default = "must be there" if item.required else item.default or "nothing"
        doc = item.doc
        if item.formats and item.formats != ("named",):
            doc += f" ({', '.join(item.formats)})"
        elif item.formats:
            doc += " (data that are drawn)"
        cells = [f"`{item.name}`", item.kind.expected, default, doc]
        yield _row(cells)
    family = classes.layers() if section.name == "model" else None
    if section.family is not None:
        family = section.family()
    if family is not None:
        yield from _family(family)
    if section.name == "data":
        yield ""
        yield from (f"- `{name}`: {what}" for name, what in schema.FORMATS.items())


def _family(family: Family) -> Iterator[str]:
    """Each class with its options."""
    for name, made in family.classes.items():
        said = classes.documentation(made)
        yield ""
        yield f"### `{name}`"
        yield ""
        yield classes.summary(made)
        options = family.options(name).values()
        if options:
            yield ""
            yield "| option | value | if left out | meaning |"
            yield "|---|---|---|---|"
        for option in options:
            cells = [f"`{option.name}`", option.kind.expected, _left_out(option)]
            yield _row([*cells, said.get(option.name, "")])


def _left_out(option: Option) -> str:
    """What holds where an option is left out."""
    if not option.required:
        return written_default(option) or "nothing"
    if option.name == "out_features":
        return "follows from the data, in the last layer"
    if option.name == "path":
        return "a usual name, in the run's directory"
    return "follows from the data" if option.name in INFERRED else "must be there"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(page(), end="")
