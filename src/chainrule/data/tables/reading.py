"""Conversion of a table with a known layout to arrays, and a report of changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.files import check_memory
from chainrule.data.tables.cells import Cells, Nothing
from chainrule.data.tables.columns import Category, Feature, Number, Written
from chainrule.data.tables.layout import Layout
from chainrule.data.tables.options import Options
from chainrule.data.tables.source import Chunk, Source
from chainrule.data.tables.study import UNNAMED, Study
from chainrule.data.tables.texts import Texts
from chainrule.errors import DataError, NonFiniteError
from chainrule.text import _


@dataclass
class TableReport:
    """A report of the changes made to a table while it was read.

    Attributes:
        rows: how many it has.
        left_out: columns that are no features, and why.
        filled: by column, how many missing cells were filled.
        rare: by column, how many cells are texts without a feature of their own.
        unknown: by column, texts that were not there when the format was made, and how
            often they come up.
        outside: how many words or characters of texts are not in the vocabulary.
        without_target: how many rows were left out because their target is missing.
        dropped: how many were left out because a feature is missing.
        lines: the lines of all of these rows.
        seen: other things that were seen in the file, one sentence each.
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
        """Return the changes as sentences.

        >>> TableReport(rows=9, left_out={"id": "it counts the rows"}).notes()
        ["column 'id' is left out: it counts the rows"]
        """
        notes = [*self.seen, *told(self.left_out)]
        if self.filled:
            total = sum(self.filled.values())
            notes.append(
                _(
                    "{total:,} missing cells are filled: {filled}",
                    total=total,
                    filled=listed(self.filled),
                )
            )
        if self.rare:
            total = sum(self.rare.values())
            notes.append(
                _(
                    "{total:,} cells are rare texts: {rare}",
                    total=total,
                    rare=listed(self.rare),
                )
            )
        for name, texts in self.unknown.items():
            notes.append(
                _(
                    "column '{name}': {values:,} cells are texts that were not "
                    "there in training: {texts}",
                    name=shortened(name),
                    values=sum(texts.values()),
                    texts=listed(texts),
                )
            )
        if self.outside:
            notes.append(
                _(
                    "{count:,} words or characters are not in the vocabulary",
                    count=self.outside,
                )
            )
        for count, why in (
            (self.without_target, _("whose target is missing")),
            (self.dropped, _("with missing cells")),
        ):
            if count:
                notes.append(
                    _(
                        "{count:,} of {rows:,} rows left out, {why}",
                        count=count,
                        rows=self.rows,
                        why=why,
                    )
                )
        return notes


class Rows(NamedTuple):
    """The features, targets and line numbers of some table rows, as arrays.

    Attributes:
        x: features of shape (n, features) in the dtype of the layout.
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
    """One pass over a table with a known layout.

    Args:
        source: the table.
        layout: how its columns are read.
        study: what the layout was learned from, where it was this table.
        target: whether its targets are read too.

    Attributes:
        report: what was done so far.
    """

    def __init__(
        self,
        source: Source,
        layout: Layout,
        study: Study | None = None,
        *,
        target: bool = True,
    ) -> None:
        self.source, self.layout = source, layout
        self.targets = layout.targets if target else ()
        source.require([column.name for column in layout.columns], _("a feature"))
        source.require([column.name for column in self.targets], _("the target"))
        self.nothing = Nothing(layout.missing_values)
        self.report = TableReport(seen=list(source.notes))
        if study is not None:
            self.report = TableReport(left_out=study.left_out, seen=study.notes)
        self._learned, self._known_rows = study is not None, study.rows if study else 0
        self._width = sum(len(column.names()) for column in layout.columns)

    @classmethod
    def learned(cls, source: Source, **options: Any) -> Reading:
        """Return a pass over a table, with the layout learned from all its rows.

        Raises:
            DataError, ArgumentError: see :func:`chainrule.data.read_csv`.
        """
        study = Study.of(source, Options.given(**options))
        return cls(source, study.layout(), study)

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
        """Return all rows of the table as arrays.

        Raises:
            DataError: none are left, or they do not fit into memory.
        """
        self._check_memory(self._known_rows)
        x, count = np.empty((self._known_rows, self._width), self.layout.dtype), 0
        ys, lines = [], []
        for part in self:
            end = count + len(part.x)
            if end > len(x):
                self._check_memory(end)
                x.resize((end + end // 8, self._width), refcheck=False)
            x[count:end], count = part.x, end
            ys.append(part.y)
            lines.append(part.lines)
        self._need(count)
        x.resize((count, self._width), refcheck=False)
        return Rows(x, np.concatenate(ys), np.concatenate(lines), [])

    def require_rows(self) -> None:
        """Check that the table has at least one usable row.

        Raises:
            DataError: there is none.
        """
        self._need(next((n for part in self if (n := len(part.x))), 0))

    def _need(self, count: int) -> None:
        if not count:
            raise DataError(
                _("'{name}' has no row that can be used.", name=self.source.name),
                expected=_("at least one row with a target"),
                got="; ".join(self.report.notes()[-2:]) or _("no rows"),
                fix=_("missing='fill' keeps rows whose features are missing"),
            )

    def _check_memory(self, rows: int) -> None:
        fix = _("take fewer columns, or stream it: cr.data.Stream.from_csv")
        size = np.dtype(self.layout.dtype).itemsize
        check_memory(self.source.name, size * rows * self._width, fix)

    def _rows(self, chunk: Chunk) -> Rows:
        n, lines, cells, records = chunk
        self.report.rows += n
        self._check_memory(n)
        x, at = np.empty((n, self._width), self.layout.dtype), 0
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
            values, __, met = column.read(own, self.nothing)
            if met.wrong is not None:
                raise self._refused(column.name, met, lines)
            if met.missing is not None:
                keep &= ~met.missing
            made.append(own.spread(values))
        if not made:
            return np.zeros(n, np.int32)
        return made[0] if self.layout.class_names else np.stack(made, axis=1)

    def _meet(
        self, column: Feature | Texts, met: Written, lines: np.ndarray, drop: np.ndarray
    ) -> None:
        """Count the missing and unknown cells of a column, or refuse them."""
        name, report, layout = column.name, self.report, self.layout
        if met.wrong is not None:
            raise self._refused(name, met, lines)
        if met.missing is not None:
            if layout.missing == "error":
                raise DataError(
                    _(
                        "A value is missing in '{name}': {lines}.",
                        name=self.source.name,
                        lines=self._place(lines, int(met.missing.argmax()), name),
                    ),
                    expected=_("a value in each cell, as missing='error' asks for"),
                    got=_("an empty cell"),
                    fix=_("fill it in, or missing='fill'"),
                )
            if layout.missing == "drop":
                drop |= met.missing
            else:
                count = int(met.missing.sum())
                report.filled[name] = report.filled.get(name, 0) + count
        if isinstance(column, Texts):  # of its own ones the vocabulary's note tells
            report.outside += 0 if self._learned else met.rare
            return
        if self._learned:  # all texts were there, if too many to be remembered
            met.rare, met.unknown = met.rare + sum(met.unknown.values()), {}
        if met.rare:
            report.rare[name] = report.rare.get(name, 0) + met.rare
        if met.unknown and layout.unknown == "error":
            text = next(iter(met.unknown))
            raise DataError(
                _(
                    "Column '{name}' of '{own_name}' has a text that was not there "
                    "in training.",
                    name=shortened(name),
                    own_name=self.source.name,
                ),
                expected=shortened(
                    _("one of {categories}", categories=", ".join(column.categories)),
                    200,
                )
                if isinstance(column, Category)
                else "",
                got=repr(shortened(text)),
                fix=_("correct it, or train with unknown='other'"),
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
            _(
                "A cell of '{name}' cannot be used: {lines}.",
                name=self.source.name,
                lines=self._place(lines, met.wrong, name),
            ),
            expected=met.expected,
            got=repr(shortened(met.text)),
            fix=_("correct it; missing_values=['…'] takes a text for a missing value"),
        )

    def _place(self, lines: np.ndarray, row: int, name: str) -> str:
        return self.source.place(int(lines[row]), name)


def told(left_out: dict[str, str]) -> list[str]:
    """Return one sentence for each column that is left out."""
    return [
        _("the first column has no name: row numbers, left out")
        if reason == UNNAMED
        else _(
            "column '{name}' is left out: {reason}", name=shortened(name), reason=reason
        )
        for name, reason in left_out.items()
    ]


def listed(counts: dict[str, int], most: int = 5) -> str:
    """Format names and counts, the most frequent first: ``red 3, blue 1 …``."""
    often = sorted(counts, key=lambda name: -counts[name])
    shown = ", ".join(
        f"{shortened(name, 30)} {counts[name]:,}" for name in often[:most]
    )
    return shown + (" …" if len(often) > most else "")
