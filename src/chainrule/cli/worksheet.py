"""``chainrule worksheet``: an exercise to compute by hand."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, document_format, tell, written
from chainrule.errors import ArgumentError
from chainrule.text import _, tr

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
        return _class(
            spec, loss, seed, samples, form, answers, count, names, out, as_json
        )
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
    """Write the folder of a class, and say what is in it."""
    from chainrule.book.classroom import classroom
    from chainrule.book.classroom import students as reading

    given = [f"--format {form}"] * (form != "text") + ["--answers"] * answers
    if given or out is None or (count is None) == (names is None):
        given += [f"--count {count}"] * (count is not None)
        given += [f"--names {names}"] * (names is not None)
        given += [f"--out {out}"] * (out is not None)
        raise ArgumentError(
            _("A class has its number or its names, and a folder."),
            expected=_(
                "--count 30 --out class, or --names FILE --out class, without --format"
                " and --answers: all formats and the key are written"
            ),
            got=" ".join(given),
        )
    who = reading.numbered(count) if count is not None else []
    who = reading.read_names(names) if names is not None else who
    made = classroom(spec, who, loss, seed=seed, samples=samples)
    paths = made.save(out)
    tell(
        {
            "folder": str(out),
            "students": [{"name": s.student, "seed": s.seed} for s in made.sheets],
            "files": [str(path) for path in paths],
        },
        as_json,
        "\n".join(
            [
                tr("{many} sheets are in {folder}:", many=len(made.sheets), folder=out),
                "  " + tr("sheets.html, sheets.tex: to print; sheets/: a page each"),
                "  " + tr("forms/: hand these out, and collect them in answers/"),
                "  " + tr("key.html, key.tex, key/: keep these, with the seeds"),
                tr("Then: chainrule check-work {folder}", folder=out),
            ]
        ),
    )
    return 0
