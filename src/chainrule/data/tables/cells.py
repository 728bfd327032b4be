"""Conversion of the cells of a column to numbers and dates."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

#: Texts that stand for nothing, in lower case.
NOTHING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "?"})
#: Texts that stand for no number, or no date, where numbers or dates are.
NO_NUMBER = NOTHING | {"none", "-", "--", "–", "—", ".", "..", "..."}

_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_OTHER = re.compile(r"[^0-9eE+\-.\n]")
_UNIT = r"(?:NT\$|US\$|[$€£¥₩₹%]|USD|EUR|GBP|JPY|CNY|TWD|CHF)"
_DECORATED = re.compile(
    rf"(?P<debit>\()?\s*(?P<unit>{_UNIT})?\s*(?P<sign>[+-])?\s*(?P<before>{_UNIT})?\s*"
    rf"(?P<body>[0-9.,][0-9.,'’\s]*(?:[eE][+-]?[0-9]+)?)\s*(?P<behind>{_UNIT})?\s*\)?"
)
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:([\s.,'’])[0-9]{3})(?:\1[0-9]{3})*")
_WHOLE = re.compile(r"[0-9]*(?:[eE][+-]?[0-9]+)?")
_INFINITE = frozenset({"inf", "infinity"})

Mark = Literal[".", ","]
#: Decimal marks.
MARKS: tuple[Mark, ...] = (".", ",")
Part = Literal["year", "month", "weekday", "hour"]
#: Dates as they are written; ``%d/%m`` beside ``%m/%d`` is what a question is about.
_DAYS = (
    *("%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y"),
    *("%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%d %B %Y"),
    *("%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
DATES = ("ISO8601", *(day + time for day in _DAYS for time in _TIMES))
_DIGITS = re.compile(r"[0-9].*[-/.: ,].*[0-9]")


class Cells:
    """The cells of some rows of a column: distinct values, and an index for each row.

    Args:
        codes: for each row the number of its cell; None where each has its own.
        texts: the distinct texts, without spaces around them; some may be equal.
        values: the numbers that they are, where they came as numbers; NaN for none.
    """

    def __init__(
        self,
        codes: np.ndarray | None,
        texts: list[str] | None = None,
        values: np.ndarray | None = None,
    ) -> None:
        self.codes, self._texts, self._values = codes, texts, values

    @classmethod
    def of(cls, given: np.ndarray) -> Cells:
        """Make cells from an array of numbers or objects; None and NaN are empty."""
        import pandas

        if given.dtype.kind in "iuf":
            return cls(None, values=given.astype(np.float64))
        codes, distinct = pandas.factorize(given)
        texts = [str(text).strip() for text in distinct.tolist()]
        if len(codes) and codes.min() < 0:
            codes = np.where(codes < 0, len(texts), codes)
            texts.append("")
        return cls(codes, texts)

    @property
    def distinct(self) -> int:
        """The number of distinct cells."""
        return len(self._values if self._values is not None else self._texts or ())

    @property
    def has_texts(self) -> bool:
        """A flag: the cells were read as texts, not as numbers."""
        return self._values is None

    @cached_property
    def texts(self) -> list[str]:
        """The distinct cells as texts; whole numbers without a decimal point."""
        return self.texts_at(np.arange(self.distinct))

    def texts_at(self, places: np.ndarray) -> list[str]:
        """Return the texts of the distinct cells at ``places``."""
        if self._texts is not None:
            return [self._texts[i] for i in places.tolist()]
        assert self._values is not None
        return [_text(value) for value in self._values[places].tolist()]

    def counts(self) -> np.ndarray:
        """Return the number of rows with each distinct cell."""
        if self.codes is None:
            return np.ones(self.distinct, np.int64)
        return np.bincount(self.codes, minlength=self.distinct)

    def spread(self, distinct: np.ndarray) -> np.ndarray:
        """Expand values of the distinct cells to one value per row."""
        return distinct if self.codes is None else distinct[self.codes]

    def first(self, number: int) -> int:
        """Return the first row with a distinct cell."""
        return number if self.codes is None else int((self.codes == number).argmax())

    def text(self, row: int) -> str:
        """Return the text of a row's cell."""
        return self.text_of(row if self.codes is None else int(self.codes[row]))

    def text_of(self, number: int) -> str:
        """Return the text of a distinct cell."""
        return self.texts_at(np.array([number]))[0]

    def numbers(self, decimal: str) -> np.ndarray:
        """Parse the distinct cells as numbers; NaN for other texts."""
        return parsed(self.texts, decimal) if self._values is None else self._values

    def absent(self, nothing: Nothing, values: np.ndarray | None = None) -> np.ndarray:
        """Return, for each distinct cell, whether it is a missing value.

        Args:
            nothing: what does.
            values: the numbers that they are, in a column of numbers or dates.
        """
        if values is None:
            return _marks(self.texts, nothing.text)
        gone = np.isnan(values)
        if gone.any():
            places = np.flatnonzero(gone)
            gone[places] = _marks(self.texts_at(places), nothing.number)
        if nothing.values:
            gone |= np.isin(values, list(nothing.values))
        return gone


class Nothing:
    """The texts and numbers that mark a missing value.

    Args:
        further: texts besides the usual ones.

    Attributes:
        text: in a column of texts, in lower case.
        number: in a column of numbers or dates.
        values: numbers that do, such as −999.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        own = {text.strip().lower() for text in further}
        self.text, self.number = NOTHING | own, NO_NUMBER | own
        values = parsed(sorted(own))
        self.values = frozenset(values[~np.isnan(values)].tolist())


def _marks(texts: Sequence[str], known: frozenset[str]) -> np.ndarray:
    return np.fromiter((text.lower() in known for text in texts), bool, len(texts))


def _text(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


# -- numbers -----------------------------------------------------------------------


def parsed(texts: Sequence[str], decimal: str = ".") -> np.ndarray:
    """Parse texts as numbers, exactly rounded to float64; NaN for other texts.

    >>> parsed(["1.5", "-2e3", "", "1_000", "$1,100.00", "12 %", "nan"]).tolist()
    [1.5, -2000.0, nan, nan, 1100.0, 12.0, nan]
    >>> parsed(["1 100,5", "1.100,00 €", "1.5"], ",").tolist()
    [1100.5, 1100.0, nan]
    """
    joined = "\n".join(texts)
    plain = texts
    if decimal == ",":
        joined = joined.translate({ord("."): "x", ord(","): "."})
        plain = joined.split("\n") if texts else []
    if not _OTHER.search(joined) and len(plain) == len(texts):
        try:
            return np.fromiter(map(float, plain), np.float64, len(texts))
        except ValueError:
            pass
    return np.fromiter((_number(t, decimal) for t in texts), np.float64, len(texts))


def unit(text: str) -> str:
    """Return the currency or percent sign of a number's text; empty without one.

    >>> unit("$1,100.00"), unit("12 %"), unit("3.5")
    ('$', '%', '')
    """
    found = _DECORATED.fullmatch(text.replace("−", "-"))
    parts = () if found is None else found.group("unit", "before", "behind")
    return next((part for part in parts if part), "")


def plain(texts: Sequence[str]) -> bool:
    """Return whether all texts consist of characters of plain numbers."""
    return not _OTHER.search("\n".join(texts))


def _number(text: str, decimal: str) -> float:
    if decimal == "." and _PLAIN.fullmatch(text):
        return float(text)
    found = _DECORATED.fullmatch(text.replace("−", "-"))
    if found is None:
        if len(text) < 10 and text.lower().lstrip("+-") in _INFINITE:
            return -math.inf if text.startswith("-") else math.inf
        return math.nan
    if (found["debit"] is None) != (not text.endswith(")")):
        return math.nan
    body = found["body"].strip()
    head, mark, tail = body.partition(decimal)
    if grouped := _GROUPED.fullmatch(head):
        if grouped[1] == decimal:
            return math.nan
        head = re.sub(r"[\s.,'’]", "", head)
    plain = f"{head}.{tail}" if mark else head
    if not _WHOLE.fullmatch(head) or not _PLAIN.fullmatch(plain):
        return math.nan
    negative = (found["sign"] == "-") != (found["debit"] is not None)
    return -float(plain) if negative else float(plain)


# -- dates -------------------------------------------------------------------------


def looks_dated(text: str) -> bool:
    """Return whether a text may be a date."""
    return len(text) < 40 and _DIGITS.search(text) is not None


def dated(texts: Sequence[str], format: str) -> Any:
    """Parse texts as dates, a DatetimeIndex in UTC; NaT for other texts."""
    import pandas

    return pandas.to_datetime(list(texts), format=format, errors="coerce", utc=True)


def days(dates: Any) -> np.ndarray:
    """Convert dates to days since 2000-01-01; NaN for NaT."""
    import pandas

    since = dates - pandas.Timestamp("2000-01-01", tz="UTC")
    return np.asarray(since / pandas.Timedelta(days=1), np.float64)


#: The parts of a date that may be features of their own.
PARTS: dict[Part, Callable[[Any], np.ndarray]] = {
    "year": lambda dates: np.asarray(dates.year, np.float64),
    "month": lambda dates: np.asarray(dates.month, np.float64),
    "weekday": lambda dates: np.asarray(dates.day_of_week, np.float64),
    "hour": lambda dates: np.asarray(dates.hour + dates.minute / 60, np.float64),
}
