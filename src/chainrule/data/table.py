"""A CSV file as a table of texts, looked through once before its cells are used.

pandas reads the cells. It fills short rows up, and knows no line numbers, so Python's
own csv module goes through the file first: it finds what is not a table (rows of other
lengths, quotes that do not end, bytes that are no text), and remembers on which line
each row begins.
"""

import codecs
import csv
import io
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from chainrule.data.checks import duplicate, shortened
from chainrule.data.files import checked_path, damaged, opened
from chainrule.errors import ArgumentError, DataError, nearest

WHAT = "a CSV file with a header line"
FIX = "look at the file with a text editor; write it with a program that quotes fields"
ENCODING = (
    "save it as UTF-8, or say how it is encoded: encoding='cp950' (Traditional "
    "Chinese Windows), 'cp1252' (Western Windows), 'utf-16'"
)
#: Rows that pandas reads at a time.
ROWS = 20_000


@dataclass(frozen=True)
class Table:
    """A CSV file whose rows all have as many cells as its header.

    Attributes:
        path: the file.
        delimiter: what stands between cells.
        encoding: how the file is encoded.
        columns: the names in the header.
        rows: how many rows there are below it.
        jumps: (row, line) wherever a row is not one line below the one before, because
            of blank lines, or of line ends inside of a cell.
    """

    path: Path
    delimiter: str
    encoding: str
    columns: tuple[str, ...]
    rows: int
    jumps: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, path: Any, delimiter: str = ",", encoding: str = "utf-8") -> "Table":
        """Look through a file.

        Raises:
            DataError: missing, empty, no text, or not a table; with the line.
            ArgumentError: a delimiter or an encoding that cannot be.
        """
        _pandas()  # before the file is looked through
        found = checked_path(path, "CSV file")
        _check_delimiter(delimiter)
        encoding = _checked_encoding(encoding)
        with _opened(found, encoding) as file:
            records = _records(file, found, delimiter)
            line, header = next(records, (0, []))
            columns = _columns(header, found, delimiter)
            rows, jumps = _looked_through(records, line, len(columns), found)
        if not rows:
            raise DataError(
                f"'{found}' has no rows.",
                expected="a header line, and rows below it",
                got=f"a header of {len(columns)} columns alone"
                if header
                else "nothing",
                fix="the first line names the columns; is it the only one?",
            )
        return cls(found, delimiter, encoding, columns, rows, tuple(jumps))

    def place(self, row: int, column: str) -> str:
        """Where a cell stands, for messages."""
        return (
            f"line {self.line(row)} (row {row}, counting from 0), "
            f"column '{shortened(column)}'"
        )

    def line(self, row: int) -> int:
        """The line on which a row begins; the first line of the file is 1."""
        i = bisect_right(self.jumps, (row, 1 << 62)) - 1
        first, line = self.jumps[i]
        return line + row - first

    def require(self, names: Sequence[str], what: str) -> None:
        """Refuse names that are no columns."""
        known = set(self.columns)
        for name in names:
            if name in known:
                continue
            close = nearest(name, self.columns)
            fix = f"did you mean '{close}'?" if close else "the first line names them"
            if len(self.columns) == 1:
                fix = "is the delimiter another one? delimiter=';' or delimiter='\\t'"
            elif all(_is_number(text) for text in self.columns):
                fix = "the first line holds numbers alone: is the header missing?"
            raise DataError(
                f"'{self.path}' has no column '{shortened(name)}', which is {what}.",
                expected=f"one of {shortened(', '.join(self.columns), 200)}",
                got=repr(shortened(name)),
                fix=fix,
            )

    def chunks(
        self, names: Sequence[str]
    ) -> Iterator[tuple[int, dict[str, list[str]]]]:
        """The cells of some columns as texts without spaces around them.

        Yields:
            The number of the first row, and a column's texts by its name.

        Raises:
            ArgumentError: pandas is not installed.
            DataError: pandas reads other rows than were seen.
        """
        pandas = _pandas()
        place = {name: i for i, name in enumerate(self.columns)}
        places = {place[name]: name for name in names}
        seen = 0
        with _opened(self.path, self.encoding) as file:
            frames = pandas.read_csv(
                file,
                sep=self.delimiter,
                header=0,
                names=range(len(self.columns)),
                usecols=sorted(places),
                index_col=False,
                dtype=str,
                na_filter=False,
                skipinitialspace=self.delimiter != " ",
                chunksize=ROWS,
                engine="c",
            )
            for frame in frames:
                cells = {i: map(str.strip, frame[i].tolist()) for i in places}
                yield seen, {name: list(cells[i]) for i, name in places.items()}
                seen += len(frame)
        if seen != self.rows:
            raise damaged(
                self.path, WHAT, f"{self.rows} rows, or {seen}: quotes are odd", FIX
            )


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ArgumentError(
            "CSV files are read by pandas, which is not installed.",
            expected="the extra data",
            got=f"{type(error).__name__}: {error}",
            fix="pip install 'chainrule[data]'",
        ) from error
    return pandas


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[IO[str]]:
    """The file as text, with its line ends as they are."""
    with (
        opened(path, WHAT, FIX) as content,
        io.TextIOWrapper(content, encoding, newline="") as file,
    ):
        try:
            yield file
        except UnicodeError as error:
            raise DataError(
                f"'{path}' is not text in {encoding.removesuffix('-sig')}.",
                expected=f"text in {encoding.removesuffix('-sig')}",
                got=f"{_where_undecodable(path, encoding)}: {error}",
                fix=ENCODING,
            ) from error


def _where_undecodable(path: Path, encoding: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    with opened(path, WHAT, FIX) as file:
        for number, line in enumerate(file, 1):
            try:
                decoder.decode(line)
            except UnicodeError:
                return f"line {number}"
    return "its end"


def _records(
    file: IO[str], path: Path, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with its first line."""
    reader = csv.reader(
        _without_nul(file, path),
        delimiter=delimiter,
        skipinitialspace=delimiter != " ",
        strict=True,
    )
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise damaged(path, WHAT, f"line {line}: {error}", FIX) from error
        if len(record) > 1 or any(cell.strip(" \t") for cell in record):
            yield line, record


def _without_nul(lines: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise damaged(
                path,
                WHAT,
                f"line {number}: a NUL character, which no text has",
                "if it is a spreadsheet, save it as CSV; if it is text, "
                "encoding='utf-16' may be right",
            )
        yield line


def _columns(header: list[str], path: Path, delimiter: str) -> tuple[str, ...]:
    """The names of the columns; they differ. A column may be without a name."""
    columns = tuple(name.strip() for name in header)
    if not columns:
        raise DataError(
            f"'{path}' is empty.",
            expected=WHAT,
            got="no line with anything on it",
            fix="look at the program that wrote it",
        )
    if twice := duplicate([name for name in columns if name]):
        places = [i + 1 for i, name in enumerate(columns) if name == twice]
        raise DataError(
            f"'{path}' has two columns of one name.",
            expected="names that differ in the header line",
            got=f"'{shortened(twice)}' as columns {places[0]} and {places[1]}",
            fix="rename one of them in the first line",
        )
    return columns


def _looked_through(
    records: Iterator[tuple[int, list[str]]], line: int, width: int, path: Path
) -> tuple[int, list[tuple[int, int]]]:
    """How many rows there are, and where their lines jump."""
    jumps: list[tuple[int, int]] = []
    expected = -1
    row = -1
    for row, (line, record) in enumerate(records):
        if len(record) != width:
            raise DataError(
                f"Line {line} of '{path}' has another number of cells than the header.",
                expected=f"{width} cells",
                got=f"{len(record)}: {shortened(', '.join(record))}",
                fix="quote cells that contain the delimiter; leave a cell without a "
                "value empty, between delimiters",
            )
        if line != expected:
            jumps.append((row, line))
        expected = line + 1
    return row + 1, jumps


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_delimiter(delimiter: Any) -> None:
    right = isinstance(delimiter, str) and len(delimiter) == 1 and delimiter.isascii()
    if not right or delimiter.isalnum() or delimiter in "\"\r\n\0.+-_'":
        raise ArgumentError(
            "The delimiter is not one that cells can have between them.",
            expected="one character, such as ',' or ';' or '\\t' or '|'",
            got=shortened(repr(delimiter)),
            fix="delimiter=','",
        )


def _checked_encoding(encoding: Any) -> str:
    """The encoding by a name that Python knows; UTF-8 may begin with a mark."""
    try:
        found = codecs.lookup(encoding)
    except (LookupError, TypeError, ValueError) as error:
        raise _unknown_encoding(encoding) from error
    if not getattr(found, "_is_text_encoding", True):
        raise _unknown_encoding(encoding)
    return "utf-8-sig" if found.name == "utf-8" else found.name


def _unknown_encoding(encoding: Any) -> ArgumentError:
    return ArgumentError(
        "There is no such text encoding.",
        expected="the name of an encoding",
        got=shortened(repr(encoding)),
        fix="encoding='utf-8', 'cp950', 'cp1252' or 'utf-16'",
    )
