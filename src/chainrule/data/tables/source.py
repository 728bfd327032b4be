"""Sources of a table's cells: a CSV file, read block by block, or a data frame."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.frames import Columns, not_a_frame, require_one_length
from chainrule.data.tables.cells import Cells
from chainrule.errors import ArgumentError, DataError
from chainrule.text import _
from chainrule.util.validation import did_you_mean

#: Rows of a frame that are taken at once.
ROWS = 50_000
#: Names that programs give to the column of row numbers that they write.
INDEX = re.compile(r"(Unnamed: \d+|__index_level_\d+__)?")

#: A function of a file's path, the bytes read so far, and the size of the file.
Progress = Callable[[Path, int, int], None]
_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def progress(callback: Progress) -> Iterator[None]:
    """Report the progress of reading a table to ``callback`` within the block.

    Example:
        >>> from chainrule.data import progress, read_csv
        >>> _ = Path("few.csv").write_text("a,b\\n1,2\\n2,3\\n")
        >>> with progress(lambda path, done, size: print(path, f"{done} of {size}")):
        ...     data = read_csv("few.csv", target="b")
        few.csv 0 of 12
        few.csv 12 of 12
        few.csv 12 of 12
    """
    token = _progress.set(callback)
    try:
        yield
    finally:
        _progress.reset(token)


def progress_callback() -> Progress | None:
    """Return the callback for the progress of reading a table, or None."""
    return _progress.get()


class Chunk(NamedTuple):
    """A chunk of rows of a table: line numbers, and the cells of each column.

    Attributes:
        rows: the number of rows.
        lines: the line of a file on which each row begins; the row number in a frame.
        cells: the cells of the columns, by name.
        records: the rows as they are written; empty for a frame.
    """

    rows: int
    lines: np.ndarray
    cells: dict[str, Cells]
    records: list[str] = []  # noqa: RUF012 (never changed)


@dataclass(frozen=True)
class Source:
    """Base class of tables whose rows can be read repeatedly: a file or a data frame.

    Attributes:
        name: the name of the table, for messages.
        columns: the names of its columns, all different.
        index: the columns with row numbers of the program that wrote the table.
        notes: remarks on the table, one sentence each.
        settings: the file options of the caller, for further tables.
    """

    name: str
    columns: tuple[str, ...]
    index: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: The word for a line in messages; rows of a frame count from 0.
    word = "line"

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """Yield the cells of a table's columns in chunks of rows.

        Args:
            names: the names of the columns.
            numbers: columns whose cells may be read as numbers, without their texts,
                if all cells of the chunk are numbers. Read again for each chunk.
        """
        raise NotImplementedError

    def texts(self, lines: Collection[int]) -> dict[int, list[str]]:
        """Return the cells of some rows of a table as texts, by line number."""
        raise NotImplementedError

    def position(self, line: int, column: str) -> str:
        """Describe the position of a table's cell, for error messages."""
        return _(
            "{word} {line}, column '{column}'",
            word=self.word,
            line=line,
            column=shortened(column),
        )

    def require(self, names: Sequence[str], what: str) -> None:
        """Refuse names that are not columns of the table."""
        known = dict.fromkeys(self.columns)
        for name in names:
            if name not in known:
                fix = _("the first line names them") if self.word == "line" else None
                if len(known) == 1 and self.word == "line":
                    fix = _("is the delimiter another one? delimiter=';'")
                raise DataError(
                    _(
                        "'{name}' has no column '{name2}', {what}.",
                        name=self.name,
                        name2=shortened(name),
                        what=what,
                    ),
                    expected=_(
                        "one of {columns}",
                        columns=shortened(", ".join(self.columns), 200),
                    ),
                    got=repr(shortened(name)),
                    fix=did_you_mean(name, self.columns, fix),
                )


# -- frames ------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame(Source):
    """A table in a data frame: of pandas, polars, pyarrow …, a dictionary of columns.

    Attributes:
        arrays: the columns as arrays, by name.
        codes: the columns of numbers that the frame has as categories.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    codes: Sequence[str] = ()
    word = "row"

    @classmethod
    def of(cls, frame: Any, name: str) -> Frame:
        """Wrap a data frame as a table that can be read in chunks.

        Raises:
            ArgumentError: not a data frame; two columns of one name; columns of
                different lengths.
        """
        require("pandas", "data")
        columns = Columns.of(frame)
        if columns is None:
            raise not_a_frame(frame, repr(frame))
        arrays = {column: columns.column(column) for column in columns.names}
        require_one_length([*arrays.values()], name)
        index = tuple(c for c in columns.names[:1] if INDEX.fullmatch(c))
        return cls(name, columns.names, index, arrays=arrays, codes=columns.codes())

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """Yield the cells of a data frame's columns in chunks of rows."""
        for first in range(0, len(self), ROWS):
            lines = np.arange(first, min(first + ROWS, len(self)), dtype=np.int32)
            rows = slice(first, first + ROWS)
            cells = {name: self._cells(name, rows) for name in names}
            yield Chunk(len(lines), lines, cells)

    def texts(self, lines: Collection[int]) -> dict[int, list[str]]:
        """Return the cells of some rows of a data frame as texts, by line."""
        return {
            line: [
                self._cells(name, slice(line, line + 1)).text(0)
                for name in self.columns
            ]
            for line in lines
            if 0 <= line < len(self)
        }

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def _cells(self, name: str, rows: slice) -> Cells:
        """Return the cells of some rows of one column of a data frame.

        Raises:
            DataError: lists or other containers.
        """
        try:
            return Cells.of(self.arrays[name][rows])
        except TypeError as error:
            raise DataError(
                _("Column '{name}' holds no single values.", name=shortened(name)),
                expected=_("a number, a text or a date in each row"),
                got=shortened(str(error)),
                fix=_("leave it out: features=[…]"),
            ) from error


def require(package: str, extra: str) -> None:
    """Import the package that reads a kind of table; raise an error without it.

    Raises:
        ArgumentError: it is not installed.
    """
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ArgumentError(
            _("Tables are read by {name}, which is not installed.", name=package),
            expected=_("the extra {extra}", extra=extra),
            got=f"{type(error).__name__}: {error}",
            fix=_("pip install 'chainrule[{extra}]'", extra=extra),
        ) from error
