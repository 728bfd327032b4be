"""Statistics of data as they come: of features, of targets, of rows that repeat."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.graph.node import Array

#: So many numbers are looked at, of rows that lie evenly in the data.
NUMBERS = 2_000_000
#: Rows of the quick probe: known ones, and those that are asked.
KNOWN, ASKED, NEIGHBOURS = 1500, 400, 5
#: Steps of a standardised feature: products of such integers add up exactly, whatever
#: the order, so that the probe gives the same bits on any number of threads.
LEVELS = 127


def table(x: Any, most: int = NUMBERS) -> Array:
    """Return rows of features as a matrix, float64, at most so many numbers."""
    width = max(1, int(np.prod(x.shape[1:])))
    step = max(1, -(-len(x) * width // most))
    return np.asarray(x[::step], np.float64).reshape(-1, width)


@dataclass(frozen=True)
class Columns:
    """Features, looked at column by column.

    Attributes:
        rows: the matrix that was looked at, finite or not.
        names: of the columns, or None.
    """

    rows: Array
    names: tuple[str, ...] | None

    @cached_property
    def finite(self) -> Array:
        """The flags of finite numbers, one for each."""
        return np.isfinite(self.rows)

    @cached_property
    def means(self) -> Array:
        """The mean of each column, over its finite numbers."""
        counts = np.maximum(self.finite.sum(0), 1)
        return np.where(self.finite, self.rows, 0.0).sum(0) / counts

    @cached_property
    def deviations(self) -> Array:
        """The standard deviation of each column, over its finite numbers."""
        counts = np.maximum(self.finite.sum(0), 1)
        off = np.where(self.finite, self.rows - self.means, 0.0)
        return np.sqrt((off * off).sum(0) / counts)

    def name(self, column: int) -> str:
        """Return what a column is called: its name, or its number."""
        return str(column) if self.names is None else self.names[column]

    def constant(self) -> list[int]:
        """Return the columns that have one value alone."""
        rows = self.rows
        if len(rows) < 2:
            return []
        return np.flatnonzero((rows == rows[:1]).all(0)).tolist()

    def repeated(self) -> list[tuple[int, int]]:
        """Return pairs of columns with the same numbers, but for constant ones."""
        first: dict[int, int] = {}
        pairs: list[tuple[int, int]] = []
        constant = set(self.constant())
        for i, column in enumerate(np.ascontiguousarray(self.rows.T)):
            if i in constant:
                continue
            key = zlib.crc32(column.tobytes())
            j = first.setdefault(key, i)
            if j != i and np.array_equal(self.rows[:, j], column):
                pairs.append((j, i))
        return pairs


def digests(x: Any, most: int) -> list[bytes]:
    """Return the bytes of each row, of at most so many rows, for comparisons."""
    rows = np.asarray(x[:most])
    rows = np.ascontiguousarray(rows.reshape(len(rows), -1))
    return [row.tobytes() for row in rows]


@dataclass(frozen=True)
class Shared:
    """Rows that training and held-out data have in common.

    Attributes:
        share: of the held-out rows, which are training rows too.
        repeats: the share of training rows that repeat an earlier one.
        looked_at: the held-out rows that were compared.
    """

    share: float
    repeats: float
    looked_at: int


def shared(train: Any, held_out: Any, most: int = 20_000) -> Shared:
    """Return which share of the held-out rows stands among the training rows."""
    known = digests(train, most)
    asked = digests(held_out, most)
    there = set(known)
    both = sum(row in there for row in asked) / max(len(asked), 1)
    return Shared(both, 1 - len(there) / max(len(known), 1), len(asked))


def levels(train: Array, rows: Array) -> Array:
    """Return rows standardised by the training rows, in whole steps."""
    mean, deviation = train.mean(0), train.std(0)
    scale = np.where(deviation > 0, deviation, 1.0)
    steps = np.rint((rows - mean) / scale * (LEVELS / 4))
    return np.clip(steps, -LEVELS, LEVELS)


def neighbours(train: Array, asked: Array, count: int = NEIGHBOURS) -> Array:
    """Return the nearest training rows of each asked row, by standardised features.

    Features are rounded to whole steps, so that distances are exact integers.
    """
    a, b = levels(train, asked), levels(train, train)
    distances = (a * a).sum(1)[:, None] - 2 * (a @ b.T) + (b * b).sum(1)
    return np.argsort(distances, axis=1, kind="stable")[:, :count]
