"""``chainrule evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli.common import cli, command, tell

EXAMPLES = """\b
Examples:
  chainrule evaluate runs/houses
  chainrule evaluate runs/houses more-houses.csv
  chainrule evaluate runs/houses/best.ckpt --json
"""


@cli.command(epilog=EXAMPLES, short_help="Measure what a run has learnt.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option("--threads", type=click.IntRange(1), help="Threads of the native engine.")
@command
def evaluate(run: Path, data: Path | None, threads: int | None, as_json: bool) -> int:
    """Measure what a run has learnt: loss, metrics, and which classes it confuses.

    RUN is the directory of a run, or a checkpoint. DATA is a file or folder like the
    one that it was trained on, targets included; without it, the run's own test part.
    """
    from chainrule.runs import evaluating

    result, text = evaluating.evaluate(run, data, threads=threads)
    tell(result, as_json, text)
    return 0
