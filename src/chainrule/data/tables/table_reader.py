"""Conversion of a table to arrays by its schema, with a report of changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.files import check_memory
from chainrule.data.tables.columns import (
    Category,
    Encoded,
    Feature,
    InvalidCellError,
    Number,
    Target,
)
from chainrule.data.tables.inference import UNNAMED, SchemaInference
from chainrule.data.tables.options import Options
from chainrule.data.tables.schema import Schema
from chainrule.data.tables.source import Chunk, Source
from chainrule.data.tables.texts import Texts
from chainrule.errors import DataError, NonFiniteError
from chainrule.text import _, ngettext

#: Bytes whose room is not asked about: that takes longer than to read a row.
SMALL = 1 << 20


@dataclass
class TableReport:
    """A report of what was changed in a table while it was read.

    Attributes:
        rows: the number of rows of the table.
        left_out: columns that are no features, with the reason.
        filled: the number of filled missing cells, by column.
        rare: the number of cells without a feature of their own, by column.
        unknown: by column, texts that were not there in training, with their counts.
        outside: the number of words or characters that are not in the vocabulary.
        without_target: the number of rows left out because their target is missing.
        dropped: the number of rows left out because a feature is missing.
        lines: the lines of all rows that were left out.
        seen: other remarks on the file, one sentence each.
    """

    rows: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)
    rare: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, dict[str, int]] = field(default_factory=dict)
    outside: int = 0
    without_target: int = 0
    dropped: int = 0
    lines: list[int] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Return the changes made to a table while reading it, as sentences.

        >>> TableReport(rows=9, left_out={"id": "it counts the rows"}).notes()
        ["column 'id' is left out: it counts the rows"]
        """
        notes = [*self.seen, *left_out_notes(self.left_out)]
        if self.filled:
            total, columns = sum(self.filled.values()), listed(self.filled)
            notes.append(
                ngettext(
                    "{n:,} missing cell is filled: {filled}",
                    "{n:,} missing cells are filled: {filled}",
                    n=total,
                    filled=columns,
                )
            )
        if self.rare:
            total, rare = sum(self.rare.values()), listed(self.rare)
            notes.append(
                ngettext(
                    "{n:,} cell is a rare text: {rare}",
                    "{n:,} cells are rare texts: {rare}",
                    n=total,
                    rare=rare,
                )
            )
        for name, texts in self.unknown.items():
            note = ngettext(
                "column '{name}': {n:,} cell is a text that was not there in "
                "training: {texts}",
                "column '{name}': {n:,} cells are texts that were not there in "
                "training: {texts}",
                n=sum(texts.values()),
                name=shortened(name),
                texts=listed(texts),
            )
            notes.append(note)
        if self.outside:
            note = ngettext(
                "{n:,} word or character is not in the vocabulary",
                "{n:,} words or characters are not in the vocabulary",
                n=self.outside,
            )
            notes.append(note)
        for count, why in (
            (self.without_target, _("whose target is missing")),
            (self.dropped, _("with missing cells")),
        ):
            if count:
                note = ngettext(
                    "{count:,} of {n:,} row left out, {why}",
                    "{count:,} of {n:,} rows left out, {why}",
                    n=self.rows,
                    count=count,
                    why=why,
                )
                notes.append(note)
        return notes


class Rows(NamedTuple):
    """Rows of a table as arrays: features, targets and line numbers.

    Attributes:
        x: features of shape (n, features) in the dtype of the schema.
        y: float32 targets of shape (n, targets), or int32 labels of shape (n,); zeros
            where the targets are not read.
        lines: the line on which each row begins.
        records: the rows as they are written; empty for a frame.
    """

    x: np.ndarray
    y: np.ndarray
    lines: np.ndarray
    records: list[str]


class TableReader:
    """A reader of a table's rows by its schema, in chunks of arrays.

    Args:
        source: the table.
        schema: the columns of the features and targets.
        inference: what the schema was inferred from, if it was this table.
        target: whether to read the targets too.

    Attributes:
        report: the changes so far.

    Raises:
        DataError: a column that is not there.
    """

    def __init__(
        self,
        source: Source,
        schema: Schema,
        inference: SchemaInference | None = None,
        *,
        target: bool = True,
    ) -> None:
        self.source, self.schema = source, schema
        self.targets = schema.targets if target else ()
        source.require([column.name for column in schema.columns], _("a feature"))
        source.require([column.name for column in self.targets], _("the target"))
        self._marks = schema.marks
        self._inferred, self._known_rows = inference is not None, 0
        self.report = TableReport(seen=list(source.notes))
        if inference is not None:
            self._known_rows = inference.rows
            self.report = TableReport(left_out=inference.left_out, seen=inference.notes)
        self._width = sum(column.width for column in schema.columns)

    @classmethod
    def inferred(cls, source: Source, **options: Any) -> TableReader:
        """Return a table's reader, with the schema inferred from all rows.

        Raises:
            DataError, ArgumentError: see :func:`chainrule.data.read_csv`.
        """
        inference = SchemaInference.of(source, Options.of(**options))
        return cls(source, inference.schema(), inference)

    @classmethod
    def of_features(cls, source: Source, **options: Any) -> TableReader:
        """Return a reader of a table's features alone, with the schema inferred.

        Raises:
            DataError, ArgumentError: see :func:`chainrule.data.read_csv`.
        """
        inference = SchemaInference.of(source, Options.of(**options))
        return cls(source, inference.schema_of_features(), inference, target=False)

    def __iter__(self) -> Iterator[Rows]:
        columns = (*self.schema.columns, *self.targets)
        numbers = {
            column.name
            for column in columns
            if isinstance(column, Number) and column.decimal == "."
        }
        names = list(dict.fromkeys(column.name for column in columns))
        return map(self._rows, self.source.chunks(names, numbers))

    def all(self) -> Rows:
        """Return all rows of the table as arrays.

        Raises:
            DataError: none are left, or they do not fit into memory.
        """
        self._check_memory(self._known_rows)
        chunks = iter(self)
        parts = [*itertools.islice(chunks, 2)]
        if len(parts) == 1:  # as a single row is
            self._require(len(parts[0].x))
            return parts[0]._replace(records=[])
        x = np.empty((self._known_rows, self._width), self.schema.dtype)
        count, ys, lines = 0, [], []
        for part in itertools.chain(parts, chunks):
            end = count + len(part.x)
            if end > len(x):
                self._check_memory(end)
                x.resize((end + end // 8, self._width), refcheck=False)
            x[count:end], count = part.x, end
            ys.append(part.y)
            lines.append(part.lines)
        self._require(count)
        x.resize((count, self._width), refcheck=False)
        return Rows(x, np.concatenate(ys), np.concatenate(lines), [])

    def require_rows(self) -> None:
        """Check that the table has at least one row without missing cells.

        Raises:
            DataError: there is none.
        """
        self._require(next((n for part in self if (n := len(part.x))), 0))

    def _require(self, count: int) -> None:
        if not count:
            raise DataError(
                _("'{name}' has no row that can be used.", name=self.source.name),
                expected=_("at least one row with a target"),
                got="; ".join(self.report.notes()[-2:]) or _("no rows"),
                fix=_("missing='fill' keeps rows whose features are missing"),
            )

    def _check_memory(self, rows: int) -> None:
        size = np.dtype(self.schema.dtype).itemsize * rows * self._width
        if size > SMALL:
            fix = _("take fewer columns, or stream it: cr.data.Stream.from_csv")
            check_memory(self.source.name, size, fix)

    def _rows(self, chunk: Chunk) -> Rows:
        """Convert a chunk of a table to arrays, without rows that are left out."""
        n, report = chunk.rows, self.report
        report.rows += n
        self._check_memory(n)
        has_target, complete = np.ones(n, bool), np.ones(n, bool)
        y = self._targets(chunk, has_target)
        x, start = np.empty((n, self._width), self.schema.dtype), 0
        for column in self.schema.columns:
            encoded, codes = self._encoded(column, chunk)
            end = start + encoded.values.shape[1]
            x[:, start:end] = encoded.values[codes]
            start = end
            if encoded.missing is not None and encoded.missing.any():
                missing = encoded.missing[codes]
                self._record_missing(column.name, missing, chunk.lines)
                if self.schema.missing == "drop":
                    complete &= ~missing
            self._record_unknown(column, encoded)
        keep = has_target & complete
        if keep.all():
            return Rows(x, y, chunk.lines, chunk.records)
        report.without_target += int((~has_target).sum())
        report.dropped += int((has_target & ~complete).sum())
        report.lines += chunk.lines[~keep].tolist()
        records = list(itertools.compress(chunk.records, keep.tolist()))
        return Rows(x[keep], y[keep], chunk.lines[keep], records)

    def _targets(self, chunk: Chunk, has_target: np.ndarray) -> np.ndarray:
        """Return a chunk's targets as an array; clear the flags of rows without one."""
        columns = []
        for column in self.targets:
            encoded, codes = self._encoded(column, chunk, np.float32)
            if encoded.missing is not None:
                has_target &= ~encoded.missing[codes]
            columns.append(encoded.values[codes])
        if not columns:
            return np.zeros(chunk.rows, np.int32)
        return columns[0] if self.schema.class_names else np.column_stack(columns)

    def _encoded(
        self, column: Feature | Texts | Target, chunk: Chunk, dtype: Any = None
    ) -> tuple[Encoded, np.ndarray]:
        """Encode a column's distinct cells in a chunk; return them with row codes.

        Raises:
            DataError: a cell that cannot be used, with its line.
        """
        cells = chunk.cells[column.name]
        try:
            encoded = column.encode(cells, self._marks, dtype or self.schema.dtype)
        except InvalidCellError as cell:
            kind = NonFiniteError if cell.infinite else DataError
            raise kind(
                _(
                    "A cell of '{name}' cannot be used: {lines}.",
                    name=self.source.name,
                    lines=self.source.position(int(chunk.lines[cell.row]), column.name),
                ),
                expected=cell.expected,
                got=repr(shortened(cell.text)),
                fix=_(
                    "correct it; missing_values=['…'] takes a text for a missing value"
                ),
            ) from None
        return encoded, cells.codes

    def _record_missing(
        self, name: str, missing: np.ndarray, lines: np.ndarray
    ) -> None:
        """Count the missing cells of a table's feature, or refuse them."""
        if self.schema.missing == "error":
            line = int(lines[missing.argmax()])
            raise DataError(
                _(
                    "A value is missing in '{name}': {lines}.",
                    name=self.source.name,
                    lines=self.source.position(line, name),
                ),
                expected=_("a value in each cell, as missing='error' asks for"),
                got=_("an empty cell"),
                fix=_("fill it in, or missing='fill'"),
            )
        if self.schema.missing == "fill":
            counts = self.report.filled
            counts[name] = counts.get(name, 0) + int(missing.sum())

    def _record_unknown(self, column: Feature | Texts, encoded: Encoded) -> None:
        """Count a table feature's rare and unknown texts, or refuse unknown ones."""
        name, report = column.name, self.report
        rare, unknown = encoded.rare, encoded.unknown
        if isinstance(column, Texts):  # a note tells of the vocabulary's own texts
            report.outside += 0 if self._inferred else rare
            return
        if self._inferred:  # all texts were there, some too rare to be remembered
            rare, unknown = rare + sum(unknown.values()), {}
        if rare:
            report.rare[name] = report.rare.get(name, 0) + rare
        if unknown and self.schema.unknown == "error":
            assert isinstance(column, Category)
            categories = ", ".join(column.categories)
            raise DataError(
                _(
                    "Column '{name}' of '{own_name}' has a text that was not there "
                    "in training.",
                    name=shortened(name),
                    own_name=self.source.name,
                ),
                expected=shortened(
                    _("one of {categories}", categories=categories), 200
                ),
                got=repr(shortened(next(iter(unknown)))),
                fix=_("correct it, or train with unknown='other'"),
            )
        if unknown:
            known = report.unknown.setdefault(name, {})
            for text, count in unknown.items():
                if text in known or len(known) < 1000:
                    known[text] = known.get(text, 0) + count


def left_out_notes(left_out: dict[str, str]) -> list[str]:
    """Return one sentence for each table column that is left out."""
    return [
        _("the first column has no name: row numbers, left out")
        if reason == UNNAMED
        else _(
            "column '{name}' is left out: {reason}", name=shortened(name), reason=reason
        )
        for name, reason in left_out.items()
    ]


def listed(counts: dict[str, int], most: int = 5) -> str:
    """Format names of a table's report with counts: ``red 3, blue 1 …``."""
    often = sorted(counts, key=lambda name: -counts[name])
    shown = ", ".join(
        f"{shortened(name, 30)} {counts[name]:,}" for name in often[:most]
    )
    return shown + (" …" if len(often) > most else "")
