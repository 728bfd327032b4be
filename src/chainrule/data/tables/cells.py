"""Conversion of the cells of a table's column to numbers and dates."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np

from chainrule.data.checks import large
from chainrule.text import _

#: Marks of missing values in a column of texts, in lower case.
MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "?"})
#: Marks of missing values in a column of numbers or dates.
MISSING_NUMBERS = MISSING | {"none", "-", "--", "–", "—", ".", "..", "..."}

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
#: Formats of dates; a column that fits ``%d/%m`` and ``%m/%d`` is asked about.
_DAYS = (
    *("%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y"),
    *("%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%d %B %Y"),
    *("%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
ISO = "ISO8601"
#: Dates that NumPy reads as pandas does, in a hundredth of the time; "" is NaT.
_SIMPLE = re.compile(
    r"((?:[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?)?)"
)
#: Times with a zone, which NumPy reads without it.
_ZONED = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)"
    r"(?:Z|([+-])([01][0-9]|2[0-3]):?([0-5][0-9]))"
)
#: Texts that pandas takes for the moment at which it reads them.
_MOMENTS = frozenset({"now", "today"})
#: Rows of which equal cells are not looked for: that takes longer than they do.
FEW = 16
DATES = (ISO, *(day + time for day in _DAYS for time in _TIMES))
_DIGITS = re.compile(r"[0-9].*[-/.: ,].*[0-9]")


class MissingValues:
    """The texts and numbers that mark a missing value in a table.

    Args:
        further: texts besides the usual ones.

    Attributes:
        in_texts: the marks in a column of texts, in lower case.
        in_numbers: the marks in a column of numbers or dates, in lower case.
        values: numbers that are marks, such as −999.
        more: whether there are marks besides the usual ones.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        texts = {text.strip().lower() for text in further}
        self.more = bool(texts)
        self.in_texts, self.in_numbers = MISSING | texts, MISSING_NUMBERS | texts
        values = parsed(sorted(texts))
        self.values = frozenset(values[~np.isnan(values)].tolist())


class Cells:
    """The cells of a table's column in a chunk: distinct values, and a code per row.

    Args:
        codes: for each row the number of its distinct cell.
        texts: the distinct texts, without spaces around them; some may be equal.
        values: the numbers, where the cells were read as numbers; NaN is missing.
        given: for each text the number that its cell was, beside others; else NaN.
    """

    def __init__(
        self,
        codes: np.ndarray,
        texts: list[str] | None = None,
        values: np.ndarray | None = None,
        given: np.ndarray | None = None,
    ) -> None:
        self.codes, self.values, self.given = codes, values, given
        if texts is not None:
            self.texts = texts

    @classmethod
    def of(cls, array: np.ndarray) -> Cells:
        """Make a column's cells from an array; None, NaN and NaT are empty.

        Raises:
            TypeError: lists or other containers.
        """
        import pandas

        if array.ndim != 1:
            raise TypeError(_("shape {shape}", shape=array.shape))
        if array.dtype.kind in "iuf":
            codes, values = np.arange(len(array)), array.astype(np.float64)
            if array.dtype.kind == "f" or not large(values):
                return cls(codes, values=values)
            # Texts tell such numbers apart, as categories and as classes.
            return cls(codes, [str(number) for number in array.tolist()])
        if array.dtype.kind == "M" and len(array) <= FEW:  # as pandas writes them
            array = np.array([*map(pandas.Timestamp, array), None], object)[:-1]
        elif array.dtype.kind in "mM":
            array = pandas.Series(array).astype(object).to_numpy()
        if len(array) > FEW:
            codes, distinct = pandas.factorize(array, use_na_sentinel=False)
            missing = pandas.isna(distinct)
        else:
            codes, distinct = np.arange(len(array)), array.tolist()
            missing = [_is_missing(cell, pandas.NA) for cell in distinct]
        if (values := _values(distinct, missing)) is not None:
            return cls(codes, values=values)
        texts = ["" if no else str(t).strip() for t, no in zip(distinct, missing)]
        given = None
        if any(type(t) is not str for t in distinct):
            given = np.fromiter(map(given_number, distinct), np.float64, len(distinct))
        return cls(codes, texts, given=given)

    @cached_property
    def texts(self) -> list[str]:
        """A column's distinct cells as texts; whole numbers have no decimal point."""
        assert self.values is not None
        return [_text(value) for value in self.values.tolist()]

    def __len__(self) -> int:
        return len(self.texts if self.values is None else self.values)

    def counts(self) -> np.ndarray:
        """Return how many rows have each of a column's distinct cells."""
        return np.bincount(self.codes, minlength=len(self))

    def first_row(self, code: int) -> int:
        """Return the first row with one of a column's distinct cells."""
        return int((self.codes == code).argmax())

    def text(self, row: int) -> str:
        """Return the text of a row's cell in a column."""
        return self.texts[self.codes[row]]

    def numbers(self, decimal: str) -> np.ndarray:
        """Parse a column's distinct cells as numbers; NaN for other texts."""
        if self.values is not None:
            return self.values
        numbers = parsed(self.texts, decimal)
        if self.given is None:
            return numbers
        return np.where(np.isnan(self.given), numbers, self.given)

    def among(self, texts: Container[str]) -> np.ndarray:
        """Return, for each of a column's distinct cells, whether it is one of texts."""
        lower = (text.lower() in texts for text in self.texts)
        return np.fromiter(lower, bool, len(self))

    def missing(
        self, marks: MissingValues, values: np.ndarray | None = None
    ) -> np.ndarray:
        """Return, for each of a column's distinct cells, whether it is missing.

        Args:
            marks: the marks of missing values.
            values: the numbers of the cells, in a column of numbers.
        """
        if values is None:
            return self.among(marks.in_texts)
        missing = np.isnan(values)
        if self.values is None:
            codes = np.flatnonzero(missing)
            missing[codes] = [self.texts[i].lower() in marks.in_numbers for i in codes]
        if marks.values:
            missing |= np.isin(values, list(marks.values))
        return missing


def given_number(cell: Any) -> float:
    """Return the number that a cell is, whatever its decimal mark; NaN for others."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | np.number):
        return math.nan
    try:
        return float(cell)
    except (OverflowError, TypeError):  # too large, or complex
        return math.nan


def _is_missing(cell: Any, na: Any) -> bool:
    """Return whether a cell is None, NA, NaN or NaT; refuse containers."""
    hash(cell)
    return cell is None or cell is na or cell != cell


def _values(cells: Iterable[Any], missing: Iterable[bool]) -> np.ndarray | None:
    """Return objects that are all numbers, or missing, as float64; None for others.

    Raises:
        TypeError: bytes, which are no text.
    """
    kinds = {type(cell) for cell, no in zip(cells, missing) if not no}
    if bytes in kinds:
        raise TypeError(_("bytes"))
    numbers = int, float, np.integer, np.floating
    if not kinds or not all(issubclass(k, numbers) and k is not bool for k in kinds):
        return None
    try:
        array = np.array(
            [math.nan if no else c for c, no in zip(cells, missing)], float
        )
    except OverflowError:
        return None
    whole = any(issubclass(kind, int | np.integer) for kind in kinds)
    return None if whole and large(array) else array


def _text(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


# -- numbers -----------------------------------------------------------------------


def parsed(texts: Sequence[str], decimal: str = ".") -> np.ndarray:
    """Parse cell texts as numbers, exactly rounded; NaN for other texts.

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
    """Return the currency or percent sign of a cell's number; empty without one.

    >>> unit("$1,100.00"), unit("12 %"), unit("3.5")
    ('$', '%', '')
    """
    match = _DECORATED.fullmatch(text.replace("−", "-"))
    parts = () if match is None else match.group("unit", "before", "behind")
    return next((part for part in parts if part), "")


def plain(texts: Sequence[str]) -> bool:
    """Return whether cell texts consist only of characters of plain numbers."""
    return not _OTHER.search("\n".join(texts))


def _number(text: str, decimal: str) -> float:
    if decimal == "." and _PLAIN.fullmatch(text):
        return float(text)
    match = _DECORATED.fullmatch(text.replace("−", "-"))
    if match is None:
        if len(text) < 10 and text.lower().lstrip("+-") in _INFINITE:
            return -math.inf if text.startswith("-") else math.inf
        return math.nan
    if (match["debit"] is None) != (not text.endswith(")")):
        return math.nan
    body = match["body"].strip()
    head, mark, tail = body.partition(decimal)
    if grouped := _GROUPED.fullmatch(head):
        if grouped[1] == decimal:
            return math.nan
        head = re.sub(r"[\s.,'’]", "", head)
    plain = f"{head}.{tail}" if mark else head
    if not _WHOLE.fullmatch(head) or not _PLAIN.fullmatch(plain):
        return math.nan
    negative = (match["sign"] == "-") != (match["debit"] is not None)
    return -float(plain) if negative else float(plain)


# -- dates -------------------------------------------------------------------------


def looks_dated(text: str) -> bool:
    """Return whether a cell's text may be a date."""
    return len(text) < 40 and _DIGITS.search(text) is not None


def fits_format(text: str, format: str) -> bool:
    """Return whether a cell's text may be a date in a format.

    >>> fits_format("31.12.2024", "%d.%m.%Y"), fits_format("31.12.2024", "%m.%d.%Y")
    (True, False)
    """
    try:
        return format == ISO or time.strptime(text, format) is not None
    except ValueError:
        return False


def dated(texts: Sequence[str], format: str) -> np.ndarray:
    """Parse cell texts as dates in UTC, datetime64, with NaT for other texts.

    >>> dated(["31.12.2024", "today"], "%d.%m.%Y")
    array(['2024-12-31T00:00:00.000000',                        'NaT'],
          dtype='datetime64[us]')
    """
    if (dates := _simple_dates(texts, format)) is not None:
        return dates
    import pandas

    texts = ["" if text in _MOMENTS else text for text in texts]
    dates = pandas.to_datetime(texts, format=format, errors="coerce", utc=True)
    return dates.tz_localize(None).to_numpy()


def _simple_dates(texts: Sequence[str], format: str) -> np.ndarray | None:
    """Parse dates without pandas, which takes longer than to read a row.

    Returns:
        What pandas gives; None for texts that are left to it.
    """
    try:
        if format != ISO:
            if len(texts) > FEW:
                return None
            found = [
                datetime.strptime(text, format) if text else None for text in texts
            ]
            return np.array(found, "datetime64[us]")
        if all(map(_SIMPLE.fullmatch, texts)):
            return np.array(texts, "datetime64[us]")
        parts = [_ZONED.fullmatch(t) or _SIMPLE.fullmatch(t) for t in texts]
        if not all(parts):
            return None
        local = np.array([part[1] for part in parts if part], "datetime64[us]")
        return local - np.array([_offset(part) for part in parts if part], "m8[m]")
    except ValueError:  # the 30th of February
        return None


def _offset(match: re.Match[str]) -> int:
    """Return by how many minutes the clock of a date is ahead of UTC."""
    if match.re is _SIMPLE or match[2] is None:
        return 0
    minutes = 60 * int(match[3]) + int(match[4])
    return -minutes if match[2] == "-" else minutes


_DAY_0, _DAY = np.datetime64("2000-01-01"), np.timedelta64(1, "D")


def days(dates: np.ndarray) -> np.ndarray:
    """Convert dates to days since 2000-01-01; NaN for NaT."""
    return (dates - _DAY_0) / _DAY


def _count(dates: np.ndarray, unit: Literal["Y", "M", "D", "m"]) -> np.ndarray:
    """Count the whole years, months, days or minutes of dates since 1970."""
    return dates.astype(f"M8[{unit}]").view(np.int64).astype(np.float64)


#: The parts of a date that become features if they vary; of NaT they have no meaning.
#: 1970 began with a Thursday.
PARTS: dict[Part, Callable[[np.ndarray], np.ndarray]] = {
    "year": lambda dates: _count(dates, "Y") + 1970,
    "month": lambda dates: _count(dates, "M") % 12 + 1,
    "weekday": lambda dates: (_count(dates, "D") + 3) % 7,
    "hour": lambda dates: _count(dates, "m") % 1440 / 60,
}
