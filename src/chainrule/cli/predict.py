"""``chainrule predict``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from chainrule.cli.common import cli, command, say, tell
from chainrule.errors import visible_lines

EXAMPLES = """\b
Examples:
  chainrule predict runs/houses new-houses.csv
  chainrule predict runs/houses new-houses.csv --out priced.csv
  chainrule predict runs/pets photo.png --output probabilities
  chainrule predict runs/pets folder-of-photos --json
"""


@cli.command(epilog=EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Choice(["classes", "probabilities", "logits", "values"]),
    help="What to give.  [default: classes for classes, values for quantities]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A CSV file to write instead of standard output.",
)
@click.option("--threads", type=click.IntRange(1), help="Threads of the native engine.")
@command
def predict(
    run: Path,
    data: Path,
    output: str | None,
    out: Path | None,
    threads: int | None,
    as_json: bool,
) -> int:
    """Say what a run's network makes of new data, as CSV.

    RUN is the directory of a run, or a checkpoint. DATA is a CSV or NPZ file like the
    one that it was trained on (targets need not be there), an image, or a folder of
    images. The rows of a CSV file come back with all their columns and the predictions
    behind them, without those that the run leaves out (missing = "drop"), which are
    counted on standard error; other data come with their number or file name.
    """
    from chainrule.runs import predicting

    made = predicting.predict(run, data, output, threads=threads)
    if out is not None:
        made.write(out)
        say(f"{out}: {made.rows} predictions")
    if as_json:
        tell(made.as_json(out), True, "")
    elif out is None:
        text = made.csv()
        if sys.stdout.isatty():  # elsewhere the cells are data, and stay as they are
            text = visible_lines(text)
        click.echo(text, nl=False, color=True)  # nothing of theirs is taken away
    return 0
