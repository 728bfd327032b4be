"""``chainrule train RECIPE|FILE.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chainrule import errors
from chainrule.cli.common import STARTED, cli, command, say, tell

EXAMPLES = """\b
Examples:
  chainrule train mnist
  chainrule train mnist --epochs 3 --lr 2e-3 --out runs/short
  chainrule train mnist --resume runs/short
  chainrule train mnist --limit 2000 --epochs 1 --json
  chainrule train houses.toml
  chainrule train houses.toml --epochs 50 --seed 1
  chainrule train --resume runs/houses --epochs 80
  chainrule train two-two-one
"""


@cli.command(epilog=EXAMPLES)
@click.argument("target", metavar="RECIPE|FILE.toml", required=False)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Passes over the data; with --resume altogether, so that a run goes on.",
)
@click.option("--batch-size", type=click.IntRange(1), help="Samples a step.")
@click.option("--lr", type=float, help="Learning rate (its peak).")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    help="Of initial weights, order and dropout.  [default: 0]",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "native", "numpy"]),
    help="What computes; auto is native where it can run.  [default: auto]",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Threads of the native engine; results do not depend on it.",
)
@click.option(
    "--limit", type=click.IntRange(1), help="Use the first N samples of each set only."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Directory for the results.  [default: runs/NAME-TIME]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    help="Directory of a run, to be finished bit for bit, or to go on with --epochs.",
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    help="Seconds between checkpoints within an epoch.  [default: 60]",
)
@command
def train(
    target: str | None,
    out: Path | None,
    resume: Path | None,
    checkpoint_every: float | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Train what a recipe or a TOML file describes, and test it.

    Leaves a directory with last.ckpt (weights and all that resuming needs),
    metrics.json and, with matplotlib installed, curve.png and report.html.

    "chainrule recipes" lists the recipes, "chainrule new" writes a TOML file.
    """
    from chainrule import recipes
    from chainrule.runs import recipe, session

    if out is not None and resume is not None:
        raise errors.ArgumentError(
            "--out and --resume exclude each other.",
            expected="--out for a new run, or --resume for an interrupted one",
            got=f"--out {out} --resume {resume}",
            fix="leave --out away: a resumed run goes on in its own directory",
        )
    if target is None and resume is None:
        raise click.MissingParameter(
            param_type="argument", param_hint="RECIPE|FILE.toml"
        )
    if target is not None and not session.is_file(target):
        module = recipes.find(target)
        if recipes.kind(module) == "walk-through":
            more = {"out": out, "resume": resume, "checkpoint_every": checkpoint_every}
            result = recipe.walk_through(target, module, given | more, as_json=as_json)
            if as_json:
                tell(result, True, "")
            return 0
    summary, text = session.train(
        target,
        given,
        out=out,
        resume=resume,
        checkpoint_every=60.0 if checkpoint_every is None else checkpoint_every,
        started=STARTED,
        say=say,
    )
    tell(summary, as_json, text)
    return 0
