"""The output directory of a recipe's run: settings, and files of its stages."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError, CheckpointError
from chainrule.text import _
from chainrule.util import atomic_files
from chainrule.util.processes import is_there, is_writer

#: The files of every run.
SETTINGS, RESULTS, REPORT = "recipe.json", "metrics.json", "report.html"
#: The size of a file, at most.
_LIMIT = 1 << 28


class Directory:
    """The output directory of a recipe's run, or none.

    Args:
        path: None for a run that writes nothing.

    Attributes:
        files: the names of the files that the run has written, but for its settings.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.files: list[str] = []
        self._stages: set[str] = set()
        self._new = False  # whether this run has written the settings
        self._new_directories: list[Path] = []  # the innermost first

    def begin(self, settings: Mapping[str, Any], *, again: bool = False) -> None:
        """Reserve the output directory for a recipe's run, before any computation.

        Args:
            settings: what decides the run's results.
            again: whether it may hold this very run already, which then goes on.

        Raises:
            ArgumentError: it holds a run.
            SaveError: it cannot be written.
        """
        if self.path is None:
            return
        file = self.path / SETTINGS
        if is_there(file.exists()):
            stored = read_json(file)
            if again and stored == settings:
                return
            raise ArgumentError(
                _("{out} holds a run already.", out=self.path),
                expected=_("a new or empty directory"),
                got=f"{SETTINGS}: {stored!r:.200}",
                fix=_(
                    "go on with it: --resume {out}; or choose another --out",
                    out=self.path,
                ),
            )
        parents = self.path, *self.path.parents
        self._new = True
        self._new_directories = [p for p in parents if not p.exists()]
        atomic_files.make_directory(self.path)
        self.write(SETTINGS, as_json(settings).encode())

    def leave_nothing(self) -> None:
        """Delete the files that a run wrote at its beginning, if no stage has begun.

        A run that is refused for its settings leaves the directory to the next one.
        """
        if self.path is None or self._stages or not (self._new and is_writer()):
            return
        for name in (*self.files, SETTINGS):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            for directory in self._new_directories:
                directory.rmdir()

    def stage(self, name: str) -> Path | None:
        """Return the path of a run stage's files, or None without a directory.

        Raises:
            ArgumentError: the name of an earlier stage.
        """
        if name in self._stages:
            raise ArgumentError(
                _("Two stages of this study are called {name!r}.", name=name),
                expected=_("a name of its own for each"),
                got=_("{name!r} again", name=name),
            )
        self._stages.add(name)
        return None if self.path is None else self.path / name

    def write(self, name: str, content: bytes) -> None:
        """Write a file into a run's directory, replacing an earlier one atomically."""
        assert self.path is not None
        atomic_files.replace(self.path / name, content, _("file {name}", name=name))
        if name != SETTINGS:
            self.files.append(name)


def as_json(value: Any) -> str:
    """Return a value as JSON text."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def read_json(file: Path) -> Any:
    """Read a JSON file of a recipe's run.

    Raises:
        CheckpointError: there is none, or it holds something else.
    """
    try:
        return json.loads(atomic_files.read_file(file, _LIMIT))
    except (OSError, ValueError, RecursionError) as error:
        raise no_run(file, error) from error


def no_run(file: Path, found: Any) -> CheckpointError:
    """Return the CheckpointError for a file that no recipe's run has written."""
    return CheckpointError(
        _("{file} is no file of a recipe's run.", file=file),
        expected=_(
            "a directory that 'chainrule train RECIPE' left, with {SETTINGS}",
            SETTINGS=SETTINGS,
        ),
        got=f"{type(found).__name__}: {found}"[:200],
    )
