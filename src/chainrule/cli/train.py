"""``chainrule train RECIPE|FILE.toml``."""

from __future__ import annotations

import contextlib
import inspect
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from chainrule import errors, recipes
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

#: Ends of files that hold data and describe no run.
DATA = (".csv", ".tsv", ".npz", ".png", ".jpg")


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
    from chainrule.runs import FromRecipe, Session, load, results

    if out is not None and resume is not None:
        raise errors.ArgumentError(
            "--out and --resume exclude each other.",
            expected="--out for a new run, or --resume for an interrupted one",
            got=f"--out {out} --resume {resume}",
            fix="leave --out away: a resumed run goes on in its own directory",
        )
    recipe = None if target is None or is_file(target) else target
    if recipe is not None and recipes.kind(recipe) == "walk-through":
        more = {"out": out, "resume": resume, "checkpoint_every": checkpoint_every}
        _walk_through(recipe, given | more, as_json)
        return 0
    if resume is not None:
        session = Session.restore(resume, target, **given)
    elif recipe is not None:
        session = Session.begin(FromRecipe.of(recipe, given), out)
    elif target is not None:
        session = Session.begin(load(Path(target), given), out)
    else:
        raise click.MissingParameter(
            param_type="argument", param_hint="RECIPE|FILE.toml"
        )
    try:
        if over := results.why_over(session):
            say(f"{over}; its results:")
        else:
            session.train(60.0 if checkpoint_every is None else checkpoint_every)
    except KeyboardInterrupt:
        stands = results.where_it_stands(session.trainer, target or session.origin.name)
        raise KeyboardInterrupt(stands) from None
    summary = results.summary(session)
    summary["seconds_total"] = time.perf_counter() - STARTED
    files = results.write(session, summary)
    tell(summary, as_json, results.readable(session, summary, files))
    return 0


def is_file(target: str) -> bool:
    """Whether a target is a file and no recipe.

    Raises:
        ArgumentError: it is neither, and looks like a file.
    """
    if target in recipes.RECIPES:
        return False
    if target.lower().endswith(".toml"):
        return True
    path = Path(target)
    if path.is_dir() or path.suffix.lower() in DATA:
        raise errors.ArgumentError(
            f"{target!r} holds data, and does not say what to do with them.",
            expected="a TOML file that describes a run, or a recipe",
            got="a folder" if path.is_dir() else "data",
            fix=f"chainrule new run.toml --data {target}",
        )
    if path.is_file():
        return True
    near = errors.nearest(target, [path.name for path in Path().glob("*.toml")])
    if near is not None or any(mark in target for mark in "./\\"):
        raise errors.ArgumentError(
            f"There is no file and no recipe {target!r}.",
            expected=f"a TOML file, or one of {', '.join(recipes.RECIPES)}",
            got=target,
            fix=f"chainrule train {near or 'FILE.toml'}",
        )
    return False


def _walk_through(name: str, given: dict[str, Any], as_json: bool) -> None:
    """Run a walk-through; it prints, on standard error where ``as_json``.

    Raises:
        ArgumentError: an option that it does not take.
    """
    module = recipes.find(name)
    known = list(inspect.signature(module.run).parameters)
    options = {option: value for option, value in given.items() if value is not None}

    def flags(names: Iterable[str]) -> list[str]:
        return ["--" + name.replace("_", "-") for name in names]

    unknown = " and ".join(flags(o for o in options if o not in known))
    if unknown:
        taken = flags(option for option in known if option in given)
        raise errors.ArgumentError(
            f"The recipe {name!r} does not take {unknown}.",
            expected=f"only {', '.join(taken)}" if taken else "no options",
            got=" ".join(f"{o} {v}" for o, v in zip(flags(options), options.values())),
            fix=f"leave {unknown} away: it is a walk-through, whose settings belong to "
            "what it shows",
        )
    place = contextlib.redirect_stdout(sys.stderr) if as_json else None
    with place or contextlib.nullcontext():
        result = {"recipe": name, "result": module.run(**options)}
    if as_json:
        tell(result, True, "")
