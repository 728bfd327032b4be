"""A session of a training run: begin, train and resume it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chainrule import recipes
from chainrule.errors import ArgumentError, CheckpointError, DTypeError, ShapeError
from chainrule.runs import tracebacks
from chainrule.runs.file import RunFile, flag, load, parse
from chainrule.runs.recipe import FromRecipe, Options
from chainrule.runs.section import Section
from chainrule.runs.source import Parts
from chainrule.runs.toml import BYTES_AT_MOST
from chainrule.runs.values import show
from chainrule.text import _
from chainrule.training import Trainer, checkpoint
from chainrule.util import atomic_files

#: What a run is made from.
Origin = RunFile | FromRecipe
#: Why an option cannot change when a run is resumed.
_WHY = {
    "batch_size": _("the steps so far were made with the other size"),
    "lr": _("the steps so far were made with the other rate"),
    "seed": _("the order of the samples comes from it"),
    "engine": _("engines differ in the last bits"),
    "limit": _("the steps so far have seen the other data"),
}


@dataclass
class Session:
    """A training run with its Trainer and data, ready to train or resume.

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
        """Begin a new training run of a run file or a recipe.

        Args:
            origin: what it is made from.
            out: the directory for the results, instead of its own.

        Raises:
            RunFileError: whatever does not fit together.
        """
        parts = origin.parts()
        trainer = origin.trainer(parts)
        trainer.notes = origin.note()
        directory = out or origin.directory or new_directory(origin.name)
        return cls(origin, parts.for_loss(trainer.loss), trainer, directory)

    @classmethod
    def restore(
        cls, directory: Path, target: str | None = None, **options: Any
    ) -> Session:
        """Restore a training run from its directory, at its last checkpoint.

        Args:
            directory: of the run.
            target: the recipe or the path of the file as given; the file may have
                moved away.
            options: of the command line. Only ``epochs``, which may be more,
                ``threads`` and ``devices`` can change.
        """
        document, __ = checkpoint.read(checkpoint.locate(directory))
        origin = origin_of(document.get("notes"), directory)
        if origin is None or (target is not None and not _matches(origin, target)):
            raise _another(directory, target, origin)
        resources = {
            name: options.pop(name, None) or origin.setting(name)
            for name in ("threads", "devices")
        }
        trainer = Trainer.load(directory, **resources)
        epochs = options.pop("epochs", None)
        if epochs is not None:
            origin = origin.with_options(epochs=epochs)
            trainer.notes = {**trainer.notes, **origin.note()}
        for option, value in options.items():
            own = trainer.engine if option == "engine" else origin.setting(option)
            if value not in (None, "auto", own):
                raise _cannot_change(option, own, value)
        file = None if target is None else Path(target)
        if isinstance(origin, RunFile) and file is not None and file.exists():
            now = load(file, origin.options)
            _check_same(origin, now)
            origin = replace(origin, folder=now.folder, within=None)
        parts = origin.parts().for_loss(trainer.loss)
        return cls(origin, parts, trainer, directory, trainer.optimizer.steps, epochs)

    def train(self, checkpoint_every: float = 60.0) -> None:
        """Train the run from its start, or resume from its checkpoint.

        Args:
            checkpoint_every: seconds between checkpoints within an epoch.

        Raises:
            RunFileError: what shows only now, such as a directory with another run.
            NonFiniteError, SaveError, KeyboardInterrupt: see ``Trainer.fit``.
        """
        origin = self.origin
        common: dict[str, Any] = {
            "validation": getattr(self.parts, origin.validation_part),
            "callbacks": origin.callbacks(self.directory),
            "checkpoint": self.directory,
            "checkpoint_every": checkpoint_every,
        }
        try:
            with tracebacks.traceback_saved_in(self.directory):
                self._train(common)
        except (ArgumentError, ShapeError, DTypeError):
            if self.epochs is not None or not isinstance(origin, RunFile):
                raise  # the command line is to blame
            with origin.as_problems():
                raise

    def _train(self, common: dict[str, Any]) -> None:
        origin, trainer = self.origin, self.trainer
        if trainer.plan is not None:
            trainer.resume(self.parts.train, epochs=self.epochs, **common)
            return
        options = origin.fit_options(self.parts.train)
        options["validation_name"] = origin.validation_part
        trainer.fit(self.parts.train, **options, **common)


def new_directory(name: str) -> Path:
    """Return an unused directory for a run under ``runs``, named by the time."""
    stem = f"{Path(name).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    paths = [Path("runs", stem), *(Path("runs", f"{stem}-{i}") for i in range(2, 1000))]
    return next(path for path in paths if not path.exists())


# -- what a run was begun with ---------------------------------------------------------


def origin_of(notes: Any, place: Path) -> Origin | None:
    """Return the run file or recipe of a checkpoint's run; None for other programs.

    Raises:
        CheckpointError: notes that are none of ours.
    """
    if not isinstance(notes, dict) or not notes.keys() & {"run", "recipe"}:
        return None
    try:
        if "recipe" in notes:
            options = Options.model_validate(notes["options"])
            return FromRecipe.of(notes["recipe"], options.set_values())
        note = notes["run"]
        folder, text = Path(note["folder"]), note["text"]
        options = dict(note["options"])
        run = parse(text, name=note["name"], folder=folder, options=options)
        if "\0" in note["folder"]:
            raise ValueError(_("no folder has NUL in its name"))
        # The checkpoint may be a stranger's: data lie where the user is, or where a
        # file of the user's says.
        own = _contains(folder / run.name, text)
        return run if own else replace(run, within=Path.cwd())
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, ArgumentError) and "run" in notes:
            raise
        raise CheckpointError(
            _("{place} does not say from what its run was made.", place=place),
            expected=_("a checkpoint that 'chainrule train' left"),
            got=show(notes),
            fix=_("go on in Python: Trainer.load(path)"),
        ) from error


def _contains(file: Path, text: str) -> bool:
    """Return whether a file, such as a copied run file, has exactly this text."""
    with atomic_files.ignoring():
        content = atomic_files.read_file(file, BYTES_AT_MOST)
        return content.decode("utf-8-sig", "replace") == text
    return False


def _matches(origin: Origin, target: str) -> bool:
    """Return whether a command line's file or recipe may be that of a saved run."""
    if isinstance(origin, FromRecipe):
        return origin.name == target
    return target not in recipes.RECIPES


def _another(
    directory: Path, target: str | None, origin: Origin | None
) -> CheckpointError:
    """Return the error for a directory that contains another run."""
    of = _("a file or a recipe") if target is None else _("a file")
    of = _("the recipe {target!r}", target=target) if target in recipes.RECIPES else of
    whose = _("a Python program") if origin is None else repr(origin.name)
    return CheckpointError(
        _("{directory} does not hold a run of {of}.", directory=directory, of=of),
        expected=_(
            "a directory that 'chainrule train {value}' left", value=target or "…"
        ),
        got=_("a checkpoint of {whose}", whose=whose),
        fix=_("in Python: Trainer.load(path).resume(train)")
        if origin is None
        else _(
            "go on with it as it was begun: chainrule train --resume {directory}",
            directory=directory,
        ),
    )


def _cannot_change(option: str, own: Any, value: Any) -> ArgumentError:
    """Return the error for a setting that cannot change when a run is resumed."""
    name = flag(option)
    present = _("no {name}", name=name) if own is None else f"{name} {own}"
    return ArgumentError(
        _(
            "{name} cannot change when a run is resumed: {WHY}.",
            name=name,
            WHY=_WHY[option],
        ),
        expected=_("{kept}, as the run was begun", kept=present),
        got=f"{name} {value}",
        fix=_("leave {name} away, or start a new run with --out", name=name),
    )


def _check_same(run: RunFile, now: RunFile) -> None:
    """Refuse to resume a run whose run file's settings have changed since its start."""
    for section, own in run.settings:
        new, place = getattr(now.settings, section), f"[{section}]"
        if section == "output" or own == new:
            continue
        was, named = (s.to_table().get(section) for s in (run.settings, now.settings))
        if isinstance(own, Section):
            old, other = dict(own), dict(new)
            key = next(k for k in old | other if old.get(k) != other.get(k))
            place = f"{place} {key}"
            was, named = ((options or {}).get(key) for options in (was, named))
        raise ArgumentError(
            _(
                "{name} has changed since the run was begun: {place} is another.",
                name=now.name,
                place=place,
            ),
            expected=_("nothing") if was is None else show(was, 200),
            got=_("nothing") if named is None else show(named, 200),
            fix=_(
                "start a new run, or resume from the directory alone: "
                "chainrule train --resume DIRECTORY"
            ),
        )
