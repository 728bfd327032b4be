"""Weights of the past: a bounded number of points of a run, closer at its beginning.

A point is kept where the steps since the last one are a certain share of all steps, so
their number grows with the logarithm of the run's length. Where they are too many, or
too large, the share doubles and every second point goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from chainrule.graph.node import Array

#: Points, and bytes of all of them.
MOST, BYTES = 96, 256 << 20

Weights = Mapping[str, Array]


class Points:
    """The points of a run at which its weights are kept.

    >>> points = Points(most=8)
    >>> for step in range(1000):
    ...     points.offer(step, lambda: {"w": np.zeros(1)})
    >>> points.steps()[0], len(points.steps()) <= 8
    (0, True)
    """

    def __init__(self, most: int = MOST, size: int = BYTES) -> None:
        self.most, self.size = most, size
        self.ratio = 1.1
        self._kept: dict[int, Weights] = {}

    def steps(self) -> list[int]:
        """Return the steps whose weights are kept."""
        return [*self._kept]

    def wants(self, step: int) -> bool:
        """Return whether the weights of a step are worth a point."""
        last = next(reversed(self._kept), None)
        return last is None or (step > last and step >= last * self.ratio)

    def offer(self, step: int, weights: Callable[[], Weights]) -> None:
        """Keep the weights of a step, which a function returns, where it is a point."""
        if not self.wants(step):
            return
        self._kept[step] = weights()
        while len(self._kept) > self.most or self._bytes() > self.size:
            if len(self._kept) <= 2:
                return
            self._thin()

    def _bytes(self) -> int:
        one = next(iter(self._kept.values()))
        return len(self._kept) * sum(array.nbytes for array in one.values())

    def _thin(self) -> None:
        """Drop every second point, but neither the first nor the last one."""
        self.ratio = 1 + 2 * (self.ratio - 1)
        for step in self.steps()[-2:0:-2]:
            del self._kept[step]

    def at(self, step: int) -> tuple[int, Weights]:
        """Return the kept point nearest to a step: its own step, and its weights."""
        steps = np.array(self.steps())
        nearest = int(steps[np.abs(steps - step).argmin()])
        return nearest, self._kept[nearest]
