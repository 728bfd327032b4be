"""Types of a table's columns, which encode cells as features or targets.

Each class is one type of column. Its fields are learned from a table, and stored as
JSON in the format of a data set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from chainrule.data.tables.cells import (
    PARTS,
    Cells,
    Mark,
    MissingValues,
    Part,
    dated,
    days,
)
from chainrule.text import _

#: The spellings of a truth value, in lower case: Python's, JSON's, and a number's.
_TRUTHS = (("false", "0"), ("true", "1"))


@dataclass
class Encoded:
    """A column's distinct cells in a chunk, encoded as features or targets.

    Attributes:
        values: features of shape (distinct, width), or labels of shape (distinct,).
        missing: a flag for each distinct cell; None where none is missing.
        rare: the number of cells with a rare text of the training data.
        unknown: the texts that were not in the training data, with their counts.
    """

    values: np.ndarray
    missing: np.ndarray | None
    rare: int = 0
    unknown: dict[str, int] = field(default_factory=dict)


class InvalidCellError(Exception):
    """The error for a cell that does not fit the type of its table column.

    Args:
        cells: the cells of the chunk.
        invalid: a flag for each distinct cell; the first row with one is reported.
        expected: a valid cell, in words.
        infinite: whether the cell is a number beyond float32.
    """

    def __init__(
        self, cells: Cells, invalid: np.ndarray, expected: str, infinite: bool = False
    ) -> None:
        self.row = int(invalid[cells.codes].argmax())
        self.text, self.expected = cells.text(self.row), expected
        self.infinite = infinite


@dataclass(frozen=True)
class Number:
    """A numeric table column: one feature, and a missing-value indicator if needed.

    Attributes:
        name: the name of the column.
        decimal: the decimal mark.
        mean: the feature of a missing cell.
        gaps: whether a feature of 0 and 1 indicates missing cells.
        loose: whether texts that are no numbers are missing cells.
        wide: whether there are whole numbers that float32 cannot represent.
    """

    name: str
    decimal: Mark = "."
    mean: float = 0.0
    gaps: bool = False
    loose: bool = False
    wide: bool = False
    kind: Literal["number"] = "number"

    @property
    def width(self) -> int:
        """The number of a numeric column's features."""
        return 1 + self.gaps

    def names(self) -> list[str]:
        """Return the names of a numeric column's features."""
        return [self.name, *_indicator(self)]

    def encode(
        self, cells: Cells, marks: MissingValues, dtype: Any = np.float32
    ) -> Encoded:
        """Encode a numeric column's cells as numbers of ``dtype``.

        Raises:
            InvalidCellError: a text that is no number; a number beyond float32.
        """
        values, missing = cells.numbers(self.decimal), None
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if marks.values or not np.isfinite(narrow).all():
            missing = cells.missing(marks, values)
            invalid = np.isnan(values) & ~missing
            if self.loose:
                missing |= invalid
            elif invalid.any():
                expected = _("a number, such as 1{decimal}5", decimal=self.decimal)
                raise InvalidCellError(cells, invalid, expected)
            if (invalid := np.isinf(narrow) & ~missing).any():
                expected = _("a number that fits float32, up to 3.4e+38")
                raise InvalidCellError(cells, invalid, expected, infinite=True)
        values = narrow if dtype == np.float32 else values
        return Encoded(_impute([values], [self.mean], missing, self.gaps), missing)


@dataclass(frozen=True)
class Category:
    """A categorical table column: one 0/1 feature for each category.

    Attributes:
        name: the name of the column.
        categories: the texts that have a feature.
        other: whether one more is for all other texts. Else these are zero everywhere.
        gaps: whether one more is for missing cells. Else these are other texts.
        rare: texts of the training data that are among the others.
    """

    name: str
    categories: tuple[str, ...]
    other: bool = False
    gaps: bool = False
    rare: tuple[str, ...] = ()
    kind: Literal["category"] = "category"

    @cached_property
    def width(self) -> int:
        """The number of a categorical column's features."""
        return len(self.categories) + self.other + self.gaps

    @cached_property
    def _known(self) -> dict[str, int]:
        return {text: i for i, text in enumerate(self.categories)}

    @cached_property
    def spellings(self) -> dict[str, str]:
        """Other spellings of the texts of a column of truth values.

        >>> Category("smoker", ("False", "True")).spellings["1"]
        'True'
        """
        texts = {*self.categories, *self.rare}
        digits = texts == {"0", "1"}
        if not digits and not {text.lower() for text in texts} <= {"false", "true"}:
            return {}
        return {
            other: text
            for text in sorted(texts)
            for spelled in _TRUTHS
            if text.lower() in spelled
            for other in {*spelled, *map(str.title, spelled), *map(str.upper, spelled)}
            if other not in texts
        }

    def names(self) -> list[str]:
        """Return the names of a categorical column's features."""
        further = ["(other)"] * self.other + ["(missing)"] * self.gaps
        return [f"{self.name}={text}" for text in (*self.categories, *further)]

    def encode(
        self, cells: Cells, marks: MissingValues, dtype: Any = np.float32
    ) -> Encoded:
        """Encode a categorical column's cells as one 0/1 feature per category."""
        known, rare, missing = self._known, frozenset(self.rare), cells.missing(marks)
        texts, spellings = cells.texts, self.spellings
        if spellings:
            texts = [spellings.get(text, text) for text in texts]
        other = len(known) if self.other else -1
        gap = len(known) + self.other if self.gaps else other
        encoded = Encoded(np.zeros((len(cells), self.width), dtype), missing)
        for row, (text, gone) in enumerate(zip(texts, missing.tolist())):
            if (feature := gap if gone else known.get(text, other)) >= 0:
                encoded.values[row, feature] = 1
        if self.categories and known.keys() >= set(texts):
            return encoded
        for text, gone, count in zip(texts, missing, cells.counts().tolist()):
            if text in rare and not gone:
                encoded.rare += count
            elif text not in known and not gone:
                encoded.unknown[text] = encoded.unknown.get(text, 0) + count
        return encoded


@dataclass(frozen=True)
class Date:
    """A date column of a table: days since 2000, and the parts of the date that vary.

    Attributes:
        name: the name of the column.
        format: the format of the dates, in the language of ``strptime``.
        parts: some of year, month, weekday (Monday is 0) and hour.
        means: the features of a missing cell.
        gaps: whether a feature of 0 and 1 indicates missing cells.
    """

    name: str
    format: str
    parts: tuple[Part, ...]
    means: tuple[float, ...]
    gaps: bool = False
    kind: Literal["date"] = "date"

    @property
    def width(self) -> int:
        """The number of a date column's features."""
        return 1 + len(self.parts) + self.gaps

    def names(self) -> list[str]:
        """Return the names of a date column's features."""
        parts = [f"{self.name} {part}" for part in self.parts]
        return [self.name, *parts, *_indicator(self)]

    def encode(
        self, cells: Cells, marks: MissingValues, dtype: Any = np.float32
    ) -> Encoded:
        """Encode a date column's cells as days since 2000, and parts of the date.

        Raises:
            InvalidCellError: a text that is no date in this format.
        """
        dates, missing = dated(cells.texts, self.format), None
        values = [days(dates), *(PARTS[part](dates) for part in self.parts)]
        if marks.more or np.isnan(values[0]).any():
            missing = cells.among(marks.in_numbers)
            if (invalid := np.isnan(values[0]) & ~missing).any():
                expected = _("a date as {format}", format=self.format)
                raise InvalidCellError(cells, invalid, expected)
        imputed = _impute(values, self.means, missing, self.gaps)
        return Encoded(imputed.astype(dtype, copy=False), missing)


@dataclass(frozen=True)
class Classes:
    """A target column of a table that holds classes.

    Attributes:
        name: the name of the column.
        classes: the names of the classes, in the order of the labels.
    """

    name: str
    classes: tuple[str, ...]
    kind: Literal["classes"] = "classes"

    def encode(
        self, cells: Cells, marks: MissingValues, dtype: Any = np.int32
    ) -> Encoded:
        """Encode a class column's cells as labels; −1 for a missing cell.

        Raises:
            InvalidCellError: a text that is none of the classes.
        """
        known = {text: i for i, text in enumerate(self.classes)}
        labels = np.array([known.get(text, -1) for text in cells.texts], np.int32)
        missing = cells.missing(marks) & (labels < 0)
        if (invalid := (labels < 0) & ~missing).any():
            expected = _("one of {classes}", classes=", ".join(self.classes)[:200])
            raise InvalidCellError(cells, invalid, expected)
        return Encoded(labels, missing)


Feature = Number | Category | Date
Target = Number | Classes


def _indicator(column: Number | Date) -> list[str]:
    """Return a column's missing-value feature name in a list, which may be empty."""
    return [_("{name} is missing", name=column.name)] if column.gaps else []


def _impute(
    columns: Iterable[np.ndarray],
    means: Iterable[float],
    missing: np.ndarray | None,
    indicator: bool,
) -> np.ndarray:
    """Replace a column's missing cells by means, and add their indicator."""
    imputed = list(columns)
    if missing is not None:
        pairs = zip(imputed, means, strict=True)
        imputed = [np.where(missing, v.dtype.type(mean), v) for v, mean in pairs]
    if indicator:
        gaps = np.zeros(len(imputed[0])) if missing is None else missing
        imputed.append(gaps.astype(imputed[0].dtype))
    return np.array(imputed).T


def ordered(texts: Iterable[str]) -> tuple[str, ...]:
    """Sort a column's categories: as numbers if all are numbers, else as texts.

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
