"""From the text of a run's file to checked settings, or all of its problems at once.

Nothing is loaded and nothing is trained here: this is what can be known from the text
alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chainrule.disk import is_inside, of_the_system, read_file
from chainrule.errors import ArgumentError, ChainruleError, DataError
from chainrule.runs import consistency, messages
from chainrule.runs.places import places
from chainrule.runs.problems import Problem, ProblemError, RunFileError, Where
from chainrule.runs.schema import Run

#: No file that a person writes is as large.
BYTES_AT_MOST = 256 * 1024
#: Brackets within brackets, and dots in a key; a person needs five.
DEEPEST = 40
_DOTTED = re.compile(
    rf"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){{{DEEPEST}}}"  # in linear time
)

#: Options of the command line, and the keys that they stand for.
OPTIONS = {
    "epochs": ("training", "epochs"),
    "batch_size": ("training", "batch_size"),
    "lr": ("optimizer", "lr"),
    "seed": ("training", "seed"),
    "engine": ("training", "engine"),
    "threads": ("training", "threads"),
    "limit": ("data", "limit"),
}


def flag(option: str) -> str:
    """The option as one writes it on the command line.

    >>> flag("batch_size")
    '--batch-size'
    """
    return "--" + option.replace("_", "-")


@dataclass(frozen=True)
class RunFile:
    """A run's file, checked.

    Attributes:
        name: of the file, for messages.
        folder: what the file's paths are relative to.
        text: what it says.
        options: settings of the command line that replaced some of its keys.
        settings: its sections, checked.
        within: the folder that its data must lie in. None for a file that the user has
            named: that is why its data are read, wherever they lie.
    """

    name: str
    folder: Path
    text: str
    options: Mapping[str, Any]
    settings: Run
    lines: Mapping[Where, int] = field(repr=False)
    within: Path | None = None

    def path(self, given: str) -> Path:
        """Where data of the file lie, from where the program runs.

        Raises:
            ArgumentError: a checkpoint names data that its user has not.
        """
        place = self.folder / given
        if self.within is not None and not is_inside(self.within, place):
            raise ArgumentError(
                "a checkpoint alone cannot have data read from anywhere.",
                expected=f"data below the current directory, or the file {self.name} "
                f"as it was in {self.folder}",
                got=str(place),
                fix="name the data (chainrule evaluate RUN DATA), or the run's file "
                "(chainrule train FILE.toml --resume RUN)",
            )
        return place

    def error(self, *problems: Problem) -> RunFileError:
        """The error that tells of problems of this file."""
        return RunFileError(self.name, problems, dict(self.lines))

    @contextmanager
    def blamed(self, *where: str | int) -> Iterator[None]:
        """What goes wrong in the block is a problem of the file, at this place."""
        try:
            yield
        except RunFileError:
            raise
        except ProblemError as error:
            problem = error.problem
            vague = len(problem.where) < 2 and where
            raise self.error(
                replace(problem, where=where) if vague else problem
            ) from error
        except ChainruleError as error:
            raise self.error(Problem.of(error, *where)) from error


def load(path: Path, options: Mapping[str, Any] | None = None) -> RunFile:
    """Read and check a file.

    Args:
        path: of the file.
        options: settings of the command line, as in :data:`OPTIONS`.

    Raises:
        DataError: no such file, or one that is no text.
        RunFileError: all that is wrong with what it says.
    """
    try:
        content = read_file(path, BYTES_AT_MOST)
    except OSError as error:
        of_the_system(error)
        raise DataError(
            "The run's file cannot be read.",
            expected=f"a TOML file at {path}, which describes the run and has no data",
            got=error.strerror or str(error),
            fix=f"look at the path, or write a starting file: chainrule new {path}",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path.name} is not in UTF-8.",
            expected="TOML text in UTF-8, as the format demands",
            got=f"the byte 0x{content[error.start]:02x} in line {line}",
            fix="save it as UTF-8 in your editor",
        ) from error
    return parse(text, name=path.name, folder=path.parent, options=options)


def parse(
    text: str,
    *,
    name: str = "run.toml",
    folder: Path = Path(),
    options: Mapping[str, Any] | None = None,
) -> RunFile:
    """Check the text of a file.

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
    document = _read(text, name)
    given = {k: v for k, v in (options or {}).items() if v is not None}
    _replace(document, given)
    lines = places(text)
    try:
        settings = Run.model_validate(document)
    except ValidationError as error:
        raise RunFileError(name, messages.problems(error), lines) from None
    problems = consistency.problems(settings)
    if problems:
        raise RunFileError(name, problems, lines)
    return RunFile(name, folder, text, given, settings, lines)


def _read(text: str, name: str) -> dict[str, Any]:
    """The document of a TOML text.

    ``tomllib`` calls itself for every bracket and its time grows with the square of a
    dotted key, so both are bounded beforehand.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > BYTES_AT_MOST:
        raise _too_large(name, size)
    if (dotted := _DOTTED.search(text)) is not None:
        raise DataError(
            f"{name} has a key of very many parts.",
            expected=f"at most {DEEPEST} parts with dots between them",
            got=f"{dotted[0][:40]}…",
            fix="write sections as [section] and keys below them",
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(
            f"{name} is not TOML.",
            expected="lines such as epochs = 10 below lines such as [training]",
            got=str(error),
            fix=_hint(str(error)),
        ) from error
    except (RecursionError, ValueError) as error:
        raise DataError(
            f"{name} cannot be read as TOML.",
            expected=f"at most {DEEPEST} brackets within each other, and numbers of "
            "a few digits",
            got=f"{error}"[:80],
            fix="look for a bracket or a number that is not meant",
        ) from error


def _hint(message: str) -> str:
    """What to do about the usual mistakes."""
    if "escape" in message or "\\" in message:
        return "write paths with /, or in single quotes: 'C:\\data\\houses.csv'"
    if "key part" in message:
        return "an inline table { … } stands on one line; keys have no spaces"
    if "Invalid value" in message:
        return (
            'put text in quotes: source = "houses.csv"; true and false are lower case'
        )
    if "Cannot declare" in message or "Cannot overwrite" in message:
        return "write every section and every key once"
    return "look at that line; chainrule new writes a file that is right"


def _too_large(name: str, size: int) -> DataError:
    return DataError(
        f"{name} is too large for a run's file.",
        expected=f"at most {BYTES_AT_MOST:,} bytes",
        got=f"{size:,} bytes",
        fix="give the file that describes the run, not the data",
    )


def _replace(document: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Put settings of the command line in the place of what the file says."""
    for option, setting in options.items():
        section, key = OPTIONS[option]
        table = document.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = setting
