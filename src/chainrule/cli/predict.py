"""``chainrule predict``: predictions for new data."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click

from chainrule.cli import speaking
from chainrule.cli.common import DEVICES, cli, command, say, tell
from chainrule.errors import visible_lines
from chainrule.text import _, ngettext, translated
from chainrule.util.atomic_files import replace

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
@speaking.option(
    "--output",
    type=click.Choice(["classes", "probabilities", "logits", "values"]),
    help="What to give.  [default: classes for classes, values for quantities]",
)
@speaking.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A CSV file to write instead of standard output.",
)
@speaking.option(
    "--safe-csv/--no-safe-csv",
    "safe",
    default=True,
    help="Whether cells that a spreadsheet would take for formulas (= + - @ in front) "
    "get a ' in front.  [default: safe-csv]",
)
@speaking.option(
    "--threads", type=click.IntRange(1), help="Threads of the native engine."
)
@speaking.option(
    "--devices",
    type=DEVICES,
    help="Devices of the engine xla that share each batch, or all.",
)
@command
def predict(
    run: Path,
    data: Path,
    output: str | None,
    out: Path | None,
    safe: bool,
    threads: int | None,
    devices: Any,
    as_json: bool,
) -> int:
    """Write a trained network's predictions for new data, as CSV.

    RUN is the directory of a run, or a checkpoint. DATA is a table or an NPZ file like
    the one that it was trained on (targets need not be there), an image, or a folder of
    images. The rows of a CSV file come back with all their columns and the predictions
    behind them, without those that the run leaves out (missing = "drop"), which are
    counted on standard error; other data come with their number or file name.
    """
    from chainrule.runs import predicting

    predictions = predicting.predict(
        run, data, output, threads=threads, devices=devices
    )
    rows: list[dict[str, Any]] | None = [] if as_json else None
    with predictions.write(safe=safe, rows=rows) as table:
        if out is not None:
            replace(out, table, _("table of predictions"))
            said = ngettext(
                "{file}: {n} prediction",
                "{file}: {n} predictions",
                n=predictions.rows,
                file=out,
            )
            say(translated(said))
        elif rows is None:
            with io.TextIOWrapper(table, "utf-8", newline="") as text:
                # Elsewhere the cells are data, and stay as they are. A standard output
                # that is closed is None.
                terminal = sys.stdout is not None and sys.stdout.isatty()
                shown = visible_lines if terminal else str
                while part := text.read(1 << 20):
                    click.echo(shown(part), nl=False, color=True)
    for note in predictions.notes:
        say(translated(note))
    if rows is not None:
        tell(predictions.report(rows, out), True, "")
    return 0
