"""Losses and scores of a run, as many as a page can show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.graph.node import Array

#: Points of a curve; two neighbours become one where there are more.
POINTS = 1024


class Curve:
    """Means of a quantity over equally many steps each.

    >>> curve = Curve(points=4)
    >>> curve.extend(np.arange(8.0))
    >>> curve.width, curve.numbers().tolist()
    (2, [0.5, 2.5, 4.5, 6.5])
    """

    def __init__(self, points: int = POINTS) -> None:
        self.points, self.width = points, 1
        self._means = np.zeros(0)
        self._rest = np.zeros(0)

    def extend(self, numbers: Array) -> None:
        """Add the quantity of further steps."""
        rest = np.concatenate([self._rest, numbers.astype(np.float64)])
        while len(self._means) + len(rest) // self.width > self.points:
            even = len(self._means) // 2 * 2
            # What is left over goes back: it begins the next, wider point.
            back = np.repeat(self._means[even:], self.width)
            self._means = self._means[:even].reshape(-1, 2).mean(1)
            rest = np.concatenate([back, rest])
            self.width *= 2
        whole = len(rest) // self.width * self.width
        new = rest[:whole].reshape(-1, self.width).mean(1)
        self._means = np.concatenate([self._means, new])
        self._rest = rest[whole:]

    def numbers(self) -> Array:
        """Return the means; the last steps, where they are too few, have their own."""
        last = [self._rest.mean()] if len(self._rest) else []
        return np.concatenate([self._means, last]).astype(np.float32)

    def steps(self) -> Array:
        """Return the step that each mean ends with, counted from 1."""
        ends = self.width * np.arange(1, len(self._means) + 1)
        total = self.width * len(self._means) + len(self._rest)
        return np.append(ends, total) if len(self._rest) else ends


def table(
    epochs: list[dict[str, Any]], updates: list[int], most: int = POINTS
) -> dict[str, Array]:
    """Return the rows of a history's epochs as columns, thinned to ``most``.

    Args:
        epochs: the rows.
        updates: how many steps had been made at the end of each.
        most: how many rows are kept; the last one always is.
    """
    stride = max(1, math.ceil(len(epochs) / most))
    kept = [*range(stride - 1, len(epochs), stride)]
    if epochs and (not kept or kept[-1] != len(epochs) - 1):
        kept.append(len(epochs) - 1)
    names = [k for k in (epochs[-1] if epochs else {}) if k not in ("epoch", "seconds")]
    columns = {
        name: np.array([_number(epochs[i].get(name)) for i in kept], np.float32)
        for name in names
    }
    steps = np.array([updates[i] for i in kept], np.float64)
    return {"step": steps, **columns}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
