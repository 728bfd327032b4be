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

#: Told of a file that is being read: its path, the bytes read so far, and all of them.
Told = Callable[[Path, int, int], None]
_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def progress(told: Told) -> Iterator[None]:
    """Report the progress of file reading to ``told`` within the block.

    Example:
        >>> from chainrule.data import progress, read_csv
        >>> _ = Path("few.csv").write_text("a,b\\n1,2\\n2,3\\n")
        >>> with progress(lambda path, done, size: print(path, f"{done} of {size}")):
        ...     data = read_csv("few.csv", target="b")
        few.csv 0 of 12
        few.csv 12 of 12
        few.csv 12 of 12
    """
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def listener() -> Told | None:
    """Return the function that receives the reading progress, or None."""
    return _told.get()


class Chunk(NamedTuple):
    """A chunk of rows of a table: cells by column, and line numbers.

    Attributes:
        rows: how many.
        lines: the line on which each begins in its file; in a frame its number.
        cells: of the columns, by name.
        records: what is written there; empty for a frame.
    """

    rows: int
    lines: np.ndarray
    cells: dict[str, Cells]
    records: list[str] = []  # noqa: RUF012 (never changed)


@dataclass(frozen=True)
class Source:
    """Base class of tables whose rows can be read repeatedly: a file or a data frame.

    Attributes:
        name: what to call it.
        columns: the names of its columns, all different.
        index: those of them that hold the row numbers of the program that wrote it.
        notes: what was seen on the way, one sentence each.
        settings: how the caller says that it is written, for others like it.
    """

    name: str
    columns: tuple[str, ...]
    index: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: What a line is called: rows of a frame count from 0.
    word = "line"

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """Yield the cells of some columns in chunks of rows.

        Args:
            names: of the columns.
            numbers: those whose cells may come as numbers, without their texts, where
                all of a chunk are. It is looked at anew for each chunk.
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
    def of(cls, given: Any, name: str) -> Frame:
        """Wrap a data frame as a table.

        Raises:
            ArgumentError: it is no data frame.
        """
        narwhals = installed("narwhals")
        try:
            if isinstance(given, Mapping):
                frame = narwhals.from_dict(given, backend="pandas")
            else:
                frame = narwhals.from_native(given, eager_only=True)
            columns = tuple(str(column) for column in frame.columns)
            if len(set(columns)) < len(columns):
                raise ValueError(_("two columns have one name"))
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                _("This is not a data frame that can be read."),
                expected=_("a frame of pandas, polars, pyarrow … whose columns differ"),
                got=shortened(f"{type(given).__name__}: {error}", 200),
                fix=_("for arrays of numbers: Dataset(x, y)"),
            ) from error
        if columns != tuple(frame.columns):  # numbers of pandas
            frame = frame.rename(dict(zip(frame.columns, columns, strict=True)))
        index = tuple(c for c in columns[:1] if INDEX.fullmatch(c))
        return cls(name, columns, index, frame=frame)

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


def is_frame(given: Any) -> bool:
    """Return whether ``given`` is a data frame or a dictionary of columns."""
    frame = hasattr(given, "columns") and not isinstance(given, str)
    return frame or isinstance(given, Mapping)


def cells_of(series: Any) -> Cells:
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
