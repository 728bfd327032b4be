"""``chainrule check-work``: marking of a student's work."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, tell, written

EXAMPLES = """\b
Examples:
  chainrule worksheet 2-2sigmoid-1sigmoid --format toml > mine.toml
  chainrule check-work mine.toml
  chainrule check-work mine.toml --lang zh-TW --format html > marks.html
  chainrule check-work ada.csv --task task.toml --json
"""


@cli.command(
    "check-work", epilog=EXAMPLES, short_help="Mark numbers worked out by hand."
)
@click.argument("file", type=click.Path(path_type=Path))
@speaking.option(
    "--task",
    type=click.Path(path_type=Path),
    help="The TOML file with network, weights, x and y, for a CSV file of answers."
    "  [default: FILE with .toml]",
)
@speaking.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "html"]),
    default="text",
    show_default=True,
    help="What to print.",
)
@command
def check_work(file: Path, task: Path | None, form: str, as_json: bool) -> int:
    """Mark a student's hand-computed numbers in FILE: right or wrong, and why.

    FILE is TOML with the network, its numbers, and [answers] (chainrule worksheet
    writes one to fill in); or CSV with columns quantity,value or
    quantity,row,column,value. The exit code is 0 where all answers are right, 1 where
    one is not, and 2 for a file that cannot be read.
    """
    from chainrule.book import work

    report = work.load(file, task).marked()
    text = "" if as_json else written(report, form).rstrip("\n")
    tell(report.to_json() if as_json else {}, as_json, text)
    return 0 if report.ok else 1
