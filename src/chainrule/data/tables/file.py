"""Delimited text files (CSV), read in blocks of rows with line numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.files import checked_path, damaged, reading
from chainrule.data.frames import Columns
from chainrule.data.tables.cells import Cells
from chainrule.data.tables.content import (
    FIX,
    WHAT,
    check_delimiter,
    checked_encoding,
    detected_delimiter,
    detected_encoding,
    opened,
    undecodable,
)
from chainrule.data.tables.parquet import Parquet, is_parquet
from chainrule.data.tables.source import (
    INDEX,
    Chunk,
    Frame,
    Progress,
    Source,
    progress_callback,
    require,
)
from chainrule.errors import DataError
from chainrule.text import _, joined, ngettext
from chainrule.util.validation import truth

ENCODING = _(
    "save it as UTF-8, or say how it is encoded: encoding='cp950' (Traditional "
    "Chinese Windows), 'cp1252' (Western Windows), 'utf-16'"
)
#: Characters that are read at once, and that a row may have.
BLOCK, LONGEST = 1 << 20, 16 << 20
#: Columns that a table may have.
MOST = 100_000


@dataclass(frozen=True)
class File(Source):
    """A delimited text file (CSV) as a table, compressed or not.

    Attributes:
        path: the file.
        delimiter: the character between cells.
        encoding: the encoding of the text.
        header: whether the first line names the columns.
    """

    path: Path = field(default_factory=Path)
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True

    @classmethod
    def of(
        cls,
        path: Any,
        delimiter: Any = None,
        encoding: Any = None,
        header: Any = True,
    ) -> File:
        """Open a CSV file; detect delimiter, encoding and header where None.

        Raises:
            DataError: missing, empty, no text, or not a table; with the line.
            ArgumentError: a delimiter or an encoding that cannot be.
        """
        truth("header", header)
        settings = {"delimiter": delimiter, "encoding": encoding, "header": header}
        require("pandas", "data")
        file_path = checked_path(path, _("CSV file"))
        if (callback := progress_callback()) is not None:
            callback(file_path, 0, file_path.stat().st_size)
        notes = []
        with reading(file_path, WHAT, FIX):
            if encoding is None:
                encoding = detected_encoding(file_path)
                if encoding not in ("utf-8", "utf-8-sig"):
                    notes.append(_("the text is read as {encoding}", encoding=encoding))
            else:
                encoding = checked_encoding(encoding)
            if delimiter is None:
                delimiter = detected_delimiter(file_path, encoding)
                if delimiter != ",":
                    notes.append(
                        _("cells are separated by {delimiter!r}", delimiter=delimiter)
                    )
            else:
                check_delimiter(delimiter)
            file = cls(
                file_path.name,
                (),
                settings=settings,
                path=file_path,
                delimiter=delimiter,
                encoding=encoding,
                header=header,
            )
            blocks = file._blocks()
            first = next(blocks, None)
            rows = [] if first is None else first.records[: 1 + header]
            if len(rows) == 1 and header:
                rows += [text for block in blocks for text in block.records[:1]][:1]
            blocks.close()
            cells = [[cell.strip() for cell in row] for row in file.split(rows)]
        return file._named(cells, notes)

    def _named(self, rows: list[list[str]], notes: list[str]) -> File:
        """Return the CSV file with its column names, from its first rows."""
        if len(rows) <= self.header:
            raise DataError(
                _("'{path}' has no rows.", path=self.path)
                if rows
                else _("'{path}' is empty.", path=self.path),
                expected=_("a line of column names, and rows below it"),
                got=_("the line {rows}", rows=shortened(",".join(rows[0])))
                if rows
                else _("nothing"),
                fix=_("is the first line a row already? header=False"),
            )
        names, below = rows[0], rows[-1]
        if not self.header:
            names = [f"column {i + 1}" for i in range(len(below))]
        elif len(below) == len(names) + 1:  # R names no row numbers
            names = [*names, ""] if not below[-1] else ["", *names]
        if len(names) > MOST:
            raise DataError(
                _("'{path}' has too many columns.", path=self.path),
                expected=_("at most {MOST:,}", MOST=MOST),
                got=f"{len(names):,}",
                fix=_("is the delimiter another one? Else leave out columns"),
            )
        index = [names[0]] if INDEX.fullmatch(names[0]) and len(names) > 1 else []
        unique: dict[str, None] = {}
        for place, name in enumerate(names):
            free = base = name or _("column {place}", place=place + 1)
            number = 0
            while free in unique:
                number += 1
                free = f"{base}.{number}"
            if number:
                notes.append(
                    _(
                        "a second column '{name}' is called '{free}'",
                        name=shortened(name),
                        free=free,
                    )
                )
            unique[free] = None
        index = tuple(list(unique)[:1] if index else ())
        return replace(self, columns=tuple(unique), index=index, notes=tuple(notes))

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """Yield the cells of a CSV file's columns in chunks of rows.

        Raises:
            DataError: rows with another number of cells than the header, with their
                lines; content that is no text; a row that is too long.
        """
        position = {name: i for i, name in enumerate(self.columns)}
        with reading(self.path, WHAT, FIX):
            for block in self._rows():
                texts = [position[name] for name in names if name not in numbers]
                frame = self._frame(block, [position[name] for name in names], texts)
                cells = {n: Cells.of(frame[position[n]].to_numpy()) for n in names}
                yield Chunk(len(block.records), block.lines, cells, block.records)

    def texts(self, lines: Collection[int]) -> dict[int, list[str]]:
        """Return the cells of some rows of a CSV file as texts, by line number."""
        texts = {}
        with reading(self.path, WHAT, FIX):
            for block in self._rows():
                for i in np.flatnonzero(np.isin(block.lines, [*lines])).tolist():
                    cells = next(self.split([block.records[i]]))
                    texts[int(block.lines[i])] = [cell.strip() for cell in cells]
        return texts

    def split(self, records: Iterable[str]) -> Iterator[list[str]]:
        """Yield the cells of each row of a CSV file, as written."""
        lines = (line for text in records for line in io.StringIO(text, newline=""))
        return self._reader(lines)

    def _frame(self, block: _Block, positions: list[int], texts: list[int]) -> Any:
        """Parse columns of a block of CSV rows into a data frame."""
        import pandas

        frame = pandas.read_csv(
            io.StringIO("".join(block.records)),
            sep=self.delimiter,
            header=None,
            names=range(len(self.columns)),
            usecols=sorted(positions),
            index_col=False,
            dtype=dict.fromkeys(texts, object),
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            skipinitialspace=self.delimiter != " ",
            engine="c",
            low_memory=False,
        )
        if len(frame) != len(block.records):
            got = ngettext(
                "{n} row, or {frame}: quotes are odd",
                "{n} rows, or {frame}: quotes are odd",
                n=len(block.records),
                frame=len(frame),
            )
            raise damaged(self.path, WHAT, got, FIX)
        return frame

    def _rows(self) -> Iterator[_Block]:
        """Yield a CSV file's blocks of rows without the header, all of one length."""
        width, header = len(self.columns), self.header
        for block in self._blocks(progress_callback()):
            if header:
                lines, widths, records = block
                block, header = _Block(lines[1:], widths[1:], records[1:]), False
            ragged = np.flatnonzero(block.widths != width)
            if len(ragged):
                shown = [
                    _(
                        "{widths} in line {lines}",
                        widths=block.widths[i],
                        lines=block.lines[i],
                    )
                    for i in ragged[:3]
                ]
                got = joined(", ", shown)
                if len(ragged) > 3:
                    got = _(
                        "{first}, and {more:,} more", first=got, more=len(ragged) - 3
                    )
                raise DataError(
                    _(
                        "Rows of '{path}' have another number of cells than there "
                        "are columns.",
                        path=self.path,
                    ),
                    expected=ngettext("{n} cell", "{n} cells", n=width),
                    got=got,
                    fix=_(
                        "quote cells that hold the delimiter, as "
                        '"a{delimiter}b"; leave an empty cell for what is '
                        "missing",
                        delimiter=self.delimiter,
                    ),
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

    def _blocks(self, callback: Progress | None = None) -> Generator[_Block]:
        """Yield a CSV file's non-blank rows in blocks, with the header."""
        size = self.path.stat().st_size
        rest, line = "", 1
        with opened(self.path) as (raw, content), self._decoded(content) as file:
            while True:
                new = file.read(BLOCK)
                if new.endswith("\r"):
                    new += file.read(1)
                if callback is not None and new:
                    callback(self.path, min(raw.tell(), size), size)
                text = rest + new
                if "\0" in text:
                    raise damaged(
                        self.path,
                        WHAT,
                        _("a NUL character, which no text has"),
                        _(
                            "if it is a spreadsheet, save it as CSV; if it is text, "
                            "encoding='utf-16' may be right"
                        ),
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
                        _(
                            "line {line}: a row of more than {LONGEST} million "
                            "characters",
                            line=line,
                            LONGEST=LONGEST >> 20,
                        ),
                        FIX,
                    )
                if len(block.records):
                    yield block
                if not new:
                    return

    def _records(
        self, lines: list[str], whole: int, line: int, *, final: bool
    ) -> tuple[_Block, int]:
        """Combine a CSV file's lines into rows; return them and the lines used.

        Args:
            lines: the lines.
            whole: the number of lines with an end.
            line: the number of the first line.
            final: whether they are the last lines of the file.
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
        """Return the first lines and cell counts of CSV rows, lines with quotes."""
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
                    self.path,
                    WHAT,
                    _("line {used}: {error}", used=line + used, error=error),
                    FIX,
                ) from error
        return starts, widths, used  # a cell that has not ended is in the next block

    @contextmanager
    def _decoded(self, content: IO[bytes]) -> Iterator[IO[str]]:
        file = io.TextIOWrapper(content, self.encoding, newline="")
        try:
            yield file
        except UnicodeError as error:
            raise DataError(
                _(
                    "'{path}' is not text in {removesuffix}.",
                    path=self.path,
                    removesuffix=self.encoding.removesuffix("-sig"),
                ),
                expected=_(
                    "text in {removesuffix}",
                    removesuffix=self.encoding.removesuffix("-sig"),
                ),
                got=f"{undecodable(self.path, self.encoding)}: {error}",
                fix=ENCODING,
            ) from error


def source_of(
    table: Any, delimiter: Any = None, encoding: Any = None, header: Any = True
) -> Source:
    """Return a file (CSV or Parquet) or a data frame as a table source."""
    if Columns.of(table) is not None:
        return Frame.of(table, "frame")
    if is_parquet(table):
        return Parquet.of(table)
    return File.of(table, delimiter, encoding, header)


class _Block(NamedTuple):
    """A block of rows of a CSV file: line numbers, cell counts and texts."""

    lines: np.ndarray
    widths: np.ndarray
    records: list[str]
