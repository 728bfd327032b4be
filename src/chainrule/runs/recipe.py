"""Runs of recipes: the training ones with checkpoints, walk-throughs as they are."""

from __future__ import annotations

import contextlib
import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainrule.disk import make_directory
from chainrule.errors import ArgumentError, CheckpointError
from chainrule.formatting import percent
from chainrule.runs import results
from chainrule.training import Trainer, checkpoint
from chainrule.version import __version__

_WHY = {
    "batch_size": "the steps so far were made with the other size",
    "lr": "the steps so far were made with the other rate",
    "seed": "the order of the samples comes from it",
    "engine": "engines differ in the last bits",
    "limit": "the steps so far have seen the other data",
}


def flag(name: str) -> str:
    """The option of the command line for ``name``: ``--batch-size``."""
    return "--" + name.replace("_", "-")


def train(
    name: str,
    module: Any,
    given: dict[str, Any],
    *,
    out: Path | None,
    resume: Path | None,
    threads: int | None,
    checkpoint_every: float,
    started: float,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], str]:
    """Train a recipe and test it.

    Args:
        name: of the recipe.
        module: its module.
        given: ``epochs``, ``batch_size``, ``lr``, ``seed``, ``engine`` and ``limit``,
            None where the recipe's own holds.
        out: the directory for the results; None for a new one under ``runs``.
        resume: the directory of an interrupted run.
        threads: of the native engine.
        checkpoint_every: seconds between checkpoints within an epoch.
        started: when the program started, by ``time.perf_counter``.
        say: prints a message.

    Returns:
        The summary, ready for JSON, and the same as text.
    """
    if resume is None:
        options = _options(module, given)
        directory = out or results.new_directory(name)
        trainer = module.trainer(
            module.network(options["seed"]),
            lr=options["lr"],
            seed=options["seed"],
            engine=options["engine"],
            threads=threads,
        )
        options["engine"] = trainer.engine
        trainer.notes = {"recipe": name, "options": options}
    else:
        directory = resume
        trainer, options = _load(name, module, resume, given, threads)
    begun = trainer.optimizer.steps
    training, test = module.data(options["limit"])
    settings = {
        "validation": test,
        "checkpoint": directory,
        "checkpoint_every": checkpoint_every,
    }
    try:
        epochs = None if resume is None else given["epochs"]
        if over := results.why_over(trainer, epochs):
            say(f"{over}; its results:")
        elif trainer.plan is not None:
            trainer.resume(training, epochs=epochs, **settings)
        else:
            trainer.fit(
                training,
                epochs=options["epochs"],
                batch_size=options["batch_size"],
                validation_name="test",
                **settings,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(results.where_it_stands(trainer, name)) from None
    summary = _summary(trainer, name, options, directory)
    summary["seconds_total"] = time.perf_counter() - started
    summary["resumed_from"] = begun if resume is not None else None
    title = f"{name}, seed {options['seed']}"
    made = results.write_files(trainer, directory, summary, title, test)
    return summary, _readable(trainer, summary, [checkpoint.FILE, *made])


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


def _load(
    name: str,
    module: Any,
    directory: Path,
    given: dict[str, Any],
    threads: int | None,
) -> tuple[Trainer, dict[str, Any]]:
    """The Trainer of an interrupted run, and the options that it was begun with."""
    document, _ = checkpoint.read(checkpoint.locate(directory))
    notes = document.get("notes") or {}
    options = notes.get("options")
    other = "a run's file" if "run" in notes else "a Python program"
    own = notes.get("recipe", other)
    if options is None or own != name:
        raise CheckpointError(
            f"{directory} does not hold a run of the recipe {name!r}.",
            expected=f"a directory that 'chainrule train {name}' left",
            got=f"a checkpoint of {own!r}",
            fix="go on with it as it was begun: chainrule train --resume "
            f"{directory}, or in Python: Trainer.load(path).resume(train)",
        )
    trainer = Trainer.load(directory, model=module.network(0), threads=threads)
    for option, value in given.items():
        if value is None or value == options[option] or value == "auto":
            continue
        if option == "epochs":
            options[option] = value  # of the notes too
            continue
        raise cannot_change(option, options[option], value)
    return trainer, options


def cannot_change(option: str, own: Any, value: Any) -> ArgumentError:
    """A resumed run keeps the settings that it was begun with."""
    name = flag(option)
    return ArgumentError(
        f"{name} cannot change when a run is resumed: {_WHY[option]}.",
        expected=f"{name} {own}, as the run was begun"
        if own is not None
        else f"no {name}, as the run was begun",
        got=f"{name} {value}",
        fix=f"leave {name} away, or start a new run with --out",
    )


def _summary(
    trainer: Trainer, name: str, options: dict[str, Any], directory: Path
) -> dict[str, Any]:
    """The result of a run, ready for JSON."""
    last = trainer.history.epochs[-1]
    return {
        "recipe": name,
        "engine": trainer.engine,
        "seed": options["seed"],
        "epochs": trainer.epoch,
        "batch_size": options["batch_size"],
        "lr": options["lr"],
        "limit": options["limit"],
        "train_loss": results.number(last["train_loss"]),
        "test_loss": results.number(last["validation_loss"]),
        "test_accuracy": last["validation_accuracy"],
        "parameters": sum(int(p.size) for p in trainer.model.parameters()),
        "steps": trainer.optimizer.steps,
        "seconds_compile": trainer.seconds_compile,
        "seconds_training": trainer.seconds_training,
        "out": str(directory),
        "version": __version__,
    }


def _readable(trainer: Trainer, summary: dict[str, Any], files: list[str]) -> str:
    s = summary
    return "\n".join(
        [
            f"{s['recipe']}: {percent(s['test_accuracy'])} of the test set recognised "
            f"({results.worded('loss', s['test_loss'])})",
            f"  trained   {s['epochs']} epochs, {s['steps']:,} steps of "
            f"{s['batch_size']} samples, {s['parameters']:,} parameters, "
            f"seed {s['seed']}",
            results.times(trainer, s["seconds_total"]),
            f"  files     {s['out']}: {', '.join(files)}",
        ]
    )


def walk_through(
    name: str,
    module: Any,
    given: dict[str, Any],
    *,
    as_json: bool,
) -> dict[str, Any]:
    """Run a walk-through; it prints, on standard error where ``as_json``.

    Args:
        name: of the recipe.
        module: its module.
        given: the options of the command line, None where none was given.
        as_json: whether standard output is for one JSON object.

    Raises:
        ArgumentError: an option that this walk-through does not take.
    """
    known = list(inspect.signature(module.run).parameters)
    options = {option: value for option, value in given.items() if value is not None}
    unknown = [flag(option) for option in options if option not in known]
    if unknown:
        taken = [flag(option) for option in known if option in given]
        raise ArgumentError(
            f"The recipe {name!r} does not take {' and '.join(unknown)}.",
            expected=f"only {', '.join(taken)}" if taken else "no options",
            got=" ".join(f"{flag(k)} {v}" for k, v in options.items()),
            fix=f"leave {' and '.join(unknown)} away: it is a walk-through, whose "
            "settings belong to what it shows",
        )
    if options.get("out") is not None:
        make_directory(options["out"])
    place = contextlib.redirect_stdout(sys.stderr) if as_json else None
    with place or contextlib.nullcontext():
        return {"recipe": name, "result": module.run(**options)}
