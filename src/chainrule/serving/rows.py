"""Rows in JSON or CSV as the arrays that a program takes, and its outputs as rows."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.compilation.portable.loaded import LoadedProgram
from chainrule.data.checks import shortened
from chainrule.data.tables.cells import Cells, MissingValues, dated, given_number
from chainrule.data.tables.columns import (
    Category,
    Date,
    Feature,
    InvalidCellError,
    Number,
)
from chainrule.data.tables.schema import Schema
from chainrule.data.tables.texts import Texts
from chainrule.errors import ChainruleError, DataError
from chainrule.graph.node import Array
from chainrule.graph.types import DType, SymbolicDim, has_floats
from chainrule.text import _, ngettext

#: Separators that a CSV text may have.
SEPARATORS = ",;\t|"


class RowError(DataError):
    """Error for a row of a request that does not fit.

    Attributes:
        row: its number, from 0; None for all of them.
        column: the column; None for the whole row.
        malformed: whether the text is no JSON or CSV at all.
    """

    row: int | None = None
    column: str | None = None
    malformed: bool = False

    @classmethod
    def at(
        cls,
        what: str,
        expected: str,
        got: str,
        *,
        row: int | None = None,
        column: str | None = None,
        malformed: bool = False,
    ) -> RowError:
        """Return the error for a place in a request."""
        error = cls(what, expected=expected, got=got)
        error.row, error.column, error.malformed = row, column, malformed
        return error


@dataclass(frozen=True)
class Rows:
    """Rows of a request.

    Attributes:
        arrays: what the program takes, in the order of its inputs.
        count: the number of rows.
        form: ``"row"`` for one object, ``"columns"`` for lists by column, ``"rows"``
            for a list of objects, ``"csv"``.
        warnings: by the number of a row, what is odd about its cells.
    """

    arrays: list[Array]
    count: int
    form: str
    warnings: Mapping[int, list[str]] = field(default_factory=dict[int, list[str]])


class Reader:
    """A reader of rows: those of arrays, as a program without a table takes them.

    Attributes:
        program: what they are for.
        names: the keys of a row, each with the number of its axes.
        by_row: whether arrays have a row for each sample; else they come as they are.
        optional: keys that predictions do not read: the target.
    """

    optional: Sequence[str] = ("y",)

    def __init__(self, program: LoadedProgram) -> None:
        self.program = program
        self.by_row = batched(program)
        self.names = {n: len(t.shape) - 1 for n, t in program.inputs.items()}

    def from_json(self, body: bytes) -> Rows:
        """Read one row, rows by column, or a list of rows.

        Raises:
            RowError: no JSON, or rows that do not fit.
        """
        from pydantic_core import from_json

        content: Any
        try:
            content = from_json(body)
        except ValueError as error:
            raise RowError.at(
                _("The request is no JSON."),
                _("an object with a value for each of {names}", names=self._listed()),
                str(error)[:120],
                malformed=True,
            ) from error
        objects = content if isinstance(content, list) else [content]
        keys = sum(len(item) for item in objects if isinstance(item, dict))
        if body.count(b":") > keys:  # in texts, or of keys that are there twice
            json.loads(body, object_pairs_hook=_unique)
        if isinstance(content, list) and self.by_row:
            rows: list[dict[str, Any]] = content
            for i, row in enumerate(rows):
                self._require_keys(row, i)
            columns = {n: [row[n] for row in rows] for n in self.names}
            return self._rows(columns, len(rows), "rows")
        self._require_keys(content, None)
        single: Any = content
        given = {n: single[n] for n in self.names}
        if not self.by_row:
            return self._rows(given, 1, "columns")
        form = "row" if self._is_row(given) else "columns"
        if form == "row":
            return self._rows({n: [v] for n, v in given.items()}, 1, form)
        counts = {n: len(v) if isinstance(v, list) else None for n, v in given.items()}
        (first, count), *rest = counts.items()
        for name, other in rest:
            if other != count:
                raise RowError.at(
                    _("The columns have different numbers of rows."),
                    _("one value in each, or lists of one length"),
                    f"{first}: {_count(count)}, {name}: {_count(other)}",
                    column=name,
                )
        return self._rows(given, 1 if count is None else count, form)

    def _is_row(self, given: Mapping[str, Any]) -> bool:
        """Return whether an object is one row: values with the axes of a row."""
        return all(_depth(given[n], d + 1) == d for n, d in self.names.items())

    def _listed(self) -> str:
        return ", ".join(self.names)

    def _require_keys(self, row: Any, number: int | None) -> None:
        if not isinstance(row, dict):
            raise RowError.at(
                _("A row is an object with a value for each column."),
                _("the keys {names}", names=self._listed()),
                f"{type(row).__name__}: {row!r:.40}",
                row=number,
            )
        if row.keys() == self.names.keys():
            return
        missing = [n for n in self.names if n not in row]
        unknown = [n for n in row if n not in self.names and n not in self.optional]
        if missing or unknown:
            word = _("without {name!r}", name=missing[0]) if missing else ""
            if unknown:
                word = _("with {name!r:.40}, which is not one of them", name=unknown[0])
            raise RowError.at(
                _("A row has other columns than the data of the run."),
                self._listed(),
                word,
                row=number,
                column=(unknown or missing)[0],
            )

    def from_csv(self, body: bytes) -> Rows:
        """Read a table in CSV, whose first line has the names of the columns.

        Raises:
            RowError: no CSV, or rows that do not fit.
        """
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _no_csv(str(error)[:120]) from error
        lines = io.StringIO(text, newline="").readlines()
        try:
            names, separator, first = self._head(lines)
            reader = csv.reader(lines[first:], delimiter=separator, strict=True)
            records = [record for record in reader if record]
        except csv.Error as error:
            raise _no_csv(str(error)) from error
        for i, record in enumerate(records):
            if len(record) != len(names):
                raise RowError.at(
                    _("A line has another number of cells than the first one."),
                    ngettext("{n} cell", "{n} cells", n=len(names)),
                    ngettext("{n} cell", "{n} cells", n=len(record)),
                    row=i,
                    malformed=True,
                )
        return self._of_cells(names, records)

    def _head(self, lines: list[str]) -> tuple[list[str], str, int]:
        """Return names of columns, what separates them, and the number of first lines.

        A first line of numbers is a row.
        """
        for separator in SEPARATORS:
            cells = next(csv.reader(lines[:1], delimiter=separator), [])
            if self._names_fit(cells):
                return cells, separator, int(any(map(_is_word, cells)))
        got = lines[0].strip() if lines else _("nothing")
        raise RowError.at(
            _("The first line does not name the columns."),
            self._listed(),
            f"{got:.80}",
            malformed=True,
        )

    def _names_fit(self, cells: list[str]) -> bool:
        width = self._width()
        return bool(cells) and (width is None or len(cells) == width)

    def _width(self) -> int | None:
        """Return the number of cells of a row of the program's only input."""
        types = [*self.program.inputs.values()]
        if len(types) > 1 or not self.by_row:
            raise _no_csv(_("a program of other inputs: use JSON"))
        return math.prod(d for d in types[0].shape[1:] if isinstance(d, int))

    def _of_cells(self, names: list[str], records: list[list[str]]) -> Rows:
        (name,) = self.names
        shape = [d for d in self.program.inputs[name].shape[1:] if isinstance(d, int)]
        try:
            numbers = np.array(records, np.float64)
        except ValueError as error:
            raise RowError.at(
                _("A cell is no number."), _("numbers"), str(error)[:80]
            ) from error
        rows = numbers.reshape(len(records), *shape)
        with np.errstate(invalid="ignore"):
            whole = rows.astype(np.int64)
        if np.array_equal(rows, whole):
            rows = whole
        return self._rows({name: rows}, len(records), "csv")

    def _rows(self, columns: Mapping[str, Any], count: int, form: str) -> Rows:
        """Return rows as arrays, checked as far as they are so without a run."""
        if not count:
            raise RowError.at(_("There are no rows."), _("at least one"), _("none"))
        warnings: dict[int, list[str]] = {}
        arrays = [self._array(n, v, warnings) for n, v in columns.items()]
        return Rows(arrays, count, form, warnings)

    def _array(self, name: str, value: Any, warnings: dict[int, list[str]]) -> Array:
        type = self.program.inputs[name]
        wanted = [d if isinstance(d, int) else None for d in type.shape]
        try:
            array = np.asarray(value)
        except ValueError:
            array = np.asarray(None)
        fits = array.dtype.kind in "biuf" and array.ndim == len(type.shape)
        fits = fits and all(w in (None, d) for w, d in zip(wanted, array.shape))
        fits = fits and (array.dtype.kind == "b") <= (type.dtype is DType.bool)
        if fits:
            try:
                array = self.program.converted(name, array)
            except ChainruleError as error:
                got = error.got or ""
            else:
                if not has_floats(array) or np.isfinite(array).all():
                    return array
                got = _("NaN or infinity")
        else:
            got = _("{dtype} of shape {shape}", dtype=array.dtype, shape=array.shape)
        raise RowError.at(
            _("{name!r} has values of another kind.", name=name),
            f"{type}",
            got,
            column=name,
        )


class TableReader(Reader):
    """A reader of a table's rows: its columns as the run's own data had them."""

    def __init__(self, program: LoadedProgram, format: dict[str, Any]) -> None:
        super().__init__(program)
        self.schema = Schema.restored(format)
        self.columns = {c.name: c for c in self.schema.columns}
        self.names = dict.fromkeys(self.columns, 0)
        self.optional = [target.name for target in self.schema.targets]
        self.marks = MissingValues(self.schema.missing_values)

    def _names_fit(self, cells: list[str]) -> bool:
        return self.names.keys() <= {cell.strip() for cell in cells}

    def _head(self, lines: list[str]) -> tuple[list[str], str, int]:
        if self.schema.header or not lines:
            names, separator, __ = super()._head(lines)
            return names, separator, 1
        separator = self.schema.delimiter or ","
        cells = next(csv.reader(lines[:1], delimiter=separator), [])
        return [f"column {i + 1}" for i in range(len(cells))], separator, 0

    def _of_cells(self, names: list[str], records: list[list[str]]) -> Rows:
        places = {name.strip(): i for i, name in enumerate(names)}
        if len(places) < len(names):
            raise _no_csv(_("two columns of one name"))
        columns = {n: [r[places[n]] for r in records] for n in self.names}
        return self._rows(columns, len(records), "csv")

    def _array(self, name: str, value: Any, warnings: dict[int, list[str]]) -> Array:
        column = self.columns[name]
        cells = cells_of(name, value, truths=isinstance(column, Category))
        try:
            return self._encoded(column, cells, warnings)
        except InvalidCellError as error:
            raise RowError.at(
                _("A cell of the column {name!r} does not fit.", name=name),
                error.expected,
                repr(error.text)[:80],
                row=error.row,
                column=name,
            ) from error

    def _encoded(
        self, column: Feature | Texts, cells: Cells, warnings: dict[int, list[str]]
    ) -> Array:
        """Return a column's cells as its input takes them; warn of unknown texts."""
        if isinstance(column, Number):
            values = cells.numbers(column.decimal)
            missing = cells.missing(self.marks, values)
            invalid = np.isnan(values) & ~missing
            if invalid.any() and not column.loose:
                expected = _("a number, such as 1{decimal}5", decimal=column.decimal)
                raise InvalidCellError(cells, invalid, expected)
            self._require(column, cells, missing)
            values = np.where(missing | invalid, np.nan, values)
            with np.errstate(over="ignore"):
                narrow = values.astype(np.float32)
            if (infinite := np.isinf(narrow)).any():
                expected = _("a number that fits float32, up to 3.4e+38")
                raise InvalidCellError(cells, infinite, expected)
            return values.astype(self.schema.dtype)[cells.codes]
        if isinstance(column, Category):
            missing = cells.missing(self.marks)
            self._require(column, cells, missing)
            codes, other = self.program.codes[column.name]
            found = np.array([codes.get(t, other) for t in cells.texts], np.int64)
            if (strange := (found == -2) & ~missing).any():
                expected = _("one of {texts}", texts=", ".join(column.categories)[:200])
                raise InvalidCellError(cells, strange, expected)
            for row in np.flatnonzero((found == other) & ~missing).tolist():
                text = cells.texts[row]  # each row has a cell of its own
                if text not in codes:
                    warnings.setdefault(row, []).append(unknown(column.name, text))
            return found[cells.codes]
        if isinstance(column, Date):
            dates = dated(cells.texts, column.format).astype("datetime64[ms]")
            missing = cells.among(self.marks.in_numbers)
            if (invalid := np.isnat(dates) & ~missing).any():
                expected = _("a date as {format}", format=column.format)
                raise InvalidCellError(cells, invalid, expected)
            self._require(column, cells, missing)
            dates[missing] = "NaT"
            return dates.astype(np.int64)[cells.codes]
        return column.encode(cells, self.marks).values[cells.codes]

    def _require(self, column: Feature, cells: Cells, missing: Array) -> None:
        """Refuse a missing cell where the run leaves such rows out."""
        if self.schema.missing != "fill" and missing.any():
            expected = _("a value: the run was trained on rows without gaps")
            raise InvalidCellError(cells, missing, expected)


def cells_of(name: str, values: list[Any], *, truths: bool) -> Cells:
    """Return the cells of a column from values of JSON.

    Args:
        name: of the column.
        values: its cells.
        truths: whether these may be truth values.

    Raises:
        RowError: a value that no cell may have.
    """
    kinds = {*map(type, values)}
    if kinds <= {int, float, type(None)}:
        try:
            return Cells(np.arange(len(values)), values=np.array(values, np.float64))
        except OverflowError:
            kinds.add(object)
    texts: list[str] = []
    for i, value in enumerate(values):
        if value is None:
            texts.append("")
        elif type(value) is str:
            texts.append(value.strip())
        elif type(value) is bool and truths:
            texts.append(str(value))
        elif type(value) in (int, float) and object not in kinds:
            texts.extend(Cells(np.arange(1), values=np.array([value], float)).texts)
        else:
            raise RowError.at(
                _("A cell of the column {name!r} does not fit.", name=name),
                _("a number, a text, a truth value or null")
                if truths
                else _("a number, a text or null"),
                f"{type(value).__name__}: {value!r:.40}",
                row=i,
                column=name,
            )
    given = np.array([given_number(value) for value in values])
    return Cells(np.arange(len(texts)), texts, given=given)


def reader_of(program: LoadedProgram) -> Reader:
    """Return the reader of rows for a program: those of a table, or arrays."""
    format = program.metadata.get("format")
    if isinstance(format, dict) and format.get("kind") in ("csv", "text"):
        return TableReader(program, format)
    return Reader(program)


def batched(program: LoadedProgram) -> bool:
    """Return whether each input and output of a program has a row for each sample."""
    names = program.graph.size_names
    types = [*program.inputs.values(), *program.outputs.values()]
    rows = SymbolicDim(*names) if len(names) == 1 else None
    return rows is not None and all(
        t.shape[:1] == (rows,) and all(isinstance(d, int) for d in t.shape[1:])
        for t in types
    )


def unknown(column: str, text: str) -> str:
    """Return the warning of a text that counts as other ones do."""
    return str(
        _(
            "column '{name}': {text!r} was not there in training",
            name=shortened(column),
            text=shortened(text),
        )
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; refuse one with two values of a key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, __ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RowError.at(
            _("A row has two values of one column."),
            _("each key once"),
            f"{twice!r:.40}",
            column=twice,
            malformed=True,
        )
    return found


def _depth(value: Any, most: int) -> int:
    """Return how many lists are in each other, up to a number."""
    depth = 0
    while isinstance(value, list) and depth < most:
        value, depth = value[0] if value else None, depth + 1
    return depth


def _count(count: int | None) -> str:
    return _("one value") if count is None else str(count)


def _is_word(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return True
    return False


def _no_csv(got: str) -> RowError:
    return RowError.at(
        _("The request is no CSV that can be read."),
        _("a table in UTF-8, whose first line names its columns"),
        got,
        malformed=True,
    )
