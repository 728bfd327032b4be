"""The readers of tables: a file as a data set, and further tables in its format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from chainrule.data.column import Column
from chainrule.data.dataset import Dataset
from chainrule.data.features import Features
from chainrule.data.tables.columns import Number
from chainrule.data.tables.file import File, source_of
from chainrule.data.tables.options import ColumnType, Missing, Task, Unknown
from chainrule.data.tables.schema import Schema
from chainrule.data.tables.table_reader import TableReader
from chainrule.errors import DataError
from chainrule.text import _
from chainrule.util.keywords import strict


@strict
def read_csv(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    target: str | Sequence[str],
    features: Sequence[str] | None = None,
    dtype: Mapping[str, ColumnType] | None = None,
    task: Task | None = None,
    classes: Sequence[str] | None = None,
    missing: Missing = "fill",
    missing_values: Iterable[str] = (),
    unknown: Unknown = "other",
    decimal: Literal[".", ","] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool = True,
    name: str | None = None,
) -> Dataset:
    """Read a table in text form, one row per sample. Needs the extra ``data`` (pandas).

    The types of the columns are inferred from all rows: numbers (with decimal commas,
    thousands, currencies and percent too), dates, and texts, which are categories.
    Columns that tell nothing (row numbers, ids, one value in all rows) are left out;
    ``report`` of the data set lists all changes. Where the cells are ambiguous, an
    error asks, and names the argument that answers.

    Args:
        path: the file, which may be compressed (gzip, bzip2, xz, zip).
        target: the column to predict, or a list of several columns of numbers.
        features: the columns to predict it from; None: all that tell something.
        dtype: the types of columns, instead of inferred ones: ``{"zip": "category"}``.
            One of ``"number"`` (texts in it are missing values), ``"category"``,
            ``"date"``, ``"dmy"`` and ``"mdy"`` (dates with the day first, or the
            month) and ``"id"``, which is left out.
        task: ``"classification"`` or ``"regression"``; None: text names classes,
            numbers are quantities.
        classes: the names of the classes, in the order of the labels; None: those that
            come up, sorted.
        missing: the policy for missing features. ``"fill"``: the mean of the column,
            and a feature of 0 and 1 that indicates it; a category among texts.
            ``"drop"``: the row is left out. ``"error"``. A row without a target is
            always left out, and counted.
        missing_values: texts that stand for a missing value, besides the empty cell,
            NA, NaN, null, ``?`` and others.
        unknown: the policy for texts that are rare or missing in this table.
            ``"other"``: one category for all of them. ``"error"``.
        decimal: the decimal mark of ambiguous numbers; None: asked for.
        delimiter: the character between cells; None: detected.
        encoding: such as ``"cp950"``; None: detected.
        header: whether the first line names the columns. Else they are called
            ``column 1`` and so on.
        name: the name of the data set; None: the name of the file.

    Shapes:
        x: (n, features), float32; ``feature_names`` says which. float64 where a column
            has whole numbers beyond 2²⁴, which float32 would round.
        y: (n, targets), float32, for a regression, as a ``Linear(…, targets)`` predicts
            it; (n,) int32 for a classification.

    Raises:
        DataError: a file that is missing or no table; a missing column; a question,
            with the setting that answers it.
        NonFiniteError: infinity, or a number beyond float32.
        ArgumentError: an invalid argument, or pandas is not installed.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("flats.csv").write_text(
        ...     "area,city,price\\n52,Tainan,8.5\\n40,Taipei,21\\n75,,12\\n")
        >>> data = read_csv("flats.csv", target="price")
        >>> data.feature_names
        ('area', 'city=Tainan', 'city=Taipei', 'city=(missing)')
        >>> data.x[0], data.y[0]
        (array([52.,  1.,  0.,  0.], dtype=float32), array([8.5], dtype=float32))
        >>> data.report.notes()
        ['1 missing cell is filled: city 1']
    """
    reader = TableReader.inferred(
        File.of(path, delimiter, encoding, header),
        target=target,
        features=features,
        dtype=dtype,
        task=task,
        classes=classes,
        missing=missing,
        missing_values=missing_values,
        unknown=unknown,
        decimal=decimal,
    )
    return Dataset._of_table(reader, name)


# -- further tables ----------------------------------------------------------------


def read_again(table: Any, format: dict[str, Any]) -> Dataset:
    """Read a further table with its target, in an earlier data set's format."""
    return Dataset._of_table(reading_of(table, format, target=True))


def features_again(table: Any, format: dict[str, Any]) -> Features:
    """Read the features of a further table, in an earlier data set's format."""
    reader = reading_of(table, format)
    rows, word = reader.all(), reader.source.word
    names = tuple(f"{word} {line}" for line in rows.lines.tolist())
    return Features(Column(rows.x), names)


def reading_of(
    table: Any, format: dict[str, Any], *, target: bool = False
) -> TableReader:
    """Return the reader of a further table in an earlier data set's format."""
    if set(format) == {"kind"} and not target:  # nothing known: columns are numbers
        source = source_of(table)
        columns = tuple(Number(name) for name in source.columns)
        schema = Schema((), (), columns, missing="error")
    else:
        schema = Schema.restored(format)
        source = source_of(table, **schema.file)
    return TableReader(source, schema, target=target)


def rows_of(
    table: Any, format: dict[str, Any], lines: Sequence[int]
) -> list[dict[str, str]]:
    """Return the cells of a table's rows as they are written in the file, by line.

    Args:
        table: the file, or the data frame.
        format: of the data set that was read from it.
        lines: ``lines`` of the data set's rows.

    Returns:
        For each line the texts of its cells, by the names of their columns.

    Raises:
        DataError: a line where no row begins.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("two.csv").write_text("a,y\\n1,2\\n3,4\\n")
        >>> data = read_csv("two.csv", target="y")
        >>> rows_of("two.csv", data.format, data.lines[1:])
        [{'a': '3', 'y': '4'}]
    """
    source = source_of(table, **Schema.restored(format).file)
    wanted = {int(line) for line in lines}
    texts = source.texts(wanted)
    if strange := wanted.difference(texts):
        raise DataError(
            _(
                "'{name}' has no row on {word} {strange}.",
                name=source.name,
                word=source.word,
                strange=min(strange),
            ),
            expected=_("lines of a data set that was read from it"),
            got=f"{min(strange)}",
            fix=_("has the file changed since then?"),
        )
    return [dict(zip(source.columns, texts[int(line)])) for line in lines]
