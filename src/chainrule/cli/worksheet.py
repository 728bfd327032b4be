"""``chainrule worksheet``: an exercise to compute by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, document_format, tell, written
from chainrule.errors import ArgumentError
from chainrule.text import _, ngettext, tr

if TYPE_CHECKING:
    from chainrule.book.classroom import Classroom

EXAMPLES = """\b
Examples:
  chainrule worksheet 2-2sigmoid-1sigmoid
  chainrule worksheet 3-2relu-2softmax --loss cross_entropy --seed 7 --answers
  chainrule worksheet 2-2tanh-1 --samples 3 --format latex > sheet.tex
  chainrule worksheet 2-2sigmoid-1sigmoid --format toml > mine.toml
  chainrule worksheet 2-2sigmoid-1sigmoid --count 30 --out class
  chainrule worksheet 2-2tanh-1 --names names.txt --out class
  chainrule worksheet 2-2sigmoid-1sigmoid --format nbgrader > step.ipynb
"""


@cli.command(epilog=EXAMPLES, short_help="Write an exercise with fresh numbers.")
@click.argument("spec")
@speaking.option(
    "--loss",
    default="half_squared",
    show_default=True,
    help="half_squared, mse, half_mse, cross_entropy, binary_cross_entropy or hinge.",
)
@speaking.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    show_default=True,
    help="Of the numbers: the same seed, the same sheet.",
)
@speaking.option(
    "--samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many samples, up to 4.",
)
@document_format(
    *("toml", "nbgrader", "pytest"),
    help="What to print; toml is a file to fill in, for chainrule check-work; nbgrader"
    " a notebook, pytest a file of tests.",
)
@speaking.option("--answers", is_flag=True, help="With the answers.")
@speaking.option(
    "--count",
    type=click.IntRange(1),
    help="A sheet with other numbers for each of so many students, into --out.",
)
@speaking.option(
    "--names",
    type=click.Path(path_type=Path),
    help="A sheet for each student of this file, one name a line, into --out.",
)
@speaking.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of a class: sheets, forms to fill in, and the key to them.",
)
@command
def worksheet(
    spec: str,
    loss: str,
    seed: int,
    samples: int,
    form: str,
    answers: bool,
    count: int | None,
    names: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Write an exercise: one step of a network, to be worked out by hand.

    SPEC is the sizes from the input on, with the activation behind each layer's size:
    2-3tanh-1sigmoid. The questions come in the order of the book's 3.4 and 3.7, with
    numbers of one decimal.

    With --count or --names, and --out, it is a class: a sheet for each student, in HTML
    and LaTeX for print, a form each to be handed in, and the key by which chainrule
    check-work marks them all. --seed is that of the first sheet.
    """
    if count is not None or names is not None or out is not None:
        unfit = [f"--format {form}"] * (form != "text") + ["--answers"] * answers
        who, folder = _class(count, names, out, unfit)
        from chainrule.book.classroom import classroom

        sheets = classroom(spec, who, loss, seed=seed, samples=samples)
        _tell_class(sheets, folder, as_json)
        return 0
    from chainrule.book.marking.worksheet import worksheet as build

    sheet = build(spec, loss, seed=seed, samples=samples, answers=answers)
    if form in ("nbgrader", "pytest") and not as_json:
        from chainrule.book import classroom

        text = getattr(classroom, f"to_{form}")(sheet)
    else:
        text = "" if as_json else written(sheet, form)
    text = text.rstrip("\n")
    tell(sheet.to_json() if as_json else {}, as_json, text)
    return 0


def _class(
    count: int | None, names: Path | None, out: Path | None, unfit: list[str]
) -> tuple[list[str], Path]:
    """Return the students of a class and its folder.

    ``unfit`` are options that a class does not take, as they were given.

    Raises:
        ArgumentError: with one of these, without a folder, or unless either the number
            or the names are given.
    """
    from chainrule.book.classroom import students

    if out is not None and not unfit:
        if count is not None and names is None:
            return students.numbered(count), out
        if names is not None and count is None:
            return students.read_names(names), out
    given = {"--count": count, "--names": names, "--out": out}
    raise ArgumentError(
        _("A class has its number or its names, and a folder."),
        expected=_(
            "--count 30 --out class, or --names FILE --out class, without --format"
            " and --answers: all formats and the key are written"
        ),
        got=" ".join(
            [*unfit, *(f"{name} {at}" for name, at in given.items() if at is not None)]
        ),
    )


def _tell_class(sheets: Classroom, folder: Path, as_json: bool) -> None:
    """Write the folder of a class, and say what is in it."""
    paths = sheets.save(folder)
    tell(
        {
            "folder": str(folder),
            "students": [{"name": s.student, "seed": s.seed} for s in sheets.sheets],
            "files": [str(path) for path in paths],
        },
        as_json,
        "\n".join(
            [
                tr(
                    ngettext(
                        "{n} sheet is in {folder}:",
                        "{n} sheets are in {folder}:",
                        n=len(sheets.sheets),
                        folder=folder,
                    )
                ),
                "  " + tr("sheets.html, sheets.tex: to print; sheets/: a page each"),
                "  " + tr("forms/: hand these out, and collect them in answers/"),
                "  " + tr("key.html, key.tex, key/: keep these, with the seeds"),
                tr("Then: chainrule check-work {folder}", folder=folder),
            ]
        ),
    )
