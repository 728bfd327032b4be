"""Mistakes (slips) with an unknown number: another η, or a constant factor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.explanation.derivation.formulas import RATE
from chainrule.explanation.marking.ensemble import Numbers
from chainrule.explanation.marking.place import Place
from chainrule.explanation.marking.slip import Slip
from chainrule.explanation.marking.updating import parts
from chainrule.notation import functions as f
from chainrule.notation.arithmetic import computed
from chainrule.notation.expressions import Array, Expr, Number
from chainrule.text import tr

#: Of one number alone any ratio can be made: then only one of so few digits counts.
ROUND = 2


def other_rate(p: Place, given: Array, numbers: Numbers) -> Iterator[tuple[Slip, Expr]]:
    """Yield the mistake of another η that explains the student's numbers."""
    old, step = parts(p)
    slope = step.replaced({RATE: Number(1)})
    rate = float(numbers[RATE].array)
    for c in _ratios(computed(old, numbers) - given, computed(slope, numbers)):

        def told(c: float = c) -> str:
            return tr("another η: {found} in place of {rate}", found=c, rate=rate)

        yield (
            Slip("other_rate", (p.kind,), _none, told),
            old - step.replaced({RATE: Number(c)}),
        )


def other_factor(
    p: Place, given: Array, numbers: Numbers
) -> Iterator[tuple[Slip, Expr]]:
    """Yield the mistake of a constant factor in all of the student's numbers."""
    if given.size < 2:
        return
    made = np.asarray(computed(p.right, numbers))
    if made.size != given.size:
        return
    for c in _ratios(given, made.reshape(given.shape)):

        def told(c: float = c) -> str:
            return tr("all numbers are {factor} times what they should be", factor=c)

        yield Slip("factor", (p.kind,), _none, told), f.scale(Number(c), p.right)


def _ratios(top: Array, bottom: Array) -> Iterator[float]:
    """Yield rounded ratios of ``top`` to ``bottom``, by fewest digits first."""
    length = float(np.sum(bottom * bottom))
    if not length > 0 or not np.isfinite(length):
        return
    ratio = float(np.sum(top * bottom)) / length
    most = 4 if np.count_nonzero(bottom) > 1 else ROUND
    seen: set[float] = {0.0, 1.0}
    for digits in range(1, most + 1):
        c = float(f"{ratio:.{digits}g}")
        if c not in seen:
            seen.add(c)
            yield c


def _none(p: Place) -> Iterator[Expr]:
    yield from ()
