"""The run file: its text, checked as a whole, from which a run is built.

:func:`load` and :func:`parse` find all that can be known from the text alone, before
anything is loaded or trained; the :class:`RunFile` makes the data, the Trainer and the
callbacks that it describes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from chainrule.data import Dataset
from chainrule.data.checks import checked_batch_size
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.runs import building, messages, source, toml
from chainrule.runs.problems import (
    Lines,
    Problem,
    RunFileError,
    SectionError,
    at,
)
from chainrule.runs.schema import Run
from chainrule.runs.source import Parts
from chainrule.text import _
from chainrule.training import Trainer
from chainrule.util import atomic_files

#: What a file for a run may have been meant to say, by what TOML says of it.
HINTS = {
    r"escape|\\": _("write paths with /, or in single quotes: 'C:\\data\\houses.csv'"),
    "Invalid value": _(
        'put text in quotes: source = "houses.csv"; true and false are lower case'
    ),
    "": _("look at that line; chainrule new writes a file that is right"),
}
#: Samples a step where the file is silent.
USUAL_BATCH = 32
#: Options of the command line, and the keys that they stand for.
OPTIONS = {
    "epochs": ("training", "epochs"),
    "batch_size": ("training", "batch_size"),
    "lr": ("optimizer", "lr"),
    "seed": ("training", "seed"),
    "engine": ("training", "engine"),
    "threads": ("training", "threads"),
    "devices": ("training", "devices"),
    "limit": ("data", "limit"),
}


def flag(option: str) -> str:
    """Return the command-line flag of a run's option: ``--batch-size``.

    >>> flag("batch_size")
    '--batch-size'
    """
    return "--" + option.replace("_", "-")


@dataclass(frozen=True)
class RunFile:
    """A checked run file: its settings, and the construction of its Trainer and data.

    Attributes:
        name: of the file, for messages.
        folder: what the file's paths are relative to.
        text: what it says.
        options: settings of the command line that replaced some of its keys.
        settings: its sections, checked.
        lines: where each key stands.
        within: the folder that its data must lie in. None for a file that the user has
            named: that is why its data are read, wherever they lie.
    """

    name: str
    folder: Path
    text: str
    options: Mapping[str, Any]
    settings: Run
    lines: Lines = field(repr=False)
    within: Path | None = None
    #: The part of the data that is looked at after each epoch.
    validation_part: ClassVar[str] = "validation"

    @contextmanager
    def as_problems(self) -> Iterator[None]:
        """Convert errors within a block to errors about the run file."""
        try:
            yield
        except RunFileError:
            raise
        except ChainruleError as error:
            raise RunFileError(self.name, [Problem.of(error)], self.lines) from error

    def path(self, name: str) -> Path:
        """Return the path of a run file's data, relative to the working directory.

        Raises:
            ArgumentError: a checkpoint names data that its user has not.
        """
        place = self.folder / name
        if self.within is not None and not atomic_files.is_inside(self.within, place):
            raise ArgumentError(
                _("a checkpoint alone cannot have data read from anywhere."),
                expected=_(
                    "data below the current directory, or the file {name} "
                    "as it was in {folder}",
                    name=self.name,
                    folder=self.folder,
                ),
                got=str(place),
                fix=_(
                    "name the data (chainrule evaluate RUN DATA), or the run's "
                    "file (chainrule train FILE.toml --resume RUN)"
                ),
            )
        return place

    # -- the file and the command line ------------------------------------------------

    @property
    def directory(self) -> Path | None:
        """The directory for results that the run file names, or None."""
        directory = self.settings.output.directory
        if directory is None:
            return None
        with self.as_problems(), at("output", "directory"):
            return atomic_files.inside(self.folder, directory, _("What the run writes"))

    @property
    def copy(self) -> str:
        """The run file's text below its command line, to copy into the results."""
        words = [f"{flag(option)} {v}" for option, v in self.options.items()]
        head = " ".join(["# chainrule train", self.name, *words])
        return f"{head}\n{self.text}"

    def setting(self, option: str) -> Any:
        """Return the run file's setting for a command-line option."""
        section, key = OPTIONS[option]
        return getattr(getattr(self.settings, section), key)

    def with_options(self, **options: Any) -> RunFile:
        """Return the run file with changed command-line options."""
        merged = {**self.options, **options}
        run = parse(self.text, name=self.name, folder=self.folder, options=merged)
        return replace(run, within=self.within)

    def note(self) -> dict[str, Any]:
        """Return the run file's name, text and options, for checkpoints."""
        about = {"name": self.name, "folder": str(self.folder.resolve())}
        return {"run": {**about, "text": self.text, "options": dict(self.options)}}

    # -- what it describes; all raise RunFileError where something does not fit --------

    def parts(self) -> Parts:
        """Load the run file's data, split into training, validation and test."""
        with self.as_problems():
            return source.load(self.settings.data, self.path)

    def trainer(self, parts: Parts) -> Trainer:
        """Build the run file's untrained Trainer."""
        with self.as_problems():
            trainer = building.trainer(self.settings, parts)
        self.fit_options(parts.train)  # refuses a batch that is too large
        return trainer

    def fit_options(self, train: Dataset) -> dict[str, Any]:
        """Return the run file's epochs and batch size, for ``Trainer.fit``."""
        training, rows = self.settings.training, len(train)
        size = training.batch_size or min(USUAL_BATCH, rows)
        with self.as_problems(), at("training", "batch_size"):
            size = checked_batch_size(None if size == "all" else size, rows)
        drop = training.drop_last
        return {"epochs": training.epochs, "batch_size": size, "drop_last": drop}

    def callbacks(self, directory: Path) -> list[Any]:
        """Build the run file's callbacks, which write into ``directory``."""
        callbacks = []
        for i, callback in enumerate(self.settings.callbacks):
            with self.as_problems(), at("callbacks", i):
                callbacks.append(callback.within(directory))
        return callbacks

    def pictures(
        self, trainer: Trainer, directory: Path
    ) -> tuple[list[str], dict[str, bytes]]:
        """Return no pictures of the trained network: only recipes draw some."""
        return [], {}

    def lesson(self) -> str:
        """Return no text: only recipes say what to look at."""
        return ""


def load(path: Path, options: Mapping[str, Any] | None = None) -> RunFile:
    """Read and check a run file.

    Args:
        path: of the file.
        options: settings of the command line, as in :data:`OPTIONS`.

    Raises:
        DataError: no such file, or one that is no text.
        RunFileError: all that is wrong with what it says.
    """
    text = toml.text_of(
        path, _("write a starting file: chainrule new {path}", path=path)
    )
    return parse(text, name=path.name, folder=path.parent, options=options)


def parse(
    text: str,
    *,
    name: str = "run.toml",
    folder: Path = Path(),
    options: Mapping[str, Any] | None = None,
) -> RunFile:
    """Check the text of a run file, and return the run file.

    Args:
        text: what the file says.
        name: what to call it in messages.
        folder: what its paths are relative to.
        options: settings of the command line, as in :data:`OPTIONS`.

    Raises:
        RunFileError: all that is wrong with it.
        DataError: no TOML at all.

    >>> run = parse('data.source = "moons"\\nmodel.layers = ["Linear"]')
    >>> run.settings.training.epochs, run.settings.optimizer.name
    (10, 'Adam')
    >>> parse("[optimiser]\\nlr = 0.1\\n[model]")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    chainrule.runs.problems.RunFileError: run.toml has 3 problems.
    """
    document = toml.document(text, name, HINTS)
    settings_given = {k: v for k, v in (options or {}).items() if v is not None}
    lines: dict[Any, int | str] = {**toml.lines_of(text)}
    for option, setting in settings_given.items():
        section, key = OPTIONS[option]
        table = document.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = setting
            lines[section, key] = flag(option)
    try:
        settings = Run.read(document)
    except SectionError as error:
        raise RunFileError(name, messages.problems(error), lines) from None
    return RunFile(name, folder, text, settings_given, settings, lines)
