"""``chainrule new``: a commented run file (TOML) to start from."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, tell
from chainrule.text import tr, translated

EXAMPLES = """\b
Examples:
  chainrule new
  chainrule new houses.toml --data houses.csv --target price
  chainrule new spam.toml --data messages.csv --text message --target spam
  chainrule new pets.toml --data pets
  chainrule new digits.toml --data mnist
  chainrule new --reference
"""


@cli.command(epilog=EXAMPLES)
@click.argument("file", default="run.toml", type=click.Path(path_type=Path))
@speaking.option(
    "--data",
    "place",
    metavar="FILE|FOLDER|NAME",
    help="A CSV or NPZ file, a folder of images, or a name such as mnist or moons; "
    "without it an example.",
)
@speaking.option(
    "--target", metavar="COLUMN", help="The column of a CSV file to predict."
)
@speaking.option(
    "--text", metavar="COLUMN", help="A column of texts to predict it from."
)
@speaking.option(
    "--reference",
    is_flag=True,
    help="Print all keys, and what every class takes, instead of writing a file.",
)
@command
def new(
    file: Path,
    place: str | None,
    target: str | None,
    text: str | None,
    reference: bool,
    as_json: bool,
) -> int:
    """Write a commented training file in TOML, which runs as it is.

    FILE is run.toml unless another is given. What there is is never overwritten. The
    columns, sizes and classes of the data are filled in; every other key stands there
    as a comment, with its meaning.
    """
    from chainrule.runs import scaffold
    from chainrule.runs.reference import page
    from chainrule.runs.values import to_toml

    if reference:
        tell({"reference": page()}, as_json, page().rstrip("\n"))
        return 0
    sections = scaffold.write(file, place, target, text)
    lines = [tr("{file} is written. Train it with: chainrule train {file}", file=file)]
    room = max(map(len, sections["data"]))
    lines += [f"  {k:{room}}  {to_toml(v)}" for k, v in sections["data"].items()]
    lines += map(translated, sections.get("notes", []))
    tell(sections, as_json, "\n".join(lines))
    return 0
