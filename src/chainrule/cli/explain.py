"""``chainrule explain``: a training step in all numbers."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, document_format, say, tell, written
from chainrule.errors import ArgumentError
from chainrule.text import _, translated

EXAMPLES = """\b
Examples:
  chainrule explain mnist --layer 3
  chainrule explain runs/houses --row 0 --row 7
  chainrule explain runs/houses new-houses.csv --format html > step.html
  chainrule explain runs/houses --element 2.weight 0,3
  chainrule explain gan --network discriminator --format html > step.html
  chainrule explain runs/gan --network judge --save
"""


@cli.command(epilog=EXAMPLES, short_help="Show every number of a training step.")
@click.argument("run")
@click.argument("data", required=False, type=click.Path(path_type=Path))
@speaking.option(
    "--row",
    "rows",
    type=click.IntRange(0),
    multiple=True,
    help="A row of the data, counted from 0; several make a batch.  [default: 0]",
)
@speaking.option(
    "--network",
    help="Which network of a recipe that has several.  [default: the first]",
)
@speaking.option("--layer", help="This layer alone: its number from 1 on, or its name.")
@speaking.option(
    "--composite",
    "composites",
    multiple=True,
    help="Open this composite, such as softmax; all opens every one.",
)
@speaking.option(
    "--element",
    nargs=2,
    metavar="NAME INDEX",
    help="The whole chain-rule path of one number: --element 2.weight 0,3",
)
@speaking.option(
    "--save",
    is_flag=True,
    help="Write it as a page into the directory of the run; its report links to it.",
)
@document_format()
@command
def explain(
    run: str,
    data: Path | None,
    rows: tuple[int, ...],
    network: str | None,
    layer: str | None,
    composites: tuple[str, ...],
    element: tuple[str, str] | None,
    save: bool,
    form: str,
    as_json: bool,
) -> int:
    """Show every number of a training step, with its formula.

    RUN is the directory of a run or a study, a checkpoint, or the name of a recipe,
    whose network is shown before it has learned. DATA is like the data that the run was
    trained on; without it, the run's own test part, and of a study what its network is
    trained with. The last section is the next update of the run's optimiser.
    """
    from chainrule.runs import explaining

    told = explaining.explained(
        run, data, rows, network=network, layer=layer, composites=composites
    )
    explanation = told.explanation
    if told.others:
        others = ", ".join(told.others)
        note = _(
            "Shown: {network}. There are others: --network {others}",
            network=told.network,
            others=others,
        )
        say(translated(note))
    if element is not None:
        name, place = element
        path = explanation.element(name, _index(place))
        tell(path.to_json(), as_json, str(path))
        return 0
    if save:
        page, report = explaining.saved(told, run)
        files = {"page": str(page), "report": None if report is None else str(report)}
        tell(files, as_json, "\n".join(filter(None, files.values())))
        return 0
    if as_json:
        tell(explanation.to_json(), True, "")
        return 0
    tell({}, False, written(explanation, form).rstrip("\n"))
    return 0


def _index(text: str) -> tuple[int, ...]:
    """Parse an array index on the command line, such as ``0,3``."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ArgumentError(
            _("An element is named by whole numbers."),
            expected=_("one for each axis, with commas: 0,3"),
            got=repr(text),
        ) from None
