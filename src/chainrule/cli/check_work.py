"""``chainrule check-work``: marking of a student's work."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say, tell, written
from chainrule.errors import ArgumentError
from chainrule.text import _, tr

EXAMPLES = """\b
Examples:
  chainrule worksheet 2-2sigmoid-1sigmoid --format toml > mine.toml
  chainrule check-work mine.toml
  chainrule check-work mine.toml --lang zh-TW --format html > marks.html
  chainrule check-work ada.csv --task task.toml --json
  chainrule check-work class
  chainrule check-work class --answers submissions.zip
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
    "--answers",
    type=click.Path(path_type=Path),
    help="The folder or ZIP file of a class's files.  [default: FILE/answers]",
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
def check_work(
    file: Path, task: Path | None, answers: Path | None, form: str, as_json: bool
) -> int:
    """Mark a student's hand-computed numbers in FILE: right or wrong, and why.

    FILE is TOML with the network, its numbers, and [answers] (chainrule worksheet
    writes one to fill in); or CSV with columns quantity,value or
    quantity,row,column,value. The exit code is 0 where all answers are right, 1 where
    one is not, and 2 for a file that cannot be read.

    FILE may be the folder of a class, as chainrule worksheet --count writes it: all
    that was handed in is marked by its key, and marks.html, marks.csv and a page for
    each student are written into it. A file that cannot be marked is named.
    """
    from chainrule.book import work

    if file.is_dir():
        return _class(file, task, answers, form, as_json)
    if answers is not None:
        raise ArgumentError(
            _("--answers belongs to the folder of a class."),
            expected=_("a folder that chainrule worksheet --count has written"),
            got=str(file),
            fix=_("unpack it first, if it is a ZIP file of that folder"),
        )
    if file.suffix.lower() == ".zip":
        raise ArgumentError(
            _("A ZIP file is marked with the folder of its class."),
            expected=f"chainrule check-work class --answers {file}",
            got=str(file),
        )
    report = work.load(file, task).marked()
    text = "" if as_json else written(report, form).rstrip("\n")
    tell(report.to_json() if as_json else {}, as_json, text)
    return 0 if report.ok else 1


def _class(
    folder: Path, task: Path | None, answers: Path | None, form: str, as_json: bool
) -> int:
    """Mark a class, and write its marks into its folder."""
    from chainrule.book.classroom import mark_class

    if task is not None:
        raise ArgumentError(
            _("A class has its tasks in its key."),
            expected=_("chainrule check-work FOLDER, without --task"),
            got=f"--task {task}",
        )
    report = mark_class(folder, answers)
    paths = report.save(folder)
    text = "" if as_json else written(report, form).rstrip("\n")
    result = report.to_json() | {"files": [str(path) for path in paths]}
    tell(result if as_json else {}, as_json, text)
    if not as_json:
        pages = tr(", ").join(map(str, [*paths[:2], paths[2].parent]))
        say("\n" + tr("Written: {files}", files=pages))
    return 0 if report.ok else 1
