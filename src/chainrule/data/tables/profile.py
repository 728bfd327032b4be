"""Statistics of a table's columns over all rows, from which types are inferred."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chainrule.data.tables.cells import (
    DATES,
    MARKS,
    PARTS,
    Cells,
    Mark,
    MissingValues,
    Part,
    dated,
    days,
    fits_format,
    looks_dated,
    plain,
    unit,
)

#: Distinct texts that are counted, of a column and of all columns together.
COUNTED, COUNTED_IN_ALL = 10_000, 2_000_000
#: Distinct numbers that are counted: with more of them they are no codes.
CODES = 1_000
#: From this share of numbers on, texts in a column are exceptions.
MOSTLY = 0.95


@dataclass
class Statistics:
    """The count, sum, minimum and maximum of a table column's numbers."""

    count: int = 0
    total: float = 0.0
    min: float = np.inf
    max: float = -np.inf

    def add(self, values: np.ndarray, counts: np.ndarray) -> None:
        """Add values with their counts to a column's statistics; NaN is ignored."""
        known = ~np.isnan(values)
        if known.any():
            values, counts = values[known], counts[known]
            self.count += int(counts.sum())
            with np.errstate(over="ignore", invalid="ignore"):
                self.total += float((values * counts).sum())
            self.min = min(self.min, float(values.min()))
            self.max = max(self.max, float(values.max()))

    @property
    def mean(self) -> float:
        """The mean of a column's numbers, 0 if it has none."""
        return self.total / self.count if self.count else 0.0


@dataclass
class Profile:
    """The statistics of a table's column, from which its type is inferred.

    Attributes:
        name: the name of the column.
        marks: the marks of missing values.
        limit: the largest number of distinct texts that are counted.
        category: whether the texts are counted even where they are numbers.
        rows: the number of rows.
        empty: the number of missing cells, if the column is one of texts.
        counts: the number of rows with each text, of the first ``limit`` texts.
        counted: the number of cells counted until the limit was reached.
        full: whether the limit was reached.
        different: the share of distinct texts among the cells that were counted.
        numbers: statistics of the numbers, by decimal mark; a mark is removed when a
            cell is a number with the other one alone.
        numeric: the number of cells that are numbers with any mark.
        no_number: the number of missing cells, if the column is one of numbers.
        ambiguous: whether a cell is a different number with each of the two marks.
        odd: texts that are no number, with the line of the first of each.
        infinite: numbers beyond float32, with the line of the first.
        units: currencies and % of numbers, with the line of the first.
        whole: whether all numbers are whole.
        counting: whether each number is that of the row before, plus one.
        dates: statistics of the days, by format; a format is removed when a cell is
            no such date.
        parts: statistics of the parts of the dates, by format and part.
    """

    name: str
    marks: MissingValues
    limit: int = COUNTED
    category: bool = False
    rows: int = 0
    empty: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    counted: int = 0
    full: bool = False
    different: float = 0.0
    numbers: dict[Mark, Statistics] = field(
        default_factory=lambda: {mark: Statistics() for mark in MARKS}
    )
    numeric: int = 0
    no_number: int = 0
    ambiguous: bool = False
    odd: dict[str, int] = field(default_factory=dict)
    infinite: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    whole: bool = True
    counting: bool = True
    dates: dict[str, Statistics] = field(
        default_factory=lambda: {format: Statistics() for format in DATES}
    )
    parts: dict[tuple[str, Part], Statistics] = field(default_factory=dict)
    _last: float = np.nan

    def add(self, cells: Cells, lines: np.ndarray) -> None:
        """Add the cells of further rows to a column's statistics."""
        self.rows += len(lines)
        counts = cells.counts()
        missing = self._add_numbers(cells, counts, lines)
        if self.numeric:
            self.dates.clear()  # a column of dates holds nothing else
        if self.dates:
            self._add_dates(cells, counts, missing)
        self._add_texts(cells, counts)

    @property
    def mostly_numbers(self) -> bool:
        """A flag of a column's statistics: nearly all cells are numbers."""
        known = self.rows - self.no_number
        return self.numeric > 0 and self.numeric >= MOSTLY * known

    @property
    def needs_texts(self) -> bool:
        """A flag of a column's statistics: cells must be read as texts."""
        numbers = self.mostly_numbers and self.full and not self.category
        return not numbers or list(self.numbers) != ["."]

    def decimal(self) -> Mark:
        """Return a column's decimal mark; the point if both marks are possible."""
        return next(iter(self.numbers))

    def _add_numbers(
        self, cells: Cells, counts: np.ndarray, lines: np.ndarray
    ) -> np.ndarray:
        """Add a column's numbers to its statistics; return which cells are missing."""
        if self.rows > COUNTED and not self.numeric:  # texts: try one mark alone
            self.numbers = {self.decimal(): Statistics()}
        values = self._parsed(cells)
        read = values[self.decimal()]
        number = ~np.isnan([*values.values()]).all(axis=0)
        missing = cells.missing(self.marks, np.where(number, read, np.nan))
        number &= ~missing
        with np.errstate(invalid="ignore"):
            infinite = number & (np.abs(read) > np.finfo(np.float32).max)
        self.numeric += int(counts[number].sum())
        self.no_number += int(counts[missing].sum())
        for mark, statistics in self.numbers.items():
            usable = number & ~infinite
            statistics.add(np.where(usable, values[mark], np.nan), counts)
        self._add_order(read[cells.codes])
        for code in np.flatnonzero(infinite)[:3].tolist():
            self.infinite.setdefault(cells.texts[code], _line(cells, code, lines))
        for code in np.flatnonzero(~number & ~missing).tolist()[: 5 - len(self.odd)]:
            self.odd.setdefault(cells.texts[code], _line(cells, code, lines))
        codes = np.flatnonzero(number).tolist()
        if cells.values is not None or plain(cells.texts):
            codes = codes[:1]  # none has a unit
        for code in codes:
            mark = "" if cells.values is not None else unit(cells.texts[code])
            if mark not in self.units:
                self.units[mark] = _line(cells, code, lines)
        return missing

    def _parsed(self, cells: Cells) -> dict[Mark, np.ndarray]:
        """Return a column's numbers by decimal mark; drop contradicted marks."""
        values: dict[Mark, np.ndarray] = {m: cells.numbers(m) for m in self.numbers}
        if len(values) == 2:
            point, comma = values.values()
            is_point, is_comma = ~np.isnan(point), ~np.isnan(comma)
            self.ambiguous |= bool((is_point & is_comma & (point != comma)).any())
            if (is_point & ~is_comma).any():
                del self.numbers[","]
            elif (is_comma & ~is_point).any():
                del self.numbers["."]
        return values

    def _add_order(self, values: np.ndarray) -> None:
        """Note whether a column's numbers are whole, or are row numbers."""
        with np.errstate(invalid="ignore"):  # ∞ − ∞
            if self.whole:
                self.whole = not (values != np.floor(values))[~np.isnan(values)].any()
            if self.counting and len(values):
                steps = np.diff(values, prepend=self._last)
                first = np.isnan(self._last) and values[0] in (0, 1)
                self.counting = bool((steps[int(first) :] == 1).all())
                self._last = float(values[-1])

    def _add_dates(self, cells: Cells, counts: np.ndarray, missing: np.ndarray) -> None:
        """Add a column's dates to its statistics; drop contradicted formats."""
        codes = np.flatnonzero(~missing)
        texts = [cells.texts[code] for code in codes]
        if not all(map(looks_dated, texts[:20])):
            self.dates.clear()
        for format in list(self.dates) if texts else ():
            fits = fits_format(texts[0], format)  # most formats do not
            if not fits or np.isnat(dates := dated(texts, format)).any():
                del self.dates[format]
                continue
            self.dates[format].add(days(dates), counts[codes])
            for part, take in PARTS.items():
                statistics = self.parts.setdefault((format, part), Statistics())
                statistics.add(take(dates), counts[codes])

    def _add_texts(self, cells: Cells, counts: np.ndarray) -> None:
        """Count a column's distinct texts, up to a limit."""
        numbers = self.mostly_numbers and not self.category
        limit = min(self.limit, CODES) if numbers else self.limit
        if numbers and (self.full or len(cells) > limit):
            if not self.full:
                self.different = len(cells) / max(1, int(counts.sum()))
            self.full = True
            return
        known, missing = self.counts, cells.missing(self.marks)
        self.empty += int(counts[missing].sum())
        for text, gone, count in zip(cells.texts, missing, counts.tolist()):
            if gone:
                continue
            if text in known:
                known[text] += count
            elif len(known) < limit:
                known[text] = count
            else:
                self.full = True
            if not self.full:
                self.counted += count
        self.different = len(known) / max(1, self.counted)


def _line(cells: Cells, code: int, lines: np.ndarray) -> int:
    """Return the line number of the first row with a distinct cell."""
    return int(lines[cells.first_row(code)])
