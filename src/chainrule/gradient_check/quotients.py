"""Numerical slopes of a function by difference quotients at several steps ε.

The quotient (f(ε) − f(−ε)) / 2ε is off by about ε² f‴/6, and by about η/ε, since the
values of f are rounded by some η. So it is best between large and small ε; of the sine
at 1 in float64:

    ε       0.06    4e-3    2e-4    2e-5    1e-6    6e-8
    error   4e-4    1e-6    5e-9    2e-11   2e-11   4e-10

What is left of ε² falls out of two quotients (Richardson 1911). From how far they agree
follows how much of the slope is known. Where the quotients of the two sides have other
limits, there is no slope: a *kink*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.graph.node import Array

#: ε for a first and a second look; half of each is tried, too.
QUICK = (2.0**-9, 2.0**-18)
#: The ε of a closer look, largest first.
LADDER = tuple(4.0**-k for k in range(2, 14))
#: By what each of them is smaller than the one before.
RATIO = 4.0
#: A function that bends within all of them is looked at with ε so much smaller.
FINER = 2.0**-14
#: At a first look, gaps between the two sides up to this share are curvature.
KINK = 1e-4
#: Rounding may come to a few η.
SAFE = 8.0
#: How many times its estimated error an estimate may be off.
BARS = 10.0

Line = Callable[[float], Array]


@dataclass(frozen=True)
class Ladder:
    """Difference quotients of a function at several step sizes ε.

    Attributes:
        steps: ε, largest first.
        right: (f(ε) − f(0)) / ε.
        left: (f(0) − f(−ε)) / ε.
    """

    steps: Array
    right: Array
    left: Array

    @property
    def central(self) -> Array:
        """The central difference quotients (f(ε) − f(−ε)) / 2ε at each ε."""
        return (self.right + self.left) / 2


@dataclass(frozen=True)
class Judgement:
    """The result of comparing a gradient with difference quotients.

    Attributes:
        derivative: the number that was checked.
        kind: ``agrees``; ``differs``; ``kink``; ``jump`` where f itself has no limit;
            ``edge`` where f has no numbers on one side; ``precision`` where quotients
            tell too little.
        quotient: the best estimate of the slope; NaN where there is none.
        error: |derivative − quotient|, relative to the larger of them; where both are
            smaller than what quotients can tell, to that.
        known: within what the quotient is known.
        ladder: the quotients, where more than a first look was needed.
    """

    derivative: float
    kind: str
    quotient: float
    error: float
    known: float
    ladder: Ladder | None = None


@dataclass(frozen=True)
class Question:
    """A gradient to check, with the function along a line through the point.

    Attributes:
        derivative: the number that is checked.
        line: t ↦ terms whose sum is the function.
        noise: how much rounding may move the function, η.
        reach: the unit in which ε is counted.
        scale: a slope that counts as large here.
        tolerance: the largest relative error allowed.
        near: how far it may be to the end of the domain, where that is nearer than ε.
        finer: whether it is asked again, with smaller ε.
    """

    derivative: float
    line: Line
    noise: float
    reach: float
    scale: float
    tolerance: float
    near: float = 0.0
    finer: bool = False

    def answer(self) -> Judgement:
        """Return the result of comparing a gradient with difference quotients."""
        with np.errstate(all="ignore"):
            here = self.line(0.0)
            looks = (self._quick_look(here, step * self.reach) for step in QUICK)
            judgement = next(filter(None, looks), None) or self._closer_look(here)
        if judgement.kind == "edge" and 0.0 < self.near < self.reach:
            return replace(self, reach=self.near, near=0.0).answer()
        if not self.finer and self._may_bend(judgement):
            finer = self.reach * FINER
            closer = replace(self, reach=finer, finer=True).answer()
            return judgement if closer.kind == "jump" else closer
        return judgement

    def _may_bend(self, judgement: Judgement) -> bool:
        """Return whether a gradient check's step sizes ε may be too large."""
        least = LADDER[-1] * self.reach
        hidden = judgement.known * least > BARS * SAFE * self.noise
        return judgement.kind == "jump" or (judgement.kind == "precision" and hidden)

    # -- two steps, which are enough for almost all -----------------------------------

    def _quick_look(self, here: Array, step: float) -> Judgement | None:
        wide = self._sides(here, step)
        if not np.isfinite((self.derivative, *wide)).all():
            return None
        narrow = self._sides(here, step / 2)
        slope = (4 * sum(narrow) - sum(wide)) / 6
        known = 2 * SAFE * self.noise / step
        largest = max(abs(slope), *map(abs, narrow))
        gap, before = (abs(right - left) for right, left in (narrow, wide))
        bent = gap > 0.75 * before and gap > KINK * largest + 2 * known
        off = abs(self.derivative - slope)
        close = off <= self.tolerance * self._larger(slope) + known
        if not np.isfinite(slope) or bent or not close or self._is_vague(known):
            return None
        error = self._relative(slope, known)
        return Judgement(self.derivative, "agrees", slope, error, known)

    def _sides(self, here: Array, step: float) -> tuple[float, float]:
        right = float(np.sum(self.line(step) - here)) / step
        left = float(np.sum(here - self.line(-step))) / step
        return right, left

    # -- many steps -------------------------------------------------------------------

    def _closer_look(self, here: Array) -> Judgement:
        steps = np.array(LADDER) * self.reach
        values = np.array([self._sides(here, step) for step in steps])
        ladder = Ladder(steps, values[:, 0], values[:, 1])
        sides = (ladder.right, ladder.left)
        right, left = (limit(q, steps, 1, self.noise) for q in sides)
        slope, known = limit(ladder.central, steps, 2, self.noise)
        kind = self._irregular(ladder, float(np.sum(np.abs(here))), right, left)
        if kind is None and not self._is_known(slope, known):
            kind = "differs" if self._is_off(slope, BARS * known) else "agrees"
            small = known <= self.tolerance * abs(ladder.central[0])
            if kind == "agrees" and self._is_vague(known) and not small:
                kind = "precision"
        elif kind is None:
            allowed = self.tolerance * self._larger(slope)
            kind = "differs" if self._is_off(slope, allowed) else "agrees"
        error = self._relative(slope, known if kind == "agrees" else 0.0)
        return Judgement(self.derivative, kind, slope, error, known, ladder)

    def _irregular(
        self,
        ladder: Ladder,
        size: float,
        right: tuple[float, float],
        left: tuple[float, float],
    ) -> str | None:
        """Return why a function has no slope: an edge, jump or kink, or None."""
        finite = [bool(np.isfinite(q[-3:]).all()) for q in (ladder.right, ladder.left)]
        if not all(finite):
            return "edge"
        rounding = 8 * SAFE * self.noise + 1e-12 * size
        for q in (ladder.right, ladder.left):
            rise = np.abs(q * ladder.steps)
            if rise[-1] > max(rounding, 0.75 * rise[-4]):
                return "jump"
            if (rise[-5:] > rounding).all() and _grows(q):
                return "edge"
        gap, bars = abs(right[0] - left[0]), BARS * (right[1] + left[1])
        largest = max(abs(right[0]), abs(left[0]))
        return "kink" if gap > bars + self.tolerance * largest else None

    # -- what counts as close ---------------------------------------------------------

    def _larger(self, slope: float) -> float:
        return max(abs(self.derivative), abs(slope))

    def _is_off(self, slope: float, allowed: float) -> bool:
        off = abs(self.derivative - slope)
        return not (np.isfinite(off) and off <= allowed)

    def _is_known(self, slope: float, known: float) -> bool:
        return known <= self.tolerance * self._larger(slope)

    def _is_vague(self, known: float) -> bool:
        """Return whether the quotients' error is too large to judge a gradient."""
        return not known <= self.tolerance * self.scale

    def _relative(self, slope: float, known: float) -> float:
        off = abs(self.derivative - slope)
        if not np.isfinite(off):
            return float("inf")
        least = known / self.tolerance
        return off / max(self._larger(slope), least) if off else 0.0


def limit(q: Array, steps: Array, order: int, noise: float) -> tuple[float, float]:
    """Return the limit of difference quotients as ε → 0, and its error.

    Args:
        q: quotients, whose error falls like ε to this ``order``.
        steps: their ε, each the :data:`RATIO`-th part of the one before.
        order: 1 for those of one side, 2 for central ones.
        noise: how much rounding moves the function.

    >>> steps = np.array(LADDER)
    >>> q = ((1 + steps) ** 3 - (1 - steps) ** 3) / (2 * steps)
    >>> value, known = limit(q, steps, 2, 1e-16)
    >>> round(value, 12), known < 1e-12
    (3.0, True)
    """
    factor = RATIO**order
    better = (factor * q[1:] - q[:-1]) / (factor - 1)
    apart = np.abs(np.diff(better))
    # What a quotient tells, all later ones must tell, too, but for their rounding.
    later = np.abs(better[:, None] - better[None, :]) - SAFE * noise / steps[None, 1:]
    missed = np.max(np.triu(later), axis=1, initial=0.0)
    missed[-1] = apart[-1]
    # More rounding than was thought of shows where ε is smallest.
    seen = np.nan_to_num(np.sort(apart[-6:] * steps[-6:])[1], nan=0.0)
    known = missed + SAFE * max(noise, float(seen)) / steps[1:]
    known = np.nan_to_num(known, nan=np.inf)
    best = int(np.argmin(known))
    return float(better[best]), float(known[best])


def along(gradient: Array, direction: Array) -> float:
    """Return the directional derivative ⟨∇f, d⟩, without terms 0 · ∞."""
    moved = direction != 0
    return float(np.sum(gradient[moved] * direction[moved]))


def _grows(q: Array) -> Any:
    """Return whether difference quotients diverge as ε → 0, as √x's at 0."""
    tail = np.abs(q[-5:])
    return bool((tail[1:] > 1.5 * tail[:-1]).all() and tail[-1] > 10 * np.abs(q[0]))
