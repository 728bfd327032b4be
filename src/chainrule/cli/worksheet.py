"""``chainrule worksheet``: an exercise to compute by hand."""

from __future__ import annotations

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, document_format, tell, written

EXAMPLES = """\b
Examples:
  chainrule worksheet 2-2sigmoid-1sigmoid
  chainrule worksheet 3-2relu-2softmax --loss cross_entropy --seed 7 --answers
  chainrule worksheet 2-2tanh-1 --samples 3 --format latex > sheet.tex
  chainrule worksheet 2-2sigmoid-1sigmoid --format toml > mine.toml
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
    "toml", help="What to print; toml is a file to fill in, for chainrule check-work."
)
@speaking.option("--answers", is_flag=True, help="With the answers.")
@command
def worksheet(
    spec: str,
    loss: str,
    seed: int,
    samples: int,
    form: str,
    answers: bool,
    as_json: bool,
) -> int:
    """Write an exercise: one step of a network, to be worked out by hand.

    SPEC is the sizes from the input on, with the activation behind each layer's size:
    2-3tanh-1sigmoid. The questions come in the order of the book's 3.4 and 3.7, with
    numbers of one decimal.
    """
    from chainrule.book.marking.worksheet import worksheet as build

    sheet = build(spec, loss, seed=seed, samples=samples, answers=answers)
    text = "" if as_json else written(sheet, form).rstrip("\n")
    tell(sheet.to_json() if as_json else {}, as_json, text)
    return 0
