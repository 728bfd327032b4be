"""Tables as data sets: read, learned, and read again in the same way."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.column import Column
from chainrule.data.files import Features, check_memory
from chainrule.data.tables.cells import Cells, Nothing
from chainrule.data.tables.columns import (
    Category,
    Classes,
    Date,
    Feature,
    Number,
    Target,
    Written,
)
from chainrule.data.tables.options import Options, check_header
from chainrule.data.tables.source import Chunk, File, Frame, Source, is_frame
from chainrule.data.tables.study import Study
from chainrule.errors import ArgumentError, DataError, NonFiniteError

if TYPE_CHECKING:
    from chainrule.data.dataset import Dataset

#: Lines that a note or an error names.
NAMED = 5


@dataclass(frozen=True)
class Layout:
    """All that is needed to read another table in the same way; it goes into JSON.

    Attributes:
        target: the name of the column to predict, or of several.
        targets: how these columns are read; none for a table without a target.
        columns: how the columns of the features are read.
        missing: ``"fill"``, ``"drop"`` or ``"error"``.
        missing_values: further texts that stand for nothing.
        unknown: ``"other"`` or ``"error"``.
        delimiter: of files, or None for what each of them shows.
        encoding: likewise.
        header: whether files name their columns.
    """

    target: str | tuple[str, ...]
    targets: tuple[Target, ...]
    columns: tuple[Feature, ...]
    missing: str = "fill"
    missing_values: tuple[str, ...] = ()
    unknown: str = "other"
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True

    @classmethod
    def learned(cls, study: Study, **file: Any) -> Layout:
        """From all rows of a table.

        Raises:
            DataError: a question that the caller has to answer; nothing to learn from.
        """
        options = study.options
        targets = study.targets()
        columns = study.features(options.target)
        if study.questions:
            raise study.questions[0].error(study.source.name)
        one = options.target[0] if len(options.target) == 1 else options.target
        return cls(
            one,
            targets,
            columns,
            options.missing,
            options.missing_values,
            options.unknown,
            **file,
        )

    @classmethod
    def restored(cls, format: dict[str, Any]) -> Layout:
        """From the format of a data set.

        Raises:
            ArgumentError: it is none.
        """
        from pydantic import ConfigDict, TypeAdapter, ValidationError

        config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
        for kind in (cls, Number, Category, Date, Classes):
            kind.__pydantic_config__ = config  # type: ignore[attr-defined]
        given = {key: value for key, value in format.items() if key != "kind"}
        try:
            return TypeAdapter(cls).validate_json(json.dumps(given))
        except (ValidationError, TypeError, ValueError, RecursionError) as error:
            raise ArgumentError(
                "The format is none that a reader of tables made.",
                expected="the format of a data set from read_csv or from_frame",
                got=shortened(" ".join(str(error).split()), 200),
                fix="data.read(path, format=train.format)",
            ) from error

    def format(self) -> dict[str, Any]:
        """It as the format of a data set."""
        return {"kind": "csv", **json.loads(json.dumps(dataclasses.asdict(self)))}

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, or None."""
        first = next(iter(self.targets), None)
        return first.classes if isinstance(first, Classes) else None

    def feature_names(self) -> list[str]:
        """The names of the features, all different."""
        made: dict[str, None] = {}
        for column in self.columns:
            for name in column.names():
                free, number = name, 2
                while free in made:
                    free, number = f"{name} {number}", number + 1
                made[free] = None
        return list(made)


# -- what was done -----------------------------------------------------------------


@dataclass
class TableReport:
    """What was done to a table while it was read.

    Attributes:
        rows: how many it has.
        left_out: columns that are no features, and why.
        filled: by column, how many missing cells were filled.
        unknown: by column, texts that were not there when the format was made, and how
            often they come up.
        without_target: how many rows were left out because their target is missing.
        dropped: how many were left out because a feature is missing.
        lines: the lines of all of these rows.
        seen: other things that were seen in the file, one sentence each.
    """

    rows: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, dict[str, int]] = field(default_factory=dict)
    without_target: int = 0
    dropped: int = 0
    lines: list[int] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """One sentence each.

        >>> TableReport(rows=9, left_out={"id": "it counts the rows"}).notes()
        ["column 'id' is left out: it counts the rows"]
        """
        notes = list(self.seen)
        notes += [
            f"column '{shortened(name)}' is left out: {reason}"
            for name, reason in self.left_out.items()
        ]
        if self.filled:
            total = sum(self.filled.values())
            notes.append(f"{total:,} missing cells are filled: {_listed(self.filled)}")
        for name, texts in self.unknown.items():
            notes.append(
                f"column '{shortened(name)}': {sum(texts.values()):,} cells are texts "
                f"that were not there in training, or rarely: {_listed(texts)}"
            )
        for count, why in (
            (self.without_target, "whose target is missing"),
            (self.dropped, "with missing cells"),
        ):
            if count:
                notes.append(f"{count:,} of {self.rows:,} rows left out, {why}")
        return notes


def _listed(counts: dict[str, int]) -> str:
    """``red 3, blue 1 …``."""
    most = sorted(counts, key=lambda name: -counts[name])
    shown = ", ".join(
        f"{shortened(name, 30)} {counts[name]:,}" for name in most[:NAMED]
    )
    return shown + (" …" if len(most) > NAMED else "")


# -- rows --------------------------------------------------------------------------


class Rows(NamedTuple):
    """Some rows as arrays.

    Attributes:
        x: features, float32 of shape (n, features).
        y: targets: float32 of shape (n, targets), int32 labels of shape (n,), or
            nothing to be used.
        lines: where the rows begin in their file.
        records: what is written there; empty for a frame.
    """

    x: np.ndarray
    y: np.ndarray
    lines: np.ndarray
    records: list[str]


class Reading:
    """One pass over a table in a known layout.

    Args:
        source: the table.
        layout: how its columns are read.
        target: whether its targets are read too.

    Attributes:
        report: what was done so far.
    """

    def __init__(self, source: Source, layout: Layout, *, target: bool = True) -> None:
        self.source, self.layout = source, layout
        self.targets = layout.targets if target else ()
        source.require([column.name for column in layout.columns], "a feature")
        source.require([column.name for column in self.targets], "the target")
        self.nothing = Nothing(layout.missing_values)
        self.report = TableReport(seen=list(source.notes))
        self._width = sum(len(column.names()) for column in layout.columns)

    def __iter__(self) -> Iterator[Rows]:
        names = [column.name for column in (*self.layout.columns, *self.targets)]
        numbers = {
            column.name
            for column in (*self.layout.columns, *self.targets)
            if isinstance(column, Number) and column.decimal == "."
        }
        unique = list(dict.fromkeys(names))
        for chunk in self.source.chunks(unique, numbers):
            yield self._rows(chunk)

    def all(self) -> Rows:
        """All rows.

        Raises:
            DataError: none are left, or they do not fit into memory.
        """
        x, count = np.empty((0, self._width), np.float32), 0
        ys, lines = [], []
        for part in self:
            end = count + len(part.x)
            if end > len(x):  # room that is not written to takes no memory
                check_memory(
                    self.source.name,
                    4 * end * self._width,
                    "take fewer columns, or stream it: cr.data.Stream.from_csv",
                )
                x.resize((end + end // 2, self._width), refcheck=False)
            x[count:end], count = part.x, end
            ys.append(part.y)
            lines.append(part.lines)
        if not count:
            raise DataError(
                f"'{self.source.name}' has no row that can be used.",
                expected="at least one row with a target",
                got="; ".join(self.report.notes()[-2:]) or "no rows",
                fix="missing='fill' keeps rows whose features are missing",
            )
        x.resize((count, self._width), refcheck=False)
        return Rows(x, np.concatenate(ys), np.concatenate(lines), [])

    def _rows(self, chunk: Chunk) -> Rows:
        n, lines, cells, records = chunk
        self.report.rows += n
        x, at = np.empty((n, self._width), np.float32), 0
        keep = np.ones(n, bool)
        y = self._targets(n, lines, cells, keep)
        self.report.without_target += n - int(keep.sum())
        drop = np.zeros(n, bool)
        for column in self.layout.columns:
            width = len(column.names())
            out = x[:, at : at + width]
            met = column.write(cells[column.name], out, self.nothing)
            self._meet(column, met, lines, drop)
            at += width
        self.report.dropped += int((drop & keep).sum())
        keep &= ~drop
        if not keep.all():
            self.report.lines += lines[~keep].tolist()
            kept = list(itertools.compress(records, keep.tolist()))
            return Rows(x[keep], y[keep], lines[keep], kept)
        return Rows(x, y, lines, records)

    def _targets(
        self, n: int, lines: np.ndarray, cells: dict[str, Cells], keep: np.ndarray
    ) -> np.ndarray:
        made = []
        for column in self.targets:
            own = cells[column.name]
            values, _, met = column.read(own, self.nothing)
            if met.wrong is not None:
                raise self._refused(column.name, met, lines)
            if met.missing is not None:
                keep &= ~met.missing
            made.append(own.spread(values))
        if not made:
            return np.zeros(n, np.int32)
        return made[0] if self.layout.class_names else np.stack(made, axis=1)

    def _meet(
        self, column: Feature, met: Written, lines: np.ndarray, drop: np.ndarray
    ) -> None:
        """Count what is missing and unknown, or refuse it."""
        name, report, layout = column.name, self.report, self.layout
        if met.wrong is not None:
            raise self._refused(name, met, lines)
        if met.missing is not None:
            if layout.missing == "error":
                raise DataError(
                    f"A value is missing in '{self.source.name}': "
                    f"{self._place(lines, int(met.missing.argmax()), name)}.",
                    expected="a value in each cell, as missing='error' asks for",
                    got="an empty cell",
                    fix="fill it in, or missing='fill'",
                )
            if layout.missing == "drop":
                drop |= met.missing
            else:
                count = int(met.missing.sum())
                report.filled[name] = report.filled.get(name, 0) + count
        if met.unknown and layout.unknown == "error":
            text = next(iter(met.unknown))
            raise DataError(
                f"Column '{shortened(name)}' of '{self.source.name}' has a text that "
                "was not there in training.",
                expected=shortened(f"one of {', '.join(column.categories)}", 200)
                if isinstance(column, Category)
                else "",
                got=repr(shortened(text)),
                fix="correct it, or train with unknown='other'",
            )
        if met.unknown:
            known = report.unknown.setdefault(name, {})
            for text, count in met.unknown.items():
                if text in known or len(known) < 1000:
                    known[text] = known.get(text, 0) + count

    def _refused(self, name: str, met: Written, lines: np.ndarray) -> Exception:
        assert met.wrong is not None
        kind = NonFiniteError if met.infinite else DataError
        return kind(
            f"A cell of '{self.source.name}' cannot be used: "
            f"{self._place(lines, met.wrong, name)}.",
            expected=met.expected,
            got=repr(shortened(met.text)),
            fix="correct it; missing_values=['…'] takes a text for a missing value",
        )

    def _place(self, lines: np.ndarray, row: int, name: str) -> str:
        return self.source.place(int(lines[row]), name)


# -- the functions that the package shows ------------------------------------------


def read_csv(
    path: Any,
    *,
    target: Any,
    features: Any = None,
    dtype: Any = None,
    task: Any = None,
    classes: Any = None,
    missing: Any = "fill",
    missing_values: Any = (),
    unknown: Any = "other",
    decimal: Any = None,
    delimiter: Any = None,
    encoding: Any = None,
    header: Any = True,
    name: str | None = None,
) -> Dataset:
    """A table in text form, one row a sample. Needs the extra ``data`` (pandas).

    What its columns hold is seen from all rows: numbers (with decimal commas, thousands,
    currencies and percent too), dates, and texts, which are categories. Columns that
    tell nothing (row numbers, ids, one value in all rows) are left out; what was done
    is in ``report`` of the data set. What the cells do not tell is asked by an error
    that names the argument which answers it.

    Args:
        path: the file, which may be compressed (gzip, bzip2, xz, zip).
        target: the column to predict, or a list of several columns of numbers.
        features: the columns to predict it from; None: all that tell something.
        dtype: what columns are, where that is not seen: ``{"zip": "category"}``. One of
            ``"number"`` (texts in it are missing values), ``"category"``, ``"date"``,
            ``"dmy"`` and ``"mdy"`` (dates with the day first, or the month) and
            ``"id"``, which is left out.
        task: ``"classification"`` or ``"regression"``; None: text names classes,
            numbers are quantities.
        classes: the names of the classes, in the order of the labels; None: those that
            come up, sorted.
        missing: what becomes of a missing feature. ``"fill"``: the mean of the column,
            and a feature of 0 and 1 that says where; among texts a category of its own.
            ``"drop"``: its row is left out. ``"error"``. A row without a target is
            always left out, and counted.
        missing_values: texts that stand for a missing value, besides the empty cell,
            NA, NaN, null, ``?`` and others.
        unknown: what becomes of a text that was not there, or rarely, when the table
            was learned. ``"other"``: a category for all of them. ``"error"``.
        decimal: the decimal mark where cells do not tell; None: asked then.
        delimiter: what stands between cells; None: seen.
        encoding: such as ``"cp950"``; None: seen.
        header: whether the first line names the columns. Else they are called
            ``column 1`` and so on.
        name: of the data set; None: the name of the file.

    Shapes:
        x: (n, features), float32; ``feature_names`` says which.
        y: (n, targets), float32, for a regression, as a ``Linear(…, targets)`` predicts
            it; (n,) int32 for a classification.

    Raises:
        DataError: a file that is missing or no table; a column that is not there; a
            question, with the setting that answers it.
        NonFiniteError: infinity, or a number that float32 cannot hold.
        ArgumentError: an argument that is no choice, or pandas is not installed.

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
        ['1 missing cells are filled: city 1']
    """
    source = File.of(path, delimiter, encoding, check_header(header))
    options = Options.of(
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
    study = studied(source, options)
    layout = Layout.learned(
        study, delimiter=delimiter, encoding=encoding, header=header
    )
    return _dataset(source, layout, name, study)


def from_frame(frame: Any, *, name: str, **options: Any) -> Dataset:
    """See ``Dataset.from_frame``."""
    source = Frame.of(frame, name)
    study = studied(source, Options.of(**options))
    return _dataset(source, Layout.learned(study), name, study)


def studied(source: Source, options: Options) -> Study:
    """What is known of a table that has a target."""
    if not options.target:
        raise ArgumentError(
            "No column is named as the target.",
            expected="the column to predict, or several of numbers",
            got="target=None",
            fix="target='price'; for features alone: "
            "data.read(path, format=…, target=False)",
        )
    return Study.of(source, options)


def _dataset(
    source: Source, layout: Layout, name: str | None, study: Study | None = None
) -> Dataset:
    from chainrule.data.dataset import Dataset

    reading = Reading(source, layout)
    rows = reading.all()
    made = Dataset(
        rows.x,
        rows.y,
        name=name or source.name,
        class_names=layout.class_names,
        feature_names=layout.feature_names(),
        format=layout.format(),
    )
    if study is not None:
        reading.report.left_out = study.left_out
        reading.report.seen = study.notes
    made.lines, made.report = rows.lines, reading.report
    return made


# -- again -------------------------------------------------------------------------


def source_of(table: Any, layout: Layout) -> Source:
    """A file, or a frame, that is to be read in a layout."""
    if is_frame(table):
        return Frame.of(table, "frame")
    return File.of(table, layout.delimiter, layout.encoding, layout.header)


def read_again(table: Any, format: dict[str, Any]) -> Dataset:
    """Another table with its target, in the format of one that was read before."""
    layout = Layout.restored(format)
    return _dataset(source_of(table, layout), layout, None)


def features_again(table: Any, format: dict[str, Any]) -> Features:
    """The features of another table alone."""
    reading = reading_of(table, format)
    rows = reading.all()
    word = reading.source.word
    names = tuple(f"{word} {line}" for line in rows.lines.tolist())
    return Features(Column(rows.x), names)


def reading_of(table: Any, format: dict[str, Any]) -> Reading:
    """A pass over the features of another table."""
    if set(format) == {"kind"}:  # nothing is known: all columns are numbers
        source = Frame.of(table, "frame") if is_frame(table) else File.of(table)
        columns = tuple(Number(name) for name in source.columns)
        layout = Layout((), (), columns, missing="error")
    else:
        layout = Layout.restored(format)
        source = source_of(table, layout)
    return Reading(source, layout, target=False)


def rows_of(
    table: Any, format: dict[str, Any], lines: Sequence[int]
) -> list[dict[str, str]]:
    """The cells of some rows as they stand in their file.

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
    source = source_of(table, Layout.restored(format))
    wanted = {int(line) for line in lines}
    found: dict[int, dict[str, str]] = {}
    for chunk in source.chunks(source.columns):
        for row in np.flatnonzero(np.isin(chunk.lines, list(wanted))).tolist():
            found[int(chunk.lines[row])] = {
                name: cells.text(row) for name, cells in chunk.cells.items()
            }
    if strange := wanted.difference(found):
        raise DataError(
            f"'{source.name}' has no row on {source.word} {min(strange)}.",
            expected="lines of a data set that was read from it",
            got=f"{min(strange)}",
            fix="has the file changed since then?",
        )
    return [found[int(line)] for line in lines]
