"""``chainrule train RECIPE|FILE.toml``: training of a recipe or a run file."""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from chainrule import errors, recipes
from chainrule.cli import speaking
from chainrule.cli.common import DEVICES, STARTED, cli, command, say, tell
from chainrule.engines import engine_names, resolve_engine
from chainrule.recipes.experiment import SETTINGS
from chainrule.text import _, tr, translated
from chainrule.text.tables import text_table
from chainrule.util.processes import is_writer

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
  chainrule train xor --quick --out runs/xor
"""

#: What makes a minute of a training recipe that says nothing else.
QUICK = {"epochs": 1, "limit": 2000}
#: Ends of files that hold data and describe no run.
DATA = (".csv", ".tsv", ".npz", ".png", ".jpg")


@cli.command(epilog=EXAMPLES)
@click.argument("target", metavar="RECIPE|FILE.toml", required=False)
@speaking.option(
    "--epochs",
    type=click.IntRange(1),
    help="Passes over the data; with --resume altogether, so that a run goes on.",
)
@speaking.option("--batch-size", type=click.IntRange(1), help="Samples a step.")
@speaking.option("--lr", type=float, help="Learning rate (its peak).")
@speaking.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    help="Of initial weights, order and dropout.  [default: 0]",
)
@speaking.option(
    "--engine",
    type=click.Choice(engine_names()),
    help="What computes; auto is native where it can run.  [default: auto]",
)
@speaking.option(
    "--threads",
    type=click.IntRange(1),
    help="Threads of the native engine; results do not depend on it.",
)
@speaking.option(
    "--devices",
    type=DEVICES,
    help="Devices of the engine xla that share each batch, or all.",
)
@speaking.option(
    "--limit", type=click.IntRange(1), help="Use the first N samples of each set only."
)
@speaking.option(
    "--data",
    type=click.Path(),
    help="A folder or file of your own, for a recipe that takes one.",
)
@speaking.option(
    "--quick", is_flag=True, help="A recipe within a minute: all of it, less of each."
)
@speaking.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Directory for the results.  [default: runs/NAME-TIME]",
)
@speaking.option(
    "--resume",
    type=click.Path(path_type=Path),
    help="Directory of a run, to be finished bit for bit, or to go on with --epochs.",
)
@speaking.option(
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
    quick: bool,
    data: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Train and test the model that a recipe or a TOML file describes.

    Leaves a directory with last.ckpt (weights and all that resuming needs),
    metrics.json and, with matplotlib installed, pictures and report.html.

    "chainrule recipes" lists the recipes, "chainrule new" writes a TOML file.
    """
    from chainrule.runs import FromRecipe, Session, load, results

    if options["engine"] is not None:
        resolve_engine(
            options["engine"]
        )  # joins the processes of the run, first of all
    if out is not None and resume is not None:
        raise errors.ArgumentError(
            _("--out and --resume exclude each other."),
            expected=_("--out for a new run, or --resume for an interrupted one"),
            got=_("--out {out} --resume {resume}", out=out, resume=resume),
            fix=_("leave --out away: a resumed run goes on in its own directory"),
        )
    recipe = None if target is None or is_file(target) else target
    every = 60.0 if checkpoint_every is None else checkpoint_every
    study = recipe is not None and recipes.kind(recipe) == "study"
    begun = resume is not None and (study or (resume / SETTINGS).exists())
    if data is not None:
        if not study and not begun:
            raise errors.ArgumentError(
                _("Only recipes that look at data of yours take --data."),
                expected=_("such as: chainrule train own-images --data FOLDER"),
                got=_("{value} --data {data}", value=target or _("a run"), data=data),
                fix=_("chainrule new run.toml --data {data}", data=data),
            )
        options["data"] = data
    if resume is not None and begun:
        options |= {"quick": quick or None}
        _study(_resumed(target, resume, options, every), as_json, resume)
        return 0
    if recipe is not None and study:
        _study(_begun(recipe, options, quick, out, every), as_json)
        return 0
    if quick:
        options = _quick(recipe, options, resume)
    if resume is not None:
        session = Session.restore(resume, target, **options)
    elif recipe is not None:
        session = Session.begin(FromRecipe.of(recipe, options), out)
    elif target is not None:
        session = Session.begin(load(Path(target), options), out)
    else:
        raise click.MissingParameter(
            param_type="argument", param_hint="RECIPE|FILE.toml"
        )
    try:
        if over := results.why_over(session):
            say(tr("{why}; its results:", why=over))
        else:
            session.train(every)
    except KeyboardInterrupt:
        stands = results.where_it_stands(session.trainer, target or session.origin.name)
        raise KeyboardInterrupt(stands) from None
    summary = results.summary(session)
    summary["seconds_total"] = time.perf_counter() - STARTED
    note = ""
    if quick and recipe is not None:
        note = recipes.quick_note(recipes.find(recipe).SECONDS)
    files = results.write(session, summary, note)
    text = results.readable(session, summary, files)
    if note:
        text += f"\n\n{translated(note)}"
    tell(summary, as_json, text)
    return 0


def is_file(target: str) -> bool:
    """Return whether a command-line target is a file, not a recipe.

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
            _(
                "{target!r} holds data, and does not say what to do with them.",
                target=target,
            ),
            expected=_("a TOML file that describes a run, or a recipe"),
            got=_("a folder") if path.is_dir() else "data",
            fix=_("chainrule new run.toml --data {target}", target=target),
        )
    if path.is_file():
        return True
    near = errors.nearest(target, [path.name for path in Path().glob("*.toml")])
    if near is not None or any(mark in target for mark in "./\\"):
        raise errors.ArgumentError(
            _("There is no file and no recipe {target!r}.", target=target),
            expected=_(
                "a TOML file, or one of {RECIPES}", RECIPES=", ".join(recipes.RECIPES)
            ),
            got=target,
            fix=_("chainrule train {value}", value=near or "FILE.toml"),
        )
    return False


def _quick(
    recipe: str | None, options: dict[str, Any], resume: Path | None
) -> dict[str, Any]:
    """Return the options of a training recipe for a quick run of about a minute.

    Raises:
        ArgumentError: a file, or a run that has begun.
    """
    if recipe is None or resume is not None:
        raise errors.ArgumentError(
            _("--quick is for a recipe that begins."),
            expected=_("chainrule train RECIPE --quick"),
            got=_("a file")
            if resume is None
            else _("--resume {resume}", resume=resume),
            fix=_("--epochs 1 makes a short run of a file")
            if resume is None
            else _("leave --quick away: a resumed run keeps its settings"),
        )
    short = getattr(recipes.find(recipe), "QUICK", QUICK)
    return {k: short.get(k) if v is None else v for k, v in options.items()}


def _begun(
    name: str, settings: dict[str, Any], quick: bool, out: Path | None, every: float
) -> recipes.Experiment:
    """Begin the run of a recipe with the command line's settings.

    Raises:
        ArgumentError: an option that it does not take.
    """
    from chainrule.runs.session import new_directory

    takes = inspect.signature(recipes.find(name).run).parameters
    own = [option for option in takes if option in {"data", *settings}]
    settings = {
        option: value for option, value in settings.items() if value is not None
    }
    known = {"seed", "engine", "threads", "devices"}.union(own)

    def flags(names: Iterable[str]) -> list[str]:
        return ["--" + name.replace("_", "-") for name in names]

    if unknown := [option for option in settings if option not in known]:
        taken = ["quick", "seed", "engine", "threads", "devices", *own]
        values = (settings[option] for option in unknown)
        raise errors.ArgumentError(
            _(
                "The recipe {name!r} does not take {unknown}.",
                name=name,
                unknown=" and ".join(flags(unknown)),
            ),
            expected=_("only {taken}", taken=", ".join(flags(taken))),
            got=" ".join(f"{o} {v}" for o, v in zip(flags(unknown), values)),
            fix=_("leave it away: these settings belong to what the recipe shows"),
        )
    options = {option: settings.pop(option) for option in own if option in settings}
    place = out or new_directory(name)
    how = {"quick": quick, "out": place, "options": options, **settings}
    return recipes.Experiment(name, checkpoint_every=every, **how)


def _resumed(
    target: str | None, resume: Path, options: dict[str, Any], every: float
) -> recipes.Experiment:
    """Restore a recipe's run to resume; only threads and devices may differ.

    Raises:
        ArgumentError: another recipe, or another setting.
    """
    resources = {name: options.pop(name) for name in ("threads", "devices")}
    experiment = recipes.Experiment.restore(resume, checkpoint_every=every, **resources)
    own = {
        "recipe": experiment.name,
        "seed": experiment.seed,
        "engine": experiment.engine,
    }
    own |= {"quick": experiment.quick, **experiment.options}
    for option, value in {"recipe": target, **options}.items():
        if value is not None and own.get(option) != value:
            raise errors.ArgumentError(
                _("A resumed run keeps its {option}.", option=option),
                expected=_(
                    "{option} {get_option}, as it was begun",
                    option=option,
                    get_option=own.get(option),
                ),
                got=str(value),
                fix=_(
                    "chainrule train --resume {resume}, or a new run with --out",
                    resume=resume,
                ),
            )
    return experiment


def _study(
    experiment: recipes.Experiment, as_json: bool, resume: Path | None = None
) -> None:
    """Run a recipe (study), with its output on standard error if ``as_json``."""
    from chainrule.recipes.networks import pictured
    from chainrule.runs import tracebacks

    place: Any = contextlib.redirect_stdout(sys.stderr) if as_json else None
    if not is_writer():  # the first of several processes prints
        place = contextlib.redirect_stdout(io.StringIO())
    try:
        with (
            place or contextlib.nullcontext(),
            tracebacks.traceback_saved_in(experiment.out),
        ):
            summary = recipes.perform(
                experiment, again=resume is not None, networks=pictured(experiment)
            )
    except KeyboardInterrupt:
        again = f"chainrule train --resume {experiment.out}"
        where = tr("what is done is saved; go on with: {command}", command=again)
        raise KeyboardInterrupt(where) from None
    rows_held = [
        (tr("reached") if r["reached"] else tr("missed"), recipes.worded(r))
        for r in summary["references"]
    ]
    files = f"{experiment.out}: {', '.join(experiment.directory.files)}"
    rows = [("", *row) for row in [*rows_held, (tr("files"), files)]]
    lines = [line.rstrip() for line in text_table(rows, left=3)]
    tell(summary, as_json, "\n".join(["", *lines]))
