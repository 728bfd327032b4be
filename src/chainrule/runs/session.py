"""A run from a file: train it, or go on with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import disk, nn, recipes
from chainrule.disk import ignoring, read_file, sweep
from chainrule.errors import (
    ArgumentError,
    CheckpointError,
    DTypeError,
    ShapeError,
    nearest,
)
from chainrule.runs import factory, gaps, results, source
from chainrule.runs.building import batch_size, build
from chainrule.runs.file import BYTES_AT_MOST, OPTIONS, RunFile, load, parse
from chainrule.runs.recipe import cannot_change, flag
from chainrule.runs.source import Parts
from chainrule.runs.values import show
from chainrule.training import Trainer, checkpoint
from chainrule.version import __version__

#: The copy of its file that a run leaves.
COPY = "run.toml"
#: Ends of files that hold data and describe no run.
DATA = (".csv", ".tsv", ".npz", ".png", ".jpg")


def is_file(target: str) -> bool:
    """Whether a target of ``chainrule train`` is a file and no recipe.

    Raises:
        ArgumentError: it is neither, and looks like a file.
    """
    if target in recipes.RECIPES:
        return False
    if target.lower().endswith(".toml"):
        return True
    if Path(target).is_dir() or Path(target).suffix.lower() in DATA:
        raise ArgumentError(
            f"{target!r} holds data, and does not say what to do with them.",
            expected="a TOML file that describes a run, or a recipe",
            got="a folder" if Path(target).is_dir() else "data",
            fix=f"chainrule new run.toml --data {target}",
        )
    if Path(target).is_file():
        return True
    near = nearest(target, [path.name for path in Path().glob("*.toml")])
    if near is not None or any(mark in target for mark in "./\\"):
        raise ArgumentError(
            f"There is no file and no recipe {target!r}.",
            expected=f"a TOML file, or one of {', '.join(recipes.RECIPES)}",
            got=target,
            fix=f"chainrule train {near or 'FILE.toml'}",
        )
    return False


@dataclass(frozen=True)
class Session:
    """A run that is ready to go.

    Attributes:
        run: its file.
        parts: its data.
        trainer: its Trainer.
        directory: what it leaves its results in.
        epochs: how many a resumed run shall have; None: as many as it was begun with.
    """

    run: RunFile
    parts: Parts
    trainer: Trainer
    directory: Path
    epochs: int | None = None

    def train(self, checkpoint_every: float = 60.0) -> None:
        """Train, from the start or from where it stands.

        Args:
            checkpoint_every: seconds between checkpoints within an epoch.

        Raises:
            RunFileError: what shows only now, such as a directory with another run.
            NonFiniteError, SaveError, KeyboardInterrupt: see ``Trainer.fit``.
        """
        settings = self.run["training"]
        common: dict[str, Any] = {
            "validation": self.parts.validation,
            "callbacks": self._callbacks(),
            "checkpoint": self.directory,
            "checkpoint_every": checkpoint_every,
        }
        try:
            if self.trainer.plan is not None:
                self.trainer.resume(self.parts.train, epochs=self.epochs, **common)
            else:
                self.trainer.fit(
                    self.parts.train,
                    epochs=settings["epochs"],
                    batch_size=batch_size(self.run, self.parts.train),
                    drop_last=settings["drop_last"],
                    **common,
                )
        except (ArgumentError, ShapeError, DTypeError) as error:
            if self.epochs is not None:  # the command line is to blame
                raise
            raise self.run.blame(error) from error

    def _callbacks(self) -> list[Any]:
        """The callbacks of its file.

        Raises:
            RunFileError: a file of theirs would lie outside of the directory.
        """
        given = enumerate(self.run["callbacks"])
        try:
            return [factory.callback(i, item, self.directory) for i, item in given]
        except factory.ProblemError as error:
            raise self.run.error(error.problem) from error


def train(
    target: str,
    given: Mapping[str, Any],
    *,
    out: Path | None,
    resume: Path | None,
    threads: int | None,
    checkpoint_every: float,
    started: float,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], str]:
    """Train what a file describes, and test it.

    Args:
        target: the path of the file.
        given: options of the command line that replace some of its keys.
        out: the directory for the results, instead of the file's.
        resume: the directory of an interrupted run.
        threads: of the native engine.
        checkpoint_every: seconds between checkpoints within an epoch.
        started: when the program started, by ``time.perf_counter``.
        say: prints a message.

    Returns:
        The summary, ready for JSON, and the same as text.

    Raises:
        RunFileError, DataError: whatever is wrong with the file or its data.
    """
    options = {**given, "threads": threads}
    if resume is None:
        session = begin(load(Path(target), options), out)
    else:
        session = restore(resume, target, options)
    trainer, begun = session.trainer, session.trainer.optimizer.steps
    try:
        if over := results.why_over(trainer, session.epochs):
            say(f"{over}; its results:")
        else:
            session.train(checkpoint_every)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(results.where_it_stands(trainer, target)) from None
    summary = _summary(session, target)
    summary["resumed_from"] = begun if resume is not None else None
    summary["seconds_total"] = time.perf_counter() - started
    files = _leave(session, summary)
    return summary, _readable(session, summary, files)


def begin(run: RunFile, out: Path | None = None) -> Session:
    """A new run.

    Args:
        run: its file.
        out: the directory for the results, instead of the file's.

    Raises:
        RunFileError: whatever does not fit together.
    """
    directory = out
    if directory is None and run["output"]["directory"] is not None:
        try:
            given = run["output"]["directory"]
            directory = disk.inside(run.folder, given, "the directory for the results")
        except ArgumentError as error:
            raise run.blame(error, "output", "directory") from error
    if directory is None:
        directory = results.new_directory(Path(run.name).stem)
    parts, trainer = build(run)
    batch_size(run, parts.train)
    trainer.notes = {"run": _note(run, trainer.engine)}
    return Session(run, parts, trainer, directory)


# -- resuming ----------------------------------------------------------------------


def _note(run: RunFile, engine: str) -> dict[str, Any]:
    """What a checkpoint keeps of its file."""
    return {
        "name": run.name,
        "folder": str(run.folder.resolve()),
        "text": run.text,
        "options": dict(run.options),
        "engine": engine,
    }


def begun_with(directory: Path) -> tuple[str, bool]:
    """What a run was begun with: the name of a file or recipe, and whether a file."""
    document, _ = checkpoint.read(checkpoint.locate(directory))
    notes = document.get("notes") or {}
    run = file_of(notes, directory)
    if run is not None:
        return run.name, True
    if "recipe" in notes:
        return str(notes["recipe"]), False
    raise CheckpointError(
        f"{directory} does not hold a run that the command line can resume.",
        expected="a directory that 'chainrule train' left",
        got="a checkpoint of a Python program",
        fix="in Python: Trainer.load(path).resume(train)",
    )


def file_of(notes: Any, place: Path) -> RunFile | None:
    """The file that a run was made from, out of its notes; None without one.

    Raises:
        CheckpointError: notes that are none of ours.
    """
    if not isinstance(notes, dict) or "run" not in notes:
        return None
    note = notes["run"]
    try:
        run = parse(
            note["text"],
            name=note["name"],
            folder=Path(note["folder"]),
            options={**note["options"], "engine": note["engine"]},
        )
        # The checkpoint may be a stranger's: data lie where the user is, or where a
        # file of the user's says.
        own = _says(run.folder / run.name, run.text)
        return run if own else replace(run, within=Path.cwd())
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{place} does not say from which file its run was made.",
            expected="a checkpoint that 'chainrule train FILE.toml' left",
            got=show(note),
            fix="go on in Python: Trainer.load(path)",
        ) from error


def _says(file: Path, text: str) -> bool:
    """Whether there is such a file, and this is what it says."""
    with ignoring():
        return read_file(file, BYTES_AT_MOST).decode("utf-8-sig", "replace") == text
    return False


def restore(directory: Path, target: str, options: Mapping[str, Any]) -> Session:
    """An interrupted run, standing where it stood.

    Args:
        directory: of the run.
        target: the path of its file as given, which may have moved away.
        options: of the command line; they cannot change the run.
    """
    document, _ = checkpoint.read(checkpoint.locate(directory))
    notes = document.get("notes")
    run = file_of(notes, directory)
    if run is None:
        own = (notes or {}).get("recipe", "a Python program")
        raise CheckpointError(
            f"{directory} does not hold a run of a file.",
            expected=f"a directory that 'chainrule train {target}' left",
            got=f"a checkpoint of {own!r}",
            fix="resume it with its own recipe, or in Python: "
            "Trainer.load(path).resume(train)",
        )
    threads = options.get("threads") or run["training"]["threads"]
    trainer = Trainer.load(directory, threads=threads)
    _check_options(run, options)
    if Path(target).exists():
        now = load(Path(target), run.options)
        _check_same(run, now)
        run = replace(run, folder=now.folder, within=None)
    loss, epochs = trainer.loss, options.get("epochs")
    assert isinstance(loss, nn.Module)
    if epochs is not None:
        trainer.notes["run"]["options"]["epochs"] = epochs
    parts = source.load(run).for_loss(loss)
    return Session(run, parts, trainer, directory, epochs)


def _check_options(run: RunFile, options: Mapping[str, Any]) -> None:
    """A resumed run keeps the settings that it was begun with."""
    for option, value in options.items():
        section, key = OPTIONS[option]
        if value is None or option in ("threads", "epochs") or value == "auto":
            continue
        own = (
            run["optimizer"]["options"].get("lr")
            if option == "lr"
            else run[section][key]
        )
        if value != own:
            raise cannot_change(option, own, value)


def _check_same(run: RunFile, now: RunFile) -> None:
    """The file must still say what the run was begun with."""
    for section, own in run.settings.items():
        if section == "output" or own == now[section]:
            continue
        place, was, new = f"[{section}]", own, now[section]
        if isinstance(own, dict):
            key = next(key for key in own if own[key] != new[key])
            place, was, new = f"{place} {key}", own[key], new[key]
        raise ArgumentError(
            f"{now.name} has changed since the run was begun: {place} is another.",
            expected="nothing" if was is None else show(was, 200),
            got="nothing" if new is None else show(new, 200),
            fix="start a new run, or resume from the directory alone: "
            "chainrule train --resume DIRECTORY",
        )


# -- results -----------------------------------------------------------------------


def _summary(session: Session, target: str) -> dict[str, Any]:
    """The result of a run, ready for JSON."""
    run, trainer, parts = session.run, session.trainer, session.parts
    rows = trainer.history.epochs
    last = rows[-1] if rows else {}
    measured = {
        key: results.number(v)
        for key, v in last.items()
        if key.startswith(("train_", "validation_"))
    }
    tested = {} if parts.test is None else trainer.evaluate(parts.test)
    for key, v in tested.items():
        one = isinstance(v, float | int)
        measured[f"test_{key}"] = results.number(v) if one else np.asarray(v).tolist()
    return {
        "run": Path(target).name,
        "engine": trainer.engine,
        "seed": trainer.seed,
        "epochs": trainer.epoch,
        **results.stopped(trainer),
        "batch_size": batch_size(run, parts.train),
        "lr": trainer.optimizer.schedule.lr,
        "samples": parts.sizes(),
        "incomplete_rows": parts.incomplete,
        "limit": run["data"]["limit"],
        **measured,
        "parameters": sum(int(p.size) for p in trainer.model.parameters()),
        "steps": trainer.optimizer.steps,
        "seconds_compile": trainer.seconds_compile,
        "seconds_training": trainer.seconds_training,
        "out": str(session.directory),
        "version": __version__,
    }


def _leave(session: Session, summary: dict[str, Any]) -> list[str]:
    """Write the files of a run that is over; returns their names."""
    run, directory = session.run, session.directory
    given = session.trainer.notes["run"]["options"]
    options = " ".join(f"{flag(key)} {value}" for key, value in given.items())
    head = f"# chainrule train {run.name} {options}".rstrip()
    text = f"{head}\n{run.text}".encode()
    sweep(directory / COPY)
    disk.replace(directory / COPY, text, "copy of the run's file")
    shown = session.parts.test or session.parts.validation
    title = f"{run.name}, seed {session.trainer.seed}"
    made = results.write_files(session.trainer, directory, summary, title, shown)
    return [checkpoint.FILE, COPY, *made]


def _readable(session: Session, s: dict[str, Any], files: list[str]) -> str:
    """The summary as text."""
    trainer = session.trainer
    part = next((p for p in ("test", "validation") if f"{p}_loss" in s), "train")
    numbers = {
        key.removeprefix(f"{part}_"): v
        for key, v in s.items()
        if key.startswith(f"{part}_") and not isinstance(v, list)
    }
    words = ", ".join(results.worded(name, v) for name, v in numbers.items())
    samples = ", ".join(f"{n:,} {name}" for name, n in s["samples"].items() if n)
    samples += gaps.told(session.parts.incomplete, session.parts.rows)
    return "\n".join(
        [
            f"{s['run']}: {words} on the {results.PARTS[part]}",
            f"  samples   {samples}",
            f"  trained   {s['epochs']} epochs, {s['steps']:,} steps of "
            f"{s['batch_size']} samples, {s['parameters']:,} parameters, "
            f"seed {s['seed']}",
            *results.told_of_stopping(trainer),
            results.times(trainer, s["seconds_total"]),
            f"  files     {s['out']}: {', '.join(files)}",
        ]
    )
