"""Statistics of a table's columns over all rows, from which their types are decided."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chainrule.data.tables.cells import (
    DATES,
    MARKS,
    PARTS,
    Cells,
    Mark,
    Nothing,
    Part,
    dated,
    days,
    looks_dated,
    plain,
    unit,
)

#: Distinct texts that are counted, of a column and of all columns together.
COUNTED, COUNTED_IN_ALL = 10_000, 2_000_000
#: Numbers of so many kinds may be codes; more are not counted one by one.
KINDS = 1_000
#: From this share of numbers on, texts in a column are thought to be odd.
MOSTLY = 0.95


@dataclass
class Spread:
    """The count, sum, minimum and maximum of some numbers."""

    count: int = 0
    total: float = 0.0
    least: float = np.inf
    most: float = -np.inf

    def add(self, values: np.ndarray, counts: np.ndarray) -> None:
        """Add values with their counts; NaN is ignored."""
        there = ~np.isnan(values)
        if there.any():
            values, counts = values[there], counts[there]
            self.count += int(counts.sum())
            with np.errstate(over="ignore", invalid="ignore"):
                self.total += float((values * counts).sum())
            self.least = min(self.least, float(values.min()))
            self.most = max(self.most, float(values.max()))

    @property
    def mean(self) -> float:
        """The mean of the numbers, 0 without any."""
        return self.total / self.count if self.count else 0.0


@dataclass
class Profile:
    """The statistics of one column over all rows.

    Attributes:
        name: of the column.
        nothing: what stands for a missing value.
        most: how many distinct texts are counted.
        category: whether its texts are wanted even where they are numbers.
        rows: how many rows were seen.
        empty: how many of them are missing, in a column of texts.
        counts: how often each text comes up, of the first ``most`` ones.
        counted: how many cells were counted until there were more.
        full: whether there were more.
        different: the share of different ones among those that were counted.
        numbers: by decimal mark, those that are numbers; a mark leaves when a cell is a
            number with the other one alone.
        numeric: how many cells are numbers with any mark.
        no_number: how many are missing, in a column of numbers.
        differs: whether a cell is another number with another mark.
        odd: texts that are no number, and the line of the first of each.
        infinite: numbers that are not finite in float32, and the line of the first.
        units: currencies and % beside numbers, and the line of the first.
        whole: whether all numbers are whole.
        counting: whether each number is that of the row before, and one more.
        dates: by format, the days; a format leaves when a cell is no such date.
        parts: by format and part of a date, the spread of the part.
    """

    name: str
    nothing: Nothing
    most: int = COUNTED
    category: bool = False
    rows: int = 0
    empty: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    counted: int = 0
    full: bool = False
    different: float = 0.0
    numbers: dict[Mark, Spread] = field(
        default_factory=lambda: {mark: Spread() for mark in MARKS}
    )
    numeric: int = 0
    no_number: int = 0
    differs: bool = False
    odd: dict[str, int] = field(default_factory=dict)
    infinite: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    whole: bool = True
    counting: bool = True
    dates: dict[str, Spread] = field(
        default_factory=lambda: {format: Spread() for format in DATES}
    )
    parts: dict[tuple[str, Part], Spread] = field(default_factory=dict)
    _last: float = np.nan

    def add(self, cells: Cells, lines: np.ndarray) -> None:
        """Add the cells of further rows to the statistics."""
        self.rows += len(lines)
        counts = cells.counts()
        missing = self._look_at_numbers(cells, counts, lines)
        if self.numeric:
            self.dates.clear()  # a column of dates holds nothing else
        if self.dates:
            self._look_at_dates(cells, counts, missing)
        self._count(cells, counts)

    # -- numbers -------------------------------------------------------------------

    def _look_at_numbers(
        self, cells: Cells, counts: np.ndarray, lines: np.ndarray
    ) -> np.ndarray:
        """Count numbers and dates; return which distinct cells are missing."""
        if self.rows > COUNTED and not self.numeric:
            self._leave(",")  # texts: one look at them will do
        values = {mark: cells.numbers(mark) for mark in self.numbers}
        if len(values) == 2:
            point, comma = values.values()
            known = ~np.isnan(point), ~np.isnan(comma)
            self.differs |= bool((known[0] & known[1] & (point != comma)).any())
            if (known[0] & ~known[1]).any():
                self._leave(",")
            if (known[1] & ~known[0]).any():
                self._leave(".")
            number = known[0] | known[1]
        else:
            number = ~np.isnan(next(iter(values.values())))
        read = next(iter(values.values())) if len(values) == 1 else values["."]
        missing = cells.absent(self.nothing, np.where(number, read, np.nan))
        number &= ~missing
        with np.errstate(invalid="ignore"):
            infinite = number & (np.abs(read) > np.finfo(np.float32).max)
        for i in np.flatnonzero(infinite)[:3].tolist():
            self.infinite.setdefault(cells.text_of(i), int(lines[cells.first(i)]))
        self.numeric += int(counts[number].sum())
        self.no_number += int(counts[missing].sum())
        for mark, spread in self.numbers.items():
            usable = number & ~infinite
            spread.add(np.where(usable, values[mark], np.nan), counts)
        mark = next(iter(self.numbers))
        self._look_at_order(cells.spread(values[mark]))
        strange = np.flatnonzero(~number & ~missing)
        for i in strange[: max(0, 5 - len(self.odd))].tolist():
            self.odd.setdefault(cells.texts[i], int(lines[cells.first(i)]))
        if (places := np.flatnonzero(number)).size:
            if not cells.has_texts or plain(cells.texts):
                self.units.setdefault("", int(lines[cells.first(int(places[0]))]))
            else:
                self._look_at_units(cells, places, lines)
        return missing

    def _leave(self, mark: Mark) -> None:
        """Exclude a decimal mark that a cell contradicts; the last mark stays."""
        if len(self.numbers) > 1:
            self.numbers.pop(mark, None)

    def _look_at_order(self, values: np.ndarray) -> None:
        if self.whole:
            with np.errstate(invalid="ignore"):
                self.whole = not (values != np.floor(values))[~np.isnan(values)].any()
        if self.counting and len(values):
            with np.errstate(invalid="ignore"):  # ∞ − ∞
                steps = np.diff(values, prepend=self._last)
            first = np.isnan(self._last) and values[0] in (0, 1)
            self.counting = bool((steps[int(first) :] == 1).all())
            self._last = float(values[-1])

    def _look_at_units(
        self, cells: Cells, places: np.ndarray, lines: np.ndarray
    ) -> None:
        for i, text in zip(places.tolist(), cells.texts_at(places), strict=True):
            if (mark := unit(text)) not in self.units:
                self.units[mark] = int(lines[cells.first(i)])

    # -- dates ---------------------------------------------------------------------

    def _look_at_dates(
        self, cells: Cells, counts: np.ndarray, missing: np.ndarray
    ) -> None:
        places = np.flatnonzero(~missing)
        texts = [cells.texts[i] for i in places.tolist()]
        if not all(map(looks_dated, texts[:20])):
            self.dates.clear()
        for format in list(self.dates) if texts else ():
            if dated(texts[:20], format).isna().any():
                del self.dates[format]
                continue
            dates = dated(texts, format)
            if dates.isna().any():
                del self.dates[format]
                continue
            self.dates[format].add(days(dates), counts[places])
            for part, take in PARTS.items():
                spread = self.parts.setdefault((format, part), Spread())
                spread.add(take(dates), counts[places])

    # -- texts ---------------------------------------------------------------------

    def _count(self, cells: Cells, counts: np.ndarray) -> None:
        """Count the distinct texts, up to a limit."""
        numbers = self.mostly_numbers and not self.category
        most = min(self.most, KINDS) if numbers else self.most
        if numbers and (self.full or cells.distinct > most):
            if not self.full:
                self.different = cells.distinct / max(1, int(counts.sum()))
            self.full = True
            return
        gone = cells.absent(self.nothing)
        self.empty += int(counts[gone].sum())
        known = self.counts
        for i, text in enumerate(cells.texts):
            if gone[i]:
                continue
            count = int(counts[i])
            if text in known:
                known[text] += count
            elif len(known) < most:
                known[text] = count
            else:
                self.full = True
            if not self.full:
                self.counted += count
        self.different = len(known) / max(1, self.counted)

    @property
    def mostly_numbers(self) -> bool:
        """A flag: nearly all cells are numbers."""
        there = self.rows - self.no_number
        return self.numeric > 0 and self.numeric >= MOSTLY * there

    @property
    def texts_matter(self) -> bool:
        """A flag: further cells must be read as texts, not only as numbers."""
        plain = self.mostly_numbers and self.full and not self.category
        return not plain or list(self.numbers) != ["."]

    def decimal(self) -> Mark:
        """Return the column's decimal mark; the point if both are possible."""
        return next(iter(self.numbers))
