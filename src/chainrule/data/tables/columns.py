"""Column types of a table: conversion to features or targets, stored as JSON.

Each class is one kind of column. Its fields are all that it knows, and go into the
format of a data set as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from chainrule.data.tables.cells import PARTS, Cells, Mark, Nothing, Part, dated, days
from chainrule.text import _


@dataclass
class Written:
    """The missing, unknown and invalid cells found while a column was converted.

    Attributes:
        missing: which rows are missing, or None.
        rare: how many cells are texts that were there rarely.
        unknown: texts that were not there before, and how often.
        wrong: the first row that cannot be used, or None.
        text: what stands there.
        expected: what would have been right there.
        infinite: whether it is a number that is too large.
    """

    missing: np.ndarray | None = None
    rare: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    wrong: int | None = None
    text: str = ""
    expected: str = ""
    infinite: bool = False

    def refuse(self, cells: Cells, distinct: np.ndarray, expected: str) -> None:
        """Record the first row with an invalid cell."""
        self.wrong = int(cells.spread(distinct).argmax())
        self.text, self.expected = cells.text(self.wrong), expected


@dataclass(frozen=True)
class Number:
    """A numeric column: one feature, and an indicator of missing values if needed.

    Attributes:
        name: of the column.
        decimal: the decimal mark.
        mean: what a gap becomes.
        gaps: whether a feature of 0 and 1 says where gaps are.
        loose: whether texts that are no numbers count as gaps.
        wide: whether there are whole numbers that float32 has not.
    """

    name: str
    decimal: Mark = "."
    mean: float = 0.0
    gaps: bool = False
    loose: bool = False
    wide: bool = False
    kind: Literal["number"] = "number"

    def names(self) -> list[str]:
        """Return the names of the column's features."""
        return [
            self.name,
            *([_("{name} is missing", name=self.name)] if self.gaps else []),
        ]

    def write(self, cells: Cells, out: np.ndarray, nothing: Nothing) -> Written:
        """Write the features of some rows into ``out``."""
        values, missing, met = self.read(cells, nothing, out.dtype)
        filled = np.where(missing, values.dtype.type(self.mean), values)
        out[:, 0] = cells.spread(filled)
        if self.gaps:
            out[:, 1] = cells.spread(missing)
        return met

    def read(
        self, cells: Cells, nothing: Nothing, dtype: Any = np.float32
    ) -> tuple[np.ndarray, np.ndarray, Written]:
        """Return the numbers of the distinct cells, and which cells are missing."""
        values = cells.numbers(self.decimal)
        missing, met = cells.absent(nothing, values), Written()
        strange = np.isnan(values) & ~missing
        if self.loose:
            missing |= strange
        elif strange.any():
            met.refuse(
                cells, strange, _("a number, such as 1{decimal}5", decimal=self.decimal)
            )
        with np.errstate(over="ignore"):
            kept = values.astype(np.float32)
        if (wrong := np.isinf(kept) & ~missing).any():
            met.refuse(cells, wrong, _("a number that fits float32, up to 3.4e+38"))
            met.infinite = True
        met.missing = _rows(cells, missing)
        return kept if dtype == np.float32 else values, missing, met


@dataclass(frozen=True)
class Category:
    """A categorical column: one 0/1 feature for each category.

    Attributes:
        name: of the column.
        categories: the texts that have a feature.
        other: whether one more is for all other texts. Else these are zero everywhere.
        gaps: whether one more is for missing ones. Else these are other texts.
        rare: texts that were there, and are among the others.
    """

    name: str
    categories: tuple[str, ...]
    other: bool = False
    gaps: bool = False
    rare: tuple[str, ...] = ()
    kind: Literal["category"] = "category"

    def names(self) -> list[str]:
        """Return the names of the column's features."""
        further = [
            *(["(other)"] if self.other else ()),
            *(["(missing)"] if self.gaps else ()),
        ]
        return [f"{self.name}={text}" for text in (*self.categories, *further)]

    def write(self, cells: Cells, out: np.ndarray, nothing: Nothing) -> Written:
        """Write the features of some rows into ``out``."""
        place = {text: i for i, text in enumerate(self.categories)}
        missing, rare = cells.absent(nothing), frozenset(self.rare)
        rest = len(place) if self.other else -1
        gone = len(place) + self.other if self.gaps else rest
        counts, met = cells.counts(), Written()
        at = np.empty(cells.distinct, np.int64)
        for i, text in enumerate(cells.texts):
            if missing[i]:
                at[i] = gone
            elif (found := place.get(text)) is not None:
                at[i] = found
            else:
                at[i] = rest
                if text in rare:
                    met.rare += int(counts[i])
                else:
                    met.unknown[text] = met.unknown.get(text, 0) + int(counts[i])
        rows = cells.spread(at)
        out[:] = 0
        there = np.flatnonzero(rows >= 0)
        out[there, rows[there]] = 1
        met.missing = _rows(cells, missing)
        return met


@dataclass(frozen=True)
class Date:
    """A date column: days since 2000, and the parts of the date that vary.

    Attributes:
        name: of the column.
        format: how dates are written, as ``strptime`` says it.
        parts: among year, month, weekday (Monday is 0) and hour.
        means: what the features of a gap become.
        gaps: whether a feature of 0 and 1 says where gaps are.
    """

    name: str
    format: str
    parts: tuple[Part, ...]
    means: tuple[float, ...]
    gaps: bool = False
    kind: Literal["date"] = "date"

    def names(self) -> list[str]:
        """Return the names of the column's features."""
        parts = [f"{self.name} {part}" for part in self.parts]
        return [
            self.name,
            *parts,
            *([_("{name} is missing", name=self.name)] if self.gaps else []),
        ]

    def write(self, cells: Cells, out: np.ndarray, nothing: Nothing) -> Written:
        """Write the features of some rows into ``out``."""
        dates = dated(cells.texts, self.format)
        features = [days(dates), *(PARTS[part](dates) for part in self.parts)]
        missing, met = cells.absent(nothing, features[0]), Written()
        if (strange := np.isnan(features[0]) & ~missing).any():
            met.refuse(cells, strange, _("a date as {format}", format=self.format))
        for i, (values, mean) in enumerate(zip(features, self.means, strict=True)):
            out[:, i] = cells.spread(np.where(missing, mean, values))
        if self.gaps:
            out[:, -1] = cells.spread(missing)
        met.missing = _rows(cells, missing)
        return met


@dataclass(frozen=True)
class Classes:
    """A target column of classes.

    Attributes:
        name: of the column.
        classes: the names, in the order of the labels.
    """

    name: str
    classes: tuple[str, ...]
    kind: Literal["classes"] = "classes"

    def read(
        self, cells: Cells, nothing: Nothing
    ) -> tuple[np.ndarray, np.ndarray, Written]:
        """Return the labels of the distinct cells, and which cells are missing."""
        place = {text: i for i, text in enumerate(self.classes)}
        labels = np.fromiter((place.get(t, -1) for t in cells.texts), np.int32)
        missing, met = cells.absent(nothing) & (labels < 0), Written()
        if (wrong := (labels < 0) & ~missing).any():
            met.refuse(
                cells,
                wrong,
                _("one of {classes}", classes=", ".join(self.classes)[:200]),
            )
        met.missing = _rows(cells, missing)
        return labels, missing, met


Feature = Number | Category | Date
Target = Number | Classes


def _rows(cells: Cells, distinct: np.ndarray) -> np.ndarray | None:
    return cells.spread(distinct) if distinct.any() else None


def ordered(texts: Iterable[str]) -> tuple[str, ...]:
    """Sort texts: by value if all are numbers, else alphabetically.

    >>> ordered(["10", "9", "1"]), ordered(["b", "10", "9"])
    (('1', '9', '10'), ('10', '9', 'b'))
    """
    texts = list(texts)
    try:
        keys = {text: (float(text), text) for text in texts}
    except ValueError:
        return tuple(sorted(texts))
    if any(math.isnan(number) for number, __ in keys.values()):
        return tuple(sorted(texts))
    return tuple(sorted(texts, key=keys.__getitem__))
