"""``chainrule explore``: the book's questions as small experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say, tell
from chainrule.text import _, tr
from chainrule.text.tables import text_table

EXAMPLES = """\b
Examples:
  chainrule explore
  chainrule explore learning-rate
  chainrule explore vanishing --lang zh-TW --out pictures
  chainrule explore depth --quick --seed 1
  chainrule explore convergence --json
"""


@cli.command(epilog=EXAMPLES, short_help="Ask the textbook's questions by experiment.")
@click.argument("name", required=False)
@speaking.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    help="Of everything that is drawn.  [default: 0]",
)
@speaking.option(
    "--quick", is_flag=True, help="Less of it, where all takes more than five seconds."
)
@speaking.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for its picture and numbers.  [default: runs/explore/NAME]",
)
@command
def explore(
    name: str | None, seed: int, quick: bool, out: Path | None, as_json: bool
) -> int:
    """Run the textbook experiment NAME, or list all experiments.

    Each asks a question of the textbook, measures, and answers with what was found:
    where the book or theory expects something else, that stands beside it. It leaves
    NAME.png (with matplotlib installed) and NAME.json in its folder.
    """
    from chainrule.book import experiments

    if name is None:
        outlines = experiments.experiments()
        tell({"experiments": outlines}, as_json, _listed(outlines))
        return 0
    experiment = experiments.run(name, seed=seed, quick=quick)
    written = experiment.save(out or Path("runs", "explore", name))
    tell(
        {**experiment.plain(), "files": [str(file) for file in written]},
        as_json,
        str(experiment),
    )
    if not as_json:
        say("\n" + tr("Written: {files}", files=tr(", ").join(map(str, written))))
        if len(written) == 1:
            say(
                tr("There is no picture: {fix}", fix=_("pip install 'chainrule[plot]'"))
            )
    return 0


def _listed(outlines: Sequence[dict[str, Any]]) -> str:
    rows = [
        (item["name"], item["title"], tr(", ").join(item["sections"]))
        for item in outlines
    ]
    head = tr("experiment"), tr("what it is about"), tr("sections")
    lines = [line.rstrip() for line in text_table([head, *rows], left=3)]
    return "\n".join([*lines, "", tr("Do one with: chainrule explore NAME")])
