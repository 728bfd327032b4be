"""One run on its way, from a file or from a recipe: train it, go on, sum it up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import disk, recipes
from chainrule.errors import (
    ArgumentError,
    CheckpointError,
    DTypeError,
    ShapeError,
    nearest,
)
from chainrule.runs import gaps, results
from chainrule.runs.building import FromFile
from chainrule.runs.file import BYTES_AT_MOST, RunFile, flag, load, parse
from chainrule.runs.problems import Problem
from chainrule.runs.recipe import FromRecipe, Options
from chainrule.runs.section import Section
from chainrule.runs.source import Parts
from chainrule.runs.values import show
from chainrule.training import Trainer, checkpoint
from chainrule.version import __version__

#: What a run is made from.
Origin = FromFile | FromRecipe
#: The copy of its file that a run leaves.
COPY = "run.toml"
#: Ends of files that hold data and describe no run.
DATA = (".csv", ".tsv", ".npz", ".png", ".jpg")
#: Why an option cannot change when a run is resumed.
_WHY = {
    "batch_size": "the steps so far were made with the other size",
    "lr": "the steps so far were made with the other rate",
    "seed": "the order of the samples comes from it",
    "engine": "engines differ in the last bits",
    "limit": "the steps so far have seen the other data",
}


@dataclass
class Session:
    """A run that is ready to go.

    Attributes:
        origin: what it is made from.
        parts: its data.
        trainer: its Trainer.
        directory: what it leaves its results in.
        begun: the updates that it had made when it was restored; None for a new one.
        epochs: how many a run that has begun shall have altogether; None: as planned.
    """

    origin: Origin
    parts: Parts
    trainer: Trainer
    directory: Path
    begun: int | None = None
    epochs: int | None = None

    @classmethod
    def begin(cls, origin: Origin, out: Path | None = None) -> Session:
        """A new run.

        Args:
            origin: what it is made from.
            out: the directory for the results, instead of its own.

        Raises:
            RunFileError: whatever does not fit together.
        """
        parts = origin.parts()
        trainer = origin.trainer(parts)
        trainer.notes = origin.note()
        directory = out or origin.directory or results.new_directory(origin.name)
        return cls(origin, parts.for_loss(trainer.loss), trainer, directory)

    @classmethod
    def restore(
        cls, directory: Path, target: str | None = None, **options: Any
    ) -> Session:
        """A run that has begun, standing where it stood.

        Args:
            directory: of the run.
            target: the recipe or the path of the file as given; the file may have
                moved away.
            options: of the command line. Only ``epochs``, which may be more, and
                ``threads`` can change a run.
        """
        document, _ = checkpoint.read(checkpoint.locate(directory))
        origin = origin_of(document.get("notes"), directory)
        if origin is None or (target is not None and not _is(origin, target)):
            raise _another(directory, target, origin)
        threads = options.pop("threads", None) or origin.setting("threads")
        trainer = Trainer.load(directory, threads=threads)
        epochs = options.pop("epochs", None)
        if epochs is not None:
            origin = origin.with_options(epochs=epochs)
            trainer.notes = origin.note()
        for option, value in options.items():
            own = trainer.engine if option == "engine" else origin.setting(option)
            if value not in (None, "auto", own):
                raise _cannot_change(option, own, value)
        file = None if target is None else Path(target)
        if isinstance(origin, FromFile) and file is not None and file.exists():
            now = load(file, origin.run.options)
            _check_same(origin.run, now)
            origin = FromFile(replace(origin.run, folder=now.folder, within=None))
        parts = origin.parts().for_loss(trainer.loss)
        steps = trainer.optimizer.steps
        return cls(origin, parts, trainer, directory, steps, epochs)

    def train(self, checkpoint_every: float = 60.0) -> None:
        """Train, from the start or from where it stands.

        Args:
            checkpoint_every: seconds between checkpoints within an epoch.

        Raises:
            RunFileError: what shows only now, such as a directory with another run.
            NonFiniteError, SaveError, KeyboardInterrupt: see ``Trainer.fit``.
        """
        origin, trainer = self.origin, self.trainer
        common: dict[str, Any] = {
            "validation": getattr(self.parts, origin.watched),
            "callbacks": origin.callbacks(self.directory),
            "checkpoint": self.directory,
            "checkpoint_every": checkpoint_every,
        }
        try:
            if trainer.plan is not None:
                trainer.resume(self.parts.train, epochs=self.epochs, **common)
                return
            how = origin.fitting(self.parts.train) | {"validation_name": origin.watched}
            trainer.fit(self.parts.train, **how, **common)
        except (ArgumentError, ShapeError, DTypeError) as error:
            if self.epochs is not None or not isinstance(origin, FromFile):
                raise  # the command line is to blame
            raise origin.run.error(Problem.of(error)) from error

    # -- results -----------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """The result of the run, ready for JSON; the test part is measured."""
        origin, trainer, parts = self.origin, self.trainer, self.parts
        last, watched = results.row_of_weights(trainer), origin.watched
        measured = {k: v for k, v in last.items() if k.startswith("train_")}
        if watched == "validation":
            measured |= {k: v for k, v in last.items() if k.startswith("validation_")}
        tested = {} if parts.test is None else trainer.evaluate(parts.test)
        measured |= {f"test_{name}": value for name, value in tested.items()}
        plain = {
            name: results.number(v)
            if isinstance(v, float | int)
            else np.asarray(v).tolist()
            for name, v in measured.items()
        }
        return {
            "run": origin.name,
            "engine": trainer.engine,
            "seed": trainer.seed,
            "epochs": trainer.epoch,
            **results.stopped(trainer),
            "batch_size": origin.fitting(parts.train)["batch_size"],
            "lr": trainer.optimizer.schedule.lr,
            "samples": parts.sizes(),
            "incomplete_rows": parts.incomplete,
            "limit": origin.setting("limit"),
            **plain,
            "parameters": sum(int(p.size) for p in trainer.model.parameters()),
            "steps": trainer.optimizer.steps,
            "seconds_compile": trainer.seconds_compile,
            "seconds_training": trainer.seconds_training,
            "out": str(self.directory),
            "version": __version__,
            "resumed_from": self.begun,
        }

    def leave(self, summary: Mapping[str, Any]) -> list[str]:
        """Write the files of a run that is over; returns their names."""
        names, text = [checkpoint.FILE], self.origin.text
        if text is not None:
            place = self.directory / COPY
            disk.sweep(place)
            disk.replace(place, text.encode(), "copy of the run's file")
            names.append(COPY)
        part = "test" if self.parts.test is not None else "validation"
        shown, source = getattr(self.parts, part), self.origin.file_of(part)
        title = f"{self.origin.name}, seed {self.trainer.seed}"
        made = results.write_files(
            self.trainer, self.directory, summary, title, shown, source
        )
        return [*names, *made]

    def readable(self, s: Mapping[str, Any], files: list[str]) -> str:
        """The summary as text."""
        part = next((p for p in ("test", "validation") if f"{p}_loss" in s), "train")
        words = ", ".join(
            results.worded(key.removeprefix(f"{part}_"), v)
            for key, v in s.items()
            if key.startswith(f"{part}_") and not isinstance(v, list)
        )
        samples = ", ".join(f"{n:,} {name}" for name, n in s["samples"].items() if n)
        samples += gaps.told(self.parts.incomplete, self.parts.rows)
        return "\n".join(
            [
                f"{s['run']}: {words} on the {results.PARTS[part]}",
                f"  samples   {samples}",
                f"  trained   {s['epochs']} epochs, {s['steps']:,} steps of "
                f"{s['batch_size']} samples, {s['parameters']:,} parameters, "
                f"seed {s['seed']}",
                *results.told_of_stopping(self.trainer),
                results.times(self.trainer, s["seconds_total"]),
                f"  files     {s['out']}: {', '.join(files)}",
            ]
        )


def train(
    target: str | None,
    given: Mapping[str, Any],
    *,
    out: Path | None = None,
    resume: Path | None = None,
    checkpoint_every: float = 60.0,
    started: float,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], str]:
    """Train what a file or a recipe describes, and test it.

    Args:
        target: a recipe or the path of a file; None for what ``resume`` was begun with.
        given: options of the command line, None where none was given.
        out: the directory for the results, instead of its own.
        resume: the directory of a run that has begun.
        checkpoint_every: seconds between checkpoints within an epoch.
        started: when the program started, by ``time.perf_counter``.
        say: prints a message.

    Returns:
        The summary, ready for JSON, and the same as text.

    Raises:
        RunFileError, DataError: whatever is wrong with the file or its data.
    """
    if resume is not None:
        session = Session.restore(resume, target, **given)
    else:
        assert target is not None
        named = target in recipes.RECIPES
        origin = (
            FromRecipe.of(target, given)
            if named
            else FromFile(load(Path(target), given))
        )
        session = Session.begin(origin, out)
    try:
        if over := results.why_over(session.trainer, session.epochs):
            say(f"{over}; its results:")
        else:
            session.train(checkpoint_every)
    except KeyboardInterrupt:
        stands = results.where_it_stands(session.trainer, target or session.origin.name)
        raise KeyboardInterrupt(stands) from None
    summary = session.summary()
    summary["seconds_total"] = time.perf_counter() - started
    files = session.leave(summary)
    return summary, session.readable(summary, files)


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


# -- what a run was begun with ---------------------------------------------------------


def origin_of(notes: Any, place: Path) -> Origin | None:
    """What a run was made from, out of its notes; None for a Python program's.

    Raises:
        CheckpointError: notes that are none of ours.
    """
    if not isinstance(notes, dict) or not notes.keys() & {"run", "recipe"}:
        return None
    try:
        if "recipe" in notes:
            options = Options.model_validate(notes["options"])
            return FromRecipe.of(notes["recipe"], options.given())
        note = notes["run"]
        run = parse(
            note["text"],
            name=note["name"],
            folder=Path(note["folder"]),
            options=dict(note["options"]),
        )
        if "\0" in note["folder"]:
            raise ValueError("no folder has NUL in its name")
        # The checkpoint may be a stranger's: data lie where the user is, or where a
        # file of the user's says.
        own = _says(run.folder / run.name, run.text)
        return FromFile(run if own else replace(run, within=Path.cwd()))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, ArgumentError) and "run" in notes:
            raise
        raise CheckpointError(
            f"{place} does not say from what its run was made.",
            expected="a checkpoint that 'chainrule train' left",
            got=show(notes),
            fix="go on in Python: Trainer.load(path)",
        ) from error


def _says(file: Path, text: str) -> bool:
    """Whether there is such a file, and this is what it says."""
    with disk.ignoring():
        found = disk.read_file(file, BYTES_AT_MOST)
        return found.decode("utf-8-sig", "replace") == text
    return False


def _is(origin: Origin, target: str) -> bool:
    """Whether a target of the command line may be the origin of a run."""
    if isinstance(origin, FromRecipe):
        return origin.name == target
    return target not in recipes.RECIPES


def _another(
    directory: Path, target: str | None, origin: Origin | None
) -> CheckpointError:
    """The error for a directory that holds a run of something else."""
    of = "a file or a recipe" if target is None else "a file"
    of = f"the recipe {target!r}" if target in recipes.RECIPES else of
    whose = "a Python program" if origin is None else repr(origin.name)
    return CheckpointError(
        f"{directory} does not hold a run of {of}.",
        expected=f"a directory that 'chainrule train {target or '…'}' left",
        got=f"a checkpoint of {whose}",
        fix="in Python: Trainer.load(path).resume(train)"
        if origin is None
        else f"go on with it as it was begun: chainrule train --resume {directory}",
    )


def _cannot_change(option: str, own: Any, value: Any) -> ArgumentError:
    """A resumed run keeps the settings that it was begun with."""
    name = flag(option)
    kept = f"no {name}" if own is None else f"{name} {own}"
    return ArgumentError(
        f"{name} cannot change when a run is resumed: {_WHY[option]}.",
        expected=f"{kept}, as the run was begun",
        got=f"{name} {value}",
        fix=f"leave {name} away, or start a new run with --out",
    )


def _check_same(run: RunFile, now: RunFile) -> None:
    """The file must still say what the run was begun with."""
    for section, own in run.settings:
        new, place = getattr(now.settings, section), f"[{section}]"
        if section == "output" or own == new:
            continue
        was, named = run.settings.plain()[section], now.settings.plain()[section]
        if isinstance(own, Section):
            pairs = {**dict(own), **dict(new)}
            key = next(
                k for k in pairs if getattr(own, k, None) != getattr(new, k, None)
            )
            place, was, named = f"{place} {key}", was.get(key), named.get(key)
        raise ArgumentError(
            f"{now.name} has changed since the run was begun: {place} is another.",
            expected="nothing" if was is None else show(was, 200),
            got="nothing" if named is None else show(named, 200),
            fix="start a new run, or resume from the directory alone: "
            "chainrule train --resume DIRECTORY",
        )
