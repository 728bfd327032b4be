"""Sources of table cells: a file, read block by block, or a data frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.tables.cells import Cells
from chainrule.errors import ArgumentError, DataError
from chainrule.text import _
from chainrule.util.validation import did_you_mean

#: Rows of a frame that are taken at once.
ROWS = 50_000
#: Names that programs give to the column of row numbers that they write.
INDEX = re.compile(r"(Unnamed: \d+)?")

#: A function of a file's path, the bytes read so far, and the size of the file.
Progress = Callable[[Path, int, int], None]
_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def progress(callback: Progress) -> Iterator[None]:
    """Report the progress of file reading to ``callback`` within the block.

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
    """Return the function that receives the progress of reading, or None."""
    return _progress.get()


class Chunk(NamedTuple):
    """A chunk of rows of a table.

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
        """Yield the cells of some columns in chunks of rows.

        Args:
            names: the names of the columns.
            numbers: columns whose cells may be read as numbers, without their texts,
                if all cells of the chunk are numbers. Read again for each chunk.
        """
        raise NotImplementedError

    def texts(self, lines: Collection[int]) -> dict[int, list[str]]:
        """Return the cells of some rows as texts, by line; skip unknown lines."""
        raise NotImplementedError

    def place(self, line: int, column: str) -> str:
        """Describe the position of a cell, for messages."""
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
    """A table in a data frame of any library that narwhals supports."""

    frame: Any = None
    word = "row"

    @classmethod
    def of(cls, frame: Any, name: str) -> Frame:
        """Wrap a data frame as a table.

        Raises:
            ArgumentError: it is no data frame.
        """
        narwhals = installed("narwhals")
        try:
            if isinstance(frame, Mapping):
                wrapped = narwhals.from_dict(frame, backend="pandas")
            else:
                wrapped = narwhals.from_native(frame, eager_only=True)
            columns = tuple(str(column) for column in wrapped.columns)
            if len(set(columns)) < len(columns):
                raise ValueError(_("two columns have one name"))
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                _("This is not a data frame that can be read."),
                expected=_("a frame of pandas, polars, pyarrow … whose columns differ"),
                got=shortened(f"{type(frame).__name__}: {error}", 200),
                fix=_("for arrays of numbers: Dataset(x, y)"),
            ) from error
        if columns != tuple(wrapped.columns):  # numbers of pandas
            wrapped = wrapped.rename(dict(zip(wrapped.columns, columns, strict=True)))
        index = tuple(c for c in columns[:1] if INDEX.fullmatch(c))
        return cls(name, columns, index, frame=wrapped)

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """Yield the cells of some columns in chunks of rows."""
        count = len(self.frame)
        for first in range(0, count, ROWS):
            lines = np.arange(first, min(first + ROWS, count), dtype=np.int32)
            cells = {
                name: cells_of(self.frame[name][first : first + ROWS]) for name in names
            }
            yield Chunk(len(lines), lines, cells)

    def texts(self, lines: Collection[int]) -> dict[int, list[str]]:
        """Return the cells of some rows as texts, by line."""
        return {
            line: [
                cells_of(self.frame[n][line : line + 1]).text(0) for n in self.columns
            ]
            for line in lines
            if 0 <= line < len(self.frame)
        }


def installed(name: str) -> Any:
    """Import a library of the extra ``data``, or raise an error with a remedy."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ArgumentError(
            _("Tables are read by {name}, which is not installed.", name=name),
            expected=_("the extra data"),
            got=f"{type(error).__name__}: {error}",
            fix=_("pip install 'chainrule[data]'"),
        ) from error


def is_frame(value: Any) -> bool:
    """Return whether ``value`` is a data frame or a dictionary of columns."""
    frame = hasattr(value, "columns") and not isinstance(value, str)
    return frame or isinstance(value, Mapping)


def cells_of(series: Any) -> Cells:
    """Return the cells of a narwhals series.

    Raises:
        DataError: lists or other containers.
    """
    import narwhals

    if series.dtype.is_numeric() and not isinstance(series.dtype, narwhals.Decimal):
        return Cells.of(np.asarray(series.to_numpy(), np.float64))
    values = np.asarray(series.to_numpy())
    if values.dtype != object:
        values = np.empty(len(series), object)
        values[:] = series.to_list()
    try:
        return Cells.of(values)
    except TypeError as error:
        raise DataError(
            _("Column '{name}' holds no single values.", name=shortened(series.name)),
            expected=_("a number, a text or a date in each row"),
            got=shortened(str(error)),
            fix=_("leave it out: features=[…]"),
        ) from error
