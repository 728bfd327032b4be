"""``chainrule evaluate``: metrics of a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chainrule.cli import speaking
from chainrule.cli.common import DEVICES, cli, command, tell

EXAMPLES = """\b
Examples:
  chainrule evaluate runs/houses
  chainrule evaluate runs/houses more-houses.csv
  chainrule evaluate runs/houses/best.ckpt --json
"""


@cli.command(epilog=EXAMPLES, short_help="Measure what a run has learnt.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False, type=click.Path(path_type=Path))
@speaking.option(
    "--threads", type=click.IntRange(1), help="Threads of the native engine."
)
@speaking.option(
    "--devices",
    type=DEVICES,
    help="Devices of the engine xla that share each batch, or all.",
)
@speaking.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    help="Of the shuffles that tell how important a column is.",
)
@command
def evaluate(
    run: Path,
    data: Path | None,
    threads: int | None,
    devices: Any,
    seed: int,
    as_json: bool,
) -> int:
    """Measure a trained network on data, beside a constant baseline.

    Of a table it also says which columns the network needs, by how much worse it is
    with a column shuffled, and which rows are predicted worst.

    RUN is the directory of a run, or a checkpoint. DATA is a file or folder like the
    one that it was trained on, targets included; without it, the run's own test part.
    """
    from chainrule.runs import evaluating

    result, text = evaluating.evaluate(
        run, data, threads=threads, devices=devices, seed=seed
    )
    tell(result, as_json, text)
    return 0
