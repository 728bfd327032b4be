"""From the texts of a column to numbers, or to categories."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.table import Table
from chainrule.errors import DataError, NonFiniteError, nearest

#: Texts in a column of numbers that stand for no number, in lower case.
MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none"})
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
INFINITE = frozenset({"inf", "infinity"})
OTHER = re.compile(r"[^0-9eE+\-.]")
#: One-hot columns that a categorical column may become.
MOST = 1000

FILL = (
    "fill it in; or missing='drop' leaves out such rows, missing='mean' puts the mean "
    "of the column there"
)
FILL_TEXT = (
    "fill it in; or missing='drop' leaves out such rows (there is no mean to put there)"
)


@dataclass
class Numbers:
    """A column of numbers.

    Attributes:
        table: the file, for messages.
        name: of the column.
        keep_missing: whether missing values become NaN; else they are refused.
        dtype: float32 or float64.
        fix: what else text in this column may mean, for messages.
        total: the sum of the numbers so far.
        count: how many there were.
    """

    table: Table
    name: str
    keep_missing: bool
    dtype: np.dtype
    fix: str
    total: float = 0.0
    count: int = 0

    def values(self, rows: Sequence[int], texts: list[str]) -> np.ndarray:
        """The numbers of some rows; NaN where one is missing.

        Raises:
            DataError: text, or a missing value.
            NonFiniteError: infinity, or a number that the dtype cannot hold.
        """
        read = parsed(texts)
        gaps = np.isnan(read)
        if gaps.any() and (wrong := self._wrong(gaps, texts)) is not None:
            raise self._error(rows[wrong], texts[wrong])
        with np.errstate(over="ignore"):
            kept = read.astype(self.dtype)
        if np.isinf(kept).any():
            row = int(np.isinf(kept).argmax())
            raise self._infinite(rows[row], texts[row])
        present = read[~gaps]
        with np.errstate(over="ignore"):
            self.total += float(present.sum())
        self.count += len(present)
        return kept

    @property
    def mean(self) -> float:
        """The mean of the numbers that are there, as the dtype holds it."""
        if not self.count:
            raise DataError(
                f"Column '{shortened(self.name)}' of '{self.table.path}' has no mean.",
                expected="at least one number",
                got=f"{self.table.rows} missing values",
                fix="leave the column out: features=[…]",
            )
        with np.errstate(over="ignore"):
            mean = float(self.dtype.type(self.total / self.count))
        if not math.isfinite(mean):
            raise NonFiniteError(
                f"The mean of column '{shortened(self.name)}' of '{self.table.path}' "
                "is not finite.",
                expected=f"numbers whose sum fits {self.dtype}",
                got=f"a sum of {self.total}",
                fix="scale the column down",
            )
        return mean

    def _wrong(self, gaps: np.ndarray, texts: list[str]) -> int | None:
        """The first of the gaps that is refused."""
        for i in np.flatnonzero(gaps).tolist():
            if not self.keep_missing or texts[i].lower() not in MISSING:
                return i
        return None

    def _error(self, row: int, text: str) -> DataError:
        place = self.table.place(row, self.name)
        if text.lower() in MISSING:
            return DataError(
                f"A value is missing in '{self.table.path}': {place}.",
                expected="a number",
                got=repr(text),
                fix=FILL,
            )
        return DataError(
            f"Text stands in a column of numbers of '{self.table.path}': {place}.",
            expected="a number, such as -1.5e3",
            got=repr(shortened(text)),
            fix=self.fix,
        )

    def _infinite(self, row: int, text: str) -> NonFiniteError:
        return NonFiniteError(
            f"A number in '{self.table.path}' is not finite: "
            f"{self.table.place(row, self.name)}.",
            expected=f"a number that fits {self.dtype}, up to "
            f"{float(np.finfo(self.dtype).max):.3g}",
            got=repr(shortened(text)),
            fix="correct it, or leave out the row",
        )


@dataclass
class Texts:
    """A column of texts: each becomes the number of its category.

    Attributes:
        table: the file, for messages.
        name: of the column.
        keep_missing: whether missing values become −1; else they are refused.
        kind: what a text is, for messages: ``"category"``, ``"class"``.
        known: the categories where they are fixed; None: those that come up.
        limit: how many different ones there may be, or None.
        place: a number for each text, in the order in which they came up.
        first: the row in which each came up.
    """

    table: Table
    name: str
    keep_missing: bool
    kind: str
    known: tuple[str, ...] | None = None
    limit: int | None = None
    place: dict[str, int] = field(default_factory=dict)
    first: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for text in self.known or ():
            self.place[text] = len(self.place)

    def values(self, rows: Sequence[int], texts: list[str]) -> np.ndarray:
        """The numbers of some rows' categories; −1 where the value is missing.

        Raises:
            DataError: a missing value, an unknown category, or too many.
        """
        codes = np.empty(len(texts), np.int32)
        for i, text in enumerate(texts):
            code = self.place.get(text)
            codes[i] = self._new(rows[i], text) if code is None else code
        return codes

    def ordered(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The categories in their final order, and where each number goes there."""
        names = self.known or tuple(sorted(self.place, key=_sort_key(self.place)))
        places = {name: i for i, name in enumerate(names)}
        return names, np.array([places[text] for text in self.place], np.int32)

    def _new(self, row: int, text: str) -> int:
        if not text:
            if self.keep_missing:
                return -1
            raise DataError(
                f"A value is missing in '{self.table.path}': {self._where(row)}.",
                expected=f"a {self.kind}",
                got="an empty cell",
                fix=FILL_TEXT,
            )
        if self.known is not None:
            close = nearest(text, self.known)
            raise DataError(
                f"A {self.kind} in '{self.table.path}' is unknown: {self._where(row)}.",
                expected=f"one of {shortened(', '.join(self.known), 200)}",
                got=repr(shortened(text)),
                fix=(f"did you mean '{close}'? " if close else "")
                + "only what was there when the format was made has a place",
            )
        if self.limit is not None and len(self.place) >= self.limit:
            raise DataError(
                f"Column '{shortened(self.name)}' of '{self.table.path}' has too many "
                "categories to make a column of each.",
                expected=f"at most {self.limit} different texts",
                got=f"one more on {self._where(row)}",
                fix="leave it out: features=[…] without it; or group its values",
            )
        self.place[text] = len(self.place)
        self.first.append(row)
        return self.place[text]

    def _where(self, row: int) -> str:
        return self.table.place(row, self.name)


def parsed(texts: Sequence[str]) -> np.ndarray:
    """The numbers that texts are, exactly rounded to float64; NaN for all others.

    >>> parsed(["1.5", "-2e3", "", "1_000", "nan", "one"]).tolist()
    [1.5, -2000.0, nan, nan, nan, nan]
    """
    if not OTHER.search("".join(texts)):
        try:
            return np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            pass
    return np.fromiter(map(_number, texts), np.float64, len(texts))


def _number(text: str) -> float:
    if NUMBER.fullmatch(text):
        return float(text)
    unsigned = text.lower().lstrip("+-")
    return math.inf if unsigned in INFINITE else math.nan


def _sort_key(texts: Any) -> Any:
    """Numbers by size where all texts are numbers, else texts by letters."""
    if not np.isnan(parsed(list(texts))).any():
        return lambda text: (float(text), text)
    return lambda text: text
