"""The command line: ``chainrule train``, ``chainrule recipes``.

Results go to standard output, progress and messages to standard error. Exit codes: 0
done, 1 failed while running, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from chainrule import errors
from chainrule.version import __version__

STARTED = time.perf_counter()
#: Errors of a run that was asked for rightly; all others of the family are bad input.
AT_RUN_TIME = (
    errors.NonFiniteError,
    errors.SaveError,
    errors.GraphError,
    errors.GradientError,
)


class _Group(click.Group):
    """A group that suggests the nearest command for one that does not exist."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            near = difflib.get_close_matches(args[0], known, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: chainrule train mnist --epochs 3",
)
@click.version_option(__version__, prog_name="chainrule")
def cli() -> None:
    """Chainrule: a glass-box deep learning framework."""


def command(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command ``--json`` and ``--debug``, and turn errors into messages."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(function)
    def run(*args: Any, debug: bool, **kwargs: Any) -> int:
        try:
            return function(*args, **kwargs)
        except click.ClickException:
            raise
        except KeyboardInterrupt as interrupt:
            _say(f"Interrupted{f': {interrupt}' if interrupt.args else '.'}")
            return 130
        except errors.ChainruleError as error:
            if debug:
                traceback.print_exc()
            else:
                _say(f"Error: {error}")
            return 1 if isinstance(error, AT_RUN_TIME) else 2
        except Exception as error:
            if debug:
                traceback.print_exc()
            else:
                _say(f"Internal error: {type(error).__name__}: {error}")
                _say("  fix:      run it with --debug, and report what it shows")
            return 1

    return run


def _say(text: str) -> None:
    click.echo(text, err=True)


@cli.command(epilog="Example: chainrule recipes --json")
@command
def recipes(as_json: bool) -> int:
    """List the recipes."""
    from chainrule import recipes as registry

    found = [
        {
            "name": name,
            "summary": (recipe := registry.find(name)).SUMMARY,
            "epochs": recipe.EPOCHS,
            "batch_size": recipe.BATCH_SIZE,
            "lr": recipe.LR,
        }
        for name in registry.names()
    ]
    if as_json:
        click.echo(json.dumps({"recipes": found}))
    else:
        for item in found:
            click.echo(f"{item['name']:10} {item['summary']}")
    return 0


_EXAMPLES = """\b
Examples:
  chainrule train mnist
  chainrule train mnist --epochs 3 --lr 2e-3 --out runs/short
  chainrule train mnist --resume runs/short
  chainrule train mnist --limit 2000 --epochs 1 --json
"""


@cli.command(epilog=_EXAMPLES)
@click.argument("recipe")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data.")
@click.option("--batch-size", type=click.IntRange(1), help="Samples a step.")
@click.option(
    "--lr", type=click.FloatRange(0, min_open=True), help="Learning rate (its peak)."
)
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
    help="Directory for the results.  [default: runs/RECIPE-TIME]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    help="Directory of an interrupted run, to be finished bit for bit.",
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds between checkpoints within an epoch.",
)
@command
def train(
    recipe: str,
    out: Path | None,
    resume: Path | None,
    threads: int | None,
    checkpoint_every: float,
    as_json: bool,
    **given: Any,
) -> int:
    """Train the network of RECIPE and test it.

    Leaves a directory with last.ckpt (weights and all that resuming needs),
    metrics.json and, with matplotlib installed, curve.png.
    """
    from chainrule import recipes as registry

    module = registry.find(recipe)
    if out is not None and resume is not None:
        raise errors.ArgumentError(
            "--out and --resume exclude each other.",
            expected="--out for a new run, or --resume for an interrupted one",
            got=f"--out {out} --resume {resume}",
            fix="leave --out away: a resumed run goes on in its own directory",
        )
    if resume is None:
        options = _options(module, given)
        directory = out or _new_directory(recipe)
        trainer = module.trainer(
            module.network(options["seed"]),
            lr=options["lr"],
            seed=options["seed"],
            engine=options["engine"],
            threads=threads,
        )
        options["engine"] = trainer.engine
        trainer.notes = {"recipe": recipe, "options": options}
    else:
        directory = resume
        trainer, options = _load(recipe, module, resume, given, threads)
    begun = trainer.optimizer.steps
    training, test = module.data(options["limit"])
    settings = {
        "validation": test,
        "checkpoint": directory,
        "checkpoint_every": checkpoint_every,
    }
    try:
        if trainer.finished:
            _say("This run was finished already; its results:")
        elif trainer.plan is not None:
            trainer.resume(training, **settings)
        else:
            trainer.fit(
                training,
                epochs=options["epochs"],
                batch_size=options["batch_size"],
                **settings,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_where_it_stands(trainer, recipe)) from None
    summary = _summary(trainer, recipe, options, directory)
    summary["resumed_from"] = begun if resume is not None else None
    files = _write_reports(trainer, directory, summary)
    click.echo(json.dumps(summary) if as_json else _readable(summary, files))
    return 0


def _options(module: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What decides the result: the recipe's settings, and those given."""
    defaults = {
        "epochs": module.EPOCHS,
        "batch_size": module.BATCH_SIZE,
        "lr": module.LR,
        "seed": 0,
        "engine": "auto",
        "limit": None,
    }
    return defaults | {k: v for k, v in given.items() if v is not None}


def _new_directory(recipe: str) -> Path:
    stem = f"{recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
    paths = [Path("runs", stem), *(Path("runs", f"{stem}-{i}") for i in range(2, 1000))]
    return next(path for path in paths if not path.exists())


_WHY = {
    "epochs": "the learning rate of every step so far depends on the length of the run",
    "batch_size": "the steps so far were made with the other size",
    "lr": "the steps so far were made with the other rate",
    "seed": "the order of the samples comes from it",
    "engine": "engines differ in the last bits",
    "limit": "the steps so far have seen the other data",
}


def _load(
    recipe: str,
    module: Any,
    directory: Path,
    given: dict[str, Any],
    threads: int | None,
) -> tuple[Any, dict[str, Any]]:
    """The Trainer of an interrupted run, and the options that it was begun with."""
    import chainrule as cr

    trainer = cr.Trainer.load(directory, model=module.network(0), threads=threads)
    options = trainer.notes.get("options")
    own = trainer.notes.get("recipe", "a Python program")
    if options is None or own != recipe:
        raise errors.CheckpointError(
            f"{directory} does not hold a run of the recipe {recipe!r}.",
            expected=f"a directory that 'chainrule train {recipe}' left",
            got=f"a checkpoint of {own!r}",
            fix="resume it with its own recipe, or in Python: "
            "Trainer.load(path).resume(train)",
        )
    for name, value in given.items():
        if value is None or value == options[name] or value == "auto":
            continue
        flag = "--" + name.replace("_", "-")
        raise errors.ArgumentError(
            f"{flag} cannot change when a run is resumed: {_WHY[name]}.",
            expected=f"{flag} {options[name]}, as the run was begun"
            if options[name] is not None
            else f"no {flag}, as the run was begun",
            got=f"{flag} {value}",
            fix=f"leave {flag} away, or start a new run with --out",
        )
    return trainer, options


def _where_it_stands(trainer: Any, recipe: str) -> str:
    plan = trainer.plan
    if plan is None:
        return "nothing was trained yet"
    done = (trainer.epoch - plan.first) * plan.steps_per_epoch + trainer.step
    where = f"step {done} of {plan.epochs * plan.steps_per_epoch}"
    if trainer.last_checkpoint is None:
        return f"{where}, nothing saved"
    directory = Path(trainer.last_checkpoint).parent
    return (
        f"{where} is saved; go on with: chainrule train {recipe} --resume {directory}"
    )


def _summary(
    trainer: Any, recipe: str, options: dict[str, Any], directory: Path
) -> dict[str, Any]:
    """The result of a run, ready for JSON."""
    last = trainer.history.epochs[-1]
    return {
        "recipe": recipe,
        "engine": trainer.engine,
        "seed": options["seed"],
        "epochs": trainer.epoch,
        "batch_size": options["batch_size"],
        "lr": options["lr"],
        "limit": options["limit"],
        "train_loss": _number(last["train_loss"]),
        "test_loss": _number(last["validation_loss"]),
        "test_accuracy": last["validation_accuracy"],
        "parameters": sum(int(p.size) for p in trainer.model.parameters()),
        "steps": trainer.optimizer.steps,
        "seconds_total": time.perf_counter() - STARTED,
        "seconds_compile": trainer.seconds_compile,
        "seconds_training": trainer.seconds_training,
        "out": str(directory),
        "version": __version__,
    }


def _number(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _write_reports(trainer: Any, directory: Path, summary: dict[str, Any]) -> list[str]:
    """metrics.json and curve.png; returns the names of all files of the run."""
    from chainrule.training import checkpoint, curve

    rows = [
        {k: _number(v) if isinstance(v, float) else v for k, v in row.items()}
        for row in trainer.history.epochs
    ]
    text = json.dumps(summary | {"history": rows}, indent=2) + "\n"
    checkpoint.replace(directory / "metrics.json", text.encode(), "summary")
    files = [checkpoint.FILE, "metrics.json"]
    if curve.can_plot():
        title = f"{summary['recipe']}, seed {summary['seed']}"
        curve.save_curve(trainer.history, directory / "curve.png", title=title)
        files.append("curve.png")
    return files


def _readable(summary: dict[str, Any], files: list[str]) -> str:
    s = summary
    loss = "not finite" if s["test_loss"] is None else f"{s['test_loss']:.4f}"
    return "\n".join(
        [
            f"{s['recipe']}: {s['test_accuracy']:.2%} of the test set recognised "
            f"(loss {loss})",
            f"  trained   {s['epochs']} epochs, {s['steps']:,} steps of "
            f"{s['batch_size']} samples, {s['parameters']:,} parameters, "
            f"seed {s['seed']}",
            f"  time      {s['seconds_training']:.1f} s training, "
            f"{s['seconds_compile']:.1f} s compiling, {s['seconds_total']:.1f} s in "
            f"all, engine {s['engine']}",
            f"  files     {s['out']}: {', '.join(files)}",
        ]
    )


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        return cli.main(args, prog_name="chainrule", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted.")
        return 130
