"""A reader of CSV files with a student's answers: columns quantity, value.

Or quantity, row, column, value.

What is wrong is said of the file, the line and the column where it stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.book.derivation.formulas import split
from chainrule.book.derivation.network import Network
from chainrule.book.marking.written import read
from chainrule.data.files import checked_path, opened
from chainrule.errors import ChainruleError, DataError
from chainrule.runs import toml
from chainrule.text import _, ngettext

COLUMNS = ("quantity", "row", "column", "value")
#: Where a number stands: row and column, or how many stand before it.
Place = tuple[int, int] | int


@dataclass(frozen=True)
class Table:
    """The table of a student's answers, as text cells read from a CSV file.

    Attributes:
        file: its name.
        cells: for each quantity its numbers, each by its place.
        lines: where each quantity begins.
    """

    file: str
    cells: Mapping[str, Mapping[Place, str]]
    lines: Mapping[str, int]

    def answers(self, network: Network, key_of: Callable[[str], str]) -> dict[str, Any]:
        """Return a CSV file's answers as numbers in rows, by quantity.

        Args:
            network: whose quantities they are.
            key_of: which quantity a name means.

        Raises:
            DataError: a name that is not known or is there twice; what is not complete.
        """
        answers: dict[str, Any] = {}
        names: dict[str, str] = {}
        any_given = False
        for name, cells in self.cells.items():
            with _blamed(self.file, self.lines[name], COLUMNS[0]):
                key = key_of(name)
                if key in names:
                    raise DataError(
                        _("One quantity is given twice."),
                        expected=_("{name} once", name=key),
                        got=f"{names[key]!r}, {name!r}",
                    )
                names[key] = name
                answers[name] = _shaped(network, key, name, cells)
                any_given |= read(name, answers[name]) is not None
        if not any_given:
            raise DataError(
                _("{name} has no answers.", name=self.file),
                expected=_("lines such as z1,0.7311 below the first one"),
                got=ngettext(
                    "{n} name, all blank",
                    "{n} names, all blank",
                    n=len(self.cells),
                ),
            )
        return answers


def read_table(path: Path) -> Table:
    """Read a CSV file of a student's answers to an exercise.

    Raises:
        DataError: a file that is not there, or is no such table.
    """
    what, fix = _("a CSV file of answers"), _("columns quantity, value")
    with opened(checked_path(path, _("CSV file")), what, fix) as file:
        return table_of(file.read(toml.BYTES_AT_MOST + 1), path.name)


def table_of(content: bytes, name: str) -> Table:
    """Read the bytes of a CSV file of a student's answers.

    Raises:
        DataError: no such table.
    """
    if len(content) > toml.BYTES_AT_MOST:
        raise DataError(
            _("{name} is too large for a sheet of answers.", name=name),
            expected=_("at most {many} bytes", many=f"{toml.BYTES_AT_MOST:,}"),
            got=_("more than that"),
        )
    text = toml.decoded(content, name, _("a CSV file in UTF-8"))
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    cells: dict[str, dict[Place, str]] = {}
    lines: dict[str, int] = {}
    try:
        head = [cell.strip().lower() for cell in next(rows, [])]
        _refuse_head(name, head)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            line = rows.line_num
            item = _row(name, line, head, row)
            quantity, value = item["quantity"], item["value"]
            with _blamed(name, line, "value"):
                read(quantity, value)
            lines.setdefault(quantity, line)
            cells_of = cells.setdefault(quantity, {})
            place = _at(name, line, item) if "row" in item else len(cells_of)
            if place in cells_of:
                raise DataError(
                    _(
                        "{where}: this place has a number already.",
                        where=_in(name, line),
                    ),
                    expected=_("each row and column once"),
                    got=", ".join(row)[:80],
                )
            cells_of[place] = value
    except csv.Error as error:
        raise DataError(
            _("{where}: this cannot be read as CSV.", where=_in(name, rows.line_num)),
            expected=_('quotation marks (") in pairs, or none'),
            got=str(error)[:80],
        ) from error
    return Table(name, cells, lines)


def _in(file: str, line: int, column: str = "") -> str:
    if column:
        return _(
            "{file}, line {line}, column {column}", file=file, line=line, column=column
        )
    return _("{file}, line {line}", file=file, line=line)


@contextmanager
def _blamed(file: str, line: int, column: str) -> Iterator[None]:
    """Convert errors in a block to a DataError at a CSV file's line and column."""
    try:
        yield
    except ChainruleError as error:
        raise DataError(
            _("{place}: {what}", place=_in(file, line, column), what=error.what),
            expected=error.expected,
            got=error.got,
            fix=error.fix,
        ) from error


def _refuse_head(name: str, head: list[str]) -> None:
    if sorted(head) in (sorted(COLUMNS), sorted(("quantity", "value"))):
        return
    line = ",".join(head)
    other = any(mark in line for mark in ";\t")
    raise DataError(
        _("{name} has other columns.", name=name),
        expected=_("quantity,value; {COLUMNS}", COLUMNS=",".join(COLUMNS)),
        got=line[:80] or _("an empty line"),
        fix=_("put commas between the cells")
        if other
        else _("write the names of the columns into the first line"),
    )


def _row(file: str, line: int, head: list[str], row: list[str]) -> dict[str, str]:
    if len(row) != len(head):
        raise DataError(
            _("{where}: another number of cells.", where=_in(file, line)),
            expected=", ".join(head),
            got=", ".join(row)[:80],
            fix=_("a decimal point is a point, 0.5; commas stand between cells")
            if len(row) > len(head)
            else None,
        )
    return dict(zip(head, (cell.strip() for cell in row), strict=True))


def _at(file: str, line: int, item: Mapping[str, str]) -> tuple[int, int]:
    """Return the row and column of an answer in a CSV file, from 1; blank means 1."""
    numbers: list[int] = []
    for key in ("row", "column"):
        text = item[key] or "1"
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 1000):
            raise DataError(
                _(
                    "{where}: rows and columns are counted from 1.",
                    where=_in(file, line, key),
                ),
                expected="1, 2, …, 1000",
                got=repr(text[:20]),
            )
        numbers.append(int(text[:6]))
    return numbers[0], numbers[1]


def _shaped(network: Network, key: str, name: str, cells: Mapping[Place, str]) -> Any:
    """Return a CSV answer's cells as a complete number, vector or matrix."""
    if 0 not in cells:
        return _matrix(name, {p: v for p, v in cells.items() if isinstance(p, tuple)})
    values = list(cells.values())
    kind, k = split(key)
    if kind.endswith("W"):  # flat, as they are written down
        high, wide = network.sizes[k], network.sizes[k - 1]
        if len(values) == high * wide:
            return [values[i * wide : (i + 1) * wide] for i in range(high)]
    return values[0] if len(values) == 1 else values


def _matrix(name: str, cells: Mapping[tuple[int, int], str]) -> list[list[str]]:
    high, wide = (max(place[i] for place in cells) for i in (0, 1))
    places = [[(i, j) for j in range(1, wide + 1)] for i in range(1, high + 1)]
    missing = next((p for row in places for p in row if p not in cells), None)
    if missing:
        where = _("row {row}, column {column}", row=missing[0], column=missing[1])
        raise DataError(
            _("{name} is not complete.", name=name),
            expected=ngettext("{n} number", "{n} numbers", n=high * wide),
            got=_("no {missing}", missing=where),
        )
    return [[cells[place] for place in row] for row in places]
