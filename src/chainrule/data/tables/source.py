"""Where the cells of a table come from: a file, block by block, or a frame in memory."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from chainrule.checks import did_you_mean
from chainrule.data.checks import shortened
from chainrule.data.files import checked_path, damaged, reading
from chainrule.data.tables.cells import Cells
from chainrule.errors import ArgumentError, DataError

WHAT = "a table in text form"
FIX = "look at the file with a text editor; write it with a program that quotes fields"
ENCODING = (
    "save it as UTF-8, or say how it is encoded: encoding='cp950' (Traditional "
    "Chinese Windows), 'cp1252' (Western Windows), 'utf-16'"
)
DELIMITERS = "\t;|,"
#: Characters that are read at once, and that a row may have.
BLOCK, LONGEST = 4 << 20, 16 << 20
#: Columns that a table may have, and rows of a frame that are taken at once.
MOST, ROWS = 100_000, 50_000
#: Bytes from the beginning that tell the delimiter.
HEAD = 1 << 18
#: Names that programs give to the column of row numbers that they write.
INDEX = re.compile(r"(Unnamed: \d+)?")

#: Told of a file that is being read: its path, the bytes read so far, and all of them.
Told = Callable[[Path, int, int], None]
_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def progress(told: Told) -> Iterator[None]:
    """Within the block ``told`` hears how far the reading of a file is.

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


class Chunk(NamedTuple):
    """Some rows of a table.

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
    """A table, whose rows can be gone through again and again.

    Attributes:
        name: what to call it.
        columns: the names of its columns, all different.
        index: those of them that hold the row numbers of the program that wrote it.
        notes: what was seen on the way, one sentence each.
    """

    name: str
    columns: tuple[str, ...]
    index: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    #: What a line is called: rows of a frame count from 0.
    word = "line"

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """The cells of some columns, some rows at a time.

        Args:
            names: of the columns.
            numbers: those whose cells may come as numbers, without their texts, where
                all of a chunk are. It is looked at anew for each chunk.
        """
        raise NotImplementedError

    def place(self, line: int, column: str) -> str:
        """Where a cell stands, for messages."""
        return f"{self.word} {line}, column '{shortened(column)}'"

    def require(self, names: Sequence[str], what: str) -> None:
        """Refuse names that are no columns."""
        known = dict.fromkeys(self.columns)
        for name in names:
            if name not in known:
                fix = "the first line names them"
                if len(known) == 1:
                    fix = "is the delimiter another one? delimiter=';'"
                raise DataError(
                    f"'{self.name}' has no column '{shortened(name)}', which is {what}.",
                    expected=f"one of {shortened(', '.join(self.columns), 200)}",
                    got=repr(shortened(name)),
                    fix=did_you_mean(name, self.columns, fix),
                )


# -- frames ------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame(Source):
    """A data frame of any kind that narwhals knows."""

    frame: Any = None
    word = "row"

    @classmethod
    def of(cls, given: Any, name: str) -> Frame:
        """Look at its columns.

        Raises:
            ArgumentError: it is no data frame.
        """
        narwhals = _installed("narwhals")
        try:
            frame = narwhals.from_native(given, eager_only=True)
            columns = tuple(str(column) for column in frame.columns)
            if len(set(columns)) < len(columns):
                raise ValueError("two columns have one name")
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                "This is not a data frame that can be read.",
                expected="a frame of pandas, polars, pyarrow … whose columns differ",
                got=shortened(f"{type(given).__name__}: {error}", 200),
                fix="for arrays of numbers: Dataset(x, y)",
            ) from error
        frame = frame.rename(dict(zip(frame.columns, columns, strict=True)))
        index = tuple(c for c in columns[:1] if INDEX.fullmatch(c))
        return cls(name, columns, index, frame=frame)

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """See ``Source``."""
        count = len(self.frame)
        for first in range(0, count, ROWS):
            lines = np.arange(first, min(first + ROWS, count), dtype=np.int32)
            cells = {
                name: _cells_of(self.frame[name][first : first + ROWS])
                for name in names
            }
            yield Chunk(len(lines), lines, cells)


def _installed(name: str) -> Any:
    """A library of the extra ``data``."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ArgumentError(
            f"Tables are read by {name}, which is not installed.",
            expected="the extra data",
            got=f"{type(error).__name__}: {error}",
            fix="pip install 'chainrule[data]'",
        ) from error


def is_frame(given: Any) -> bool:
    """Whether something is a data frame and no path."""
    return hasattr(given, "columns") and not isinstance(given, str)


def _cells_of(series: Any) -> Cells:
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
            f"Column '{shortened(series.name)}' holds no single values.",
            expected="a number, a text or a date in each row",
            got=shortened(str(error)),
            fix="leave it out: features=[…]",
        ) from error


# -- files -------------------------------------------------------------------------


@dataclass(frozen=True)
class File(Source):
    """A file of text with delimiters, compressed or not.

    Attributes:
        path: the file.
        delimiter: what stands between cells.
        encoding: of the text.
        header: whether its first line names the columns.
    """

    path: Path = field(default_factory=Path)
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True

    @classmethod
    def of(
        cls,
        path: Any,
        delimiter: str | None = None,
        encoding: str | None = None,
        header: bool = True,
    ) -> File:
        """Look at the beginning of a file; what is None is seen from it.

        Raises:
            DataError: missing, empty, no text, or not a table; with the line.
            ArgumentError: a delimiter or an encoding that cannot be.
        """
        _installed("pandas")  # before the file is looked through
        found = checked_path(path, "CSV file")
        if (told := _told.get()) is not None:
            told(found, 0, found.stat().st_size)
        notes = []
        with reading(found, WHAT, FIX):
            if encoding is None:
                encoding = _seen_encoding(found)
                if encoding not in ("utf-8", "utf-8-sig"):
                    notes.append(f"the text is read as {encoding}")
            else:
                encoding = _checked_encoding(encoding)
            if delimiter is None:
                delimiter = _seen_delimiter(found, encoding)
                if delimiter != ",":
                    notes.append(f"cells are separated by {delimiter!r}")
            else:
                _check_delimiter(delimiter)
            made = cls(
                found.name,
                (),
                path=found,
                delimiter=delimiter,
                encoding=encoding,
                header=header,
            )
            blocks = made._blocks()
            first = next(blocks, None)
            rows = [] if first is None else first.records[: 1 + header]
            if len(rows) == 1 and header:
                rows += [text for block in blocks for text in block.records[:1]][:1]
            blocks.close()
            cells = [[cell.strip() for cell in row] for row in made.split(rows)]
        return made._named(cells, notes)

    def _named(self, rows: list[list[str]], notes: list[str]) -> File:
        """The file with the names of its columns, from its first rows."""
        if len(rows) <= self.header:
            raise DataError(
                f"'{self.path}' has no rows." if rows else f"'{self.path}' is empty.",
                expected="a line of column names, and rows below it",
                got=f"the line {shortened(','.join(rows[0]))}" if rows else "nothing",
                fix="is the first line a row already? header=False",
            )
        names, below = rows[0], rows[-1]
        if not self.header:
            names = [f"column {i + 1}" for i in range(len(below))]
        elif len(below) == len(names) + 1:  # R names no row numbers
            names = [*names, ""] if not below[-1] else ["", *names]
        if len(names) > MOST:
            raise DataError(
                f"'{self.path}' has too many columns.",
                expected=f"at most {MOST:,}",
                got=f"{len(names):,}",
                fix="is the delimiter another one? Else leave out columns",
            )
        index = [names[0]] if INDEX.fullmatch(names[0]) and len(names) > 1 else []
        made: dict[str, None] = {}
        for place, name in enumerate(names):
            free = base = name or f"column {place + 1}"
            number = 0
            while free in made:
                number += 1
                free = f"{base}.{number}"
            if number:
                notes.append(f"a second column '{shortened(name)}' is called '{free}'")
            made[free] = None
        return File(
            self.name,
            tuple(made),
            tuple(list(made)[:1] if index else ()),
            tuple(notes),
            self.path,
            self.delimiter,
            self.encoding,
            self.header,
        )

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """See ``Source``.

        Raises:
            DataError: rows with another number of cells than the header, named; what is
                no text; a row that is too long.
        """
        place = {name: i for i, name in enumerate(self.columns)}
        with reading(self.path, WHAT, FIX):
            for block in self._rows():
                texts = [place[name] for name in names if name not in numbers]
                frame = self._frame(block, [place[name] for name in names], texts)
                cells = {name: _cells_of(frame[str(place[name])]) for name in names}
                yield Chunk(len(block.records), block.lines, cells, block.records)

    def split(self, records: Iterable[str]) -> Iterator[list[str]]:
        """The cells of rows, as they are written."""
        lines = (line for text in records for line in io.StringIO(text, newline=""))
        return self._reader(lines)

    def _frame(self, block: _Block, places: list[int], texts: list[int]) -> Any:
        """Some columns of a block, called by their places, as a frame of narwhals."""
        import narwhals
        import pandas

        frame = pandas.read_csv(
            io.StringIO("".join(block.records)),
            sep=self.delimiter,
            header=None,
            names=[str(i) for i in range(len(self.columns))],
            usecols=sorted(places),
            index_col=False,
            dtype=dict.fromkeys(texts, object),
            na_filter=False,
            skip_blank_lines=False,
            skipinitialspace=self.delimiter != " ",
            engine="c",
            low_memory=False,
        )
        if len(frame) != len(block.records):
            got = f"{len(block.records)} rows, or {len(frame)}: quotes are odd"
            raise damaged(self.path, WHAT, got, FIX)
        return narwhals.from_native(frame, eager_only=True)

    def _rows(self) -> Iterator[_Block]:
        """The blocks without the header; all rows have as many cells as it."""
        width, header = len(self.columns), self.header
        for block in self._blocks(_told.get()):
            if header:
                block, header = _Block(*(part[1:] for part in block)), False
            ragged = np.flatnonzero(block.widths != width)
            if len(ragged):
                shown = [
                    f"{block.widths[i]} in line {block.lines[i]}" for i in ragged[:3]
                ]
                rest = f", and {len(ragged) - 3:,} more" if len(ragged) > 3 else ""
                raise DataError(
                    f"Rows of '{self.path}' have another number of cells than there "
                    "are columns.",
                    expected=f"{width} cells",
                    got=", ".join(shown) + rest,
                    fix="quote cells that hold the delimiter, as "
                    f'"a{self.delimiter}b"; leave an empty cell for what is missing',
                )
            if len(block.records):
                yield block

    def _reader(self, lines: Iterable[str]) -> Any:
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            skipinitialspace=self.delimiter != " ",
            strict=True,
        )

    def _blocks(self, told: Told | None = None) -> Iterator[_Block]:
        """The rows that are not blank, in blocks; the header is one of them."""
        size = self.path.stat().st_size
        rest, line = "", 1
        with _opened(self.path) as (raw, content), self._decoded(content) as file:
            while True:
                new = file.read(BLOCK)
                if new.endswith("\r"):
                    new += file.read(1)
                if told is not None and new:
                    told(self.path, min(raw.tell(), size), size)
                text = rest + new
                if "\0" in text:
                    raise damaged(
                        self.path,
                        WHAT,
                        "a NUL character, which no text has",
                        "if it is a spreadsheet, save it as CSV; if it is text, "
                        "encoding='utf-16' may be right",
                    )
                lines = io.StringIO(text, newline="").readlines()
                whole = len(lines)
                if new and lines and not lines[-1].endswith(("\n", "\r")):
                    whole -= 1
                block, used = self._records(lines, whole, line, final=not new)
                rest, line = "".join(lines[used:]), line + used
                if len(rest) > LONGEST:
                    raise damaged(
                        self.path,
                        WHAT,
                        f"line {line}: a row of more than {LONGEST >> 20} million "
                        "characters",
                        FIX,
                    )
                if len(block.records):
                    yield block
                if not new:
                    return

    def _records(
        self, lines: list[str], whole: int, line: int, *, final: bool
    ) -> tuple[_Block, int]:
        """The rows of some lines, and how many lines they are.

        Args:
            lines: all that there are.
            whole: how many of them have ended.
            line: the number of the first one.
            final: whether nothing comes behind them.
        """
        lines = lines[:whole]
        starts, widths, used = list(range(whole)), [], whole
        if any('"' in text for text in lines):
            starts, widths, used = self._quoted(lines, line, final)
        else:
            mark = self.delimiter
            widths = [text.count(mark) + 1 for text in lines]
        ends = [*starts, used][1:]
        records = lines
        if len(starts) < used:
            records = ["".join(lines[a:b]) for a, b in zip(starts, ends, strict=True)]
        numbers, counts = np.array(starts, np.int32) + line, np.array(widths, np.int32)
        single = np.flatnonzero(counts == 1).tolist()
        if blank := [i for i in single if not records[i].strip(" \t\r\n")]:
            numbers, counts = np.delete(numbers, blank), np.delete(counts, blank)
            gone = set(blank)
            records = [text for i, text in enumerate(records) if i not in gone]
        return _Block(numbers.astype(np.int32), counts, records[: len(counts)]), used

    def _quoted(
        self, lines: list[str], line: int, final: bool
    ) -> tuple[list[int], list[int], int]:
        """Where rows begin among lines with quotes, and how many cells they have."""
        reader = self._reader(lines)
        starts, widths, used = [], [], 0
        try:
            for record in reader:
                starts.append(used)
                widths.append(len(record) or 1)
                used = reader.line_num
        except csv.Error as error:
            if final or reader.line_num < len(lines):
                raise damaged(
                    self.path, WHAT, f"line {line + used}: {error}", FIX
                ) from error
        return starts, widths, used  # a cell that has not ended is in the next block

    @contextmanager
    def _decoded(self, content: IO[bytes]) -> Iterator[IO[str]]:
        file = io.TextIOWrapper(content, self.encoding, newline="")
        try:
            yield file
        except UnicodeError as error:
            raise DataError(
                f"'{self.path}' is not text in {self.encoding.removesuffix('-sig')}.",
                expected=f"text in {self.encoding.removesuffix('-sig')}",
                got=f"{_undecodable(self.path, self.encoding)}: {error}",
                fix=ENCODING,
            ) from error


class _Block(NamedTuple):
    """Some rows: their lines, how many cells each has, and what is written there."""

    lines: np.ndarray
    widths: np.ndarray
    records: list[str]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A file and its content, which may be compressed."""
    import bz2
    import gzip
    import lzma
    import zipfile

    with path.open("rb") as raw:
        mark = raw.read(6)
        raw.seek(0)
        if mark.startswith(b"PK\3\4"):
            with zipfile.ZipFile(raw) as archive:
                members = [name for name in archive.namelist() if name[-1] != "/"]
                if len(members) != 1:
                    raise damaged(
                        path,
                        WHAT,
                        f"an archive of {len(members)} files",
                        "pack one file; save a spreadsheet as CSV",
                    )
                with archive.open(members[0]) as content:
                    yield raw, content
            return
        opener: Any = None
        if mark.startswith(b"\x1f\x8b"):
            opener = gzip.open
        elif mark.startswith(b"BZh"):
            opener = bz2.open
        elif mark.startswith(b"\xfd7zXZ\0"):
            opener = lzma.open
        if opener is None:
            yield raw, raw
        else:
            with opener(raw) as content:
                yield raw, content


# -- what is seen from a file ------------------------------------------------------


def _pieces(path: Path) -> Iterator[bytes]:
    with _opened(path) as (_, content):
        while piece := content.read(1 << 20):
            yield piece


def _seen_encoding(path: Path) -> str:
    """The encoding: by its mark, or the first one that can be.

    UTF-8 is tried first. Chinese text in cp950 is mostly made of common characters,
    which begin with A4 … C6; Western text would decode to rare ones.
    """
    pieces = _pieces(path)
    head = next(pieces, b"")
    pieces.close()
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head or _decodes(path, "utf-8"):
        return "utf-8"  # NUL is refused later, with words about it
    common = rare = 0
    for piece in _pieces(path):
        leads = re.findall(rb"([\x81-\xfe])[\x40-\x7e\xa1-\xfe]", piece)
        usual = sum(b"\xa1" <= lead <= b"\xc6" for lead in leads)
        common, rare = common + usual, rare + len(leads) - usual
    if common > rare and _decodes(path, "cp950"):
        return "cp950"
    return "cp1252" if _decodes(path, "cp1252") else "latin-1"


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in _pieces(path):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _undecodable(path: Path, encoding: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    with _opened(path) as (_, content):
        for number, line in enumerate(content, 1):
            try:
                decoder.decode(line)
            except UnicodeError:
                return f"line {number}"
    return "its end"


def _seen_delimiter(path: Path, encoding: str) -> str:
    """What cuts the first lines into as many cells each; else what is most frequent."""
    with _opened(path) as (_, content):
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        head = content.read(HEAD)
    text = decoder.decode(head).removeprefix("\ufeff")
    lines = io.StringIO(text, newline="").readlines()
    if len(head) == HEAD and len(lines) > 1:
        lines.pop()  # it was cut
    even = {}
    for mark in DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=mark) if row]
        except csv.Error:
            continue
        widths = {len(row) for row in rows}
        first = len(rows[0]) if rows else 1
        if first > 1 and widths <= {first, first + 1}:
            even[mark] = first
    if even:
        return next(mark for mark in DELIMITERS if mark in even)
    first = next((line for line in lines if line.strip()), "")
    return max(reversed(DELIMITERS), key=first.count)


def _check_delimiter(delimiter: Any) -> None:
    right = isinstance(delimiter, str) and len(delimiter) == 1 and delimiter.isascii()
    if not right or delimiter.isalnum() or delimiter in "\"\r\n\0.+-_'":
        raise ArgumentError(
            "The delimiter is not one that cells can have between them.",
            expected="one character, such as ',' or ';' or '\\t' or '|'",
            got=shortened(repr(delimiter)),
            fix="leave it out: it is seen from the file",
        )


def _checked_encoding(encoding: Any) -> str:
    """The encoding by a name that Python knows; UTF-8 may begin with a mark."""
    try:
        found = codecs.lookup(encoding)
    except (LookupError, TypeError, ValueError):
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise ArgumentError(
            "There is no such text encoding.",
            expected="the name of an encoding",
            got=shortened(repr(encoding)),
            fix="encoding='utf-8', 'cp950', 'cp1252' or 'utf-16'",
        )
    return "utf-8-sig" if found.name == "utf-8" else found.name
