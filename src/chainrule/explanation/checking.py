"""A check of a step's explanation: its formulas against its numbers, in float64.

Two things are asked. Do the formulas hold? They are worked out in float64, from the
same x, y and parameters, where a wrong factor is not hidden by what float32 has
rounded. Are the numbers right? Each operation of the network is done once more, in
float64, with the numbers that it was given; the results differ by rounding alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import numpy as np

from chainrule.explanation.equations import Equation
from chainrule.explanation.loops import Loop
from chainrule.explanation.rounding import roundings
from chainrule.explanation.worked import Worked
from chainrule.graph.node import Array
from chainrule.notation.arithmetic import Quantity, computed
from chainrule.notation.expressions import Expr
from chainrule.notation.within import holds
from chainrule.text import ngettext, tr

#: The error that float64's rounding explains, relative to a formula's largest number.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Check:
    """The result of checking an explanation: errors of its formulas and numbers.

    Attributes:
        errors: for each equation the largest difference of its two sides, relative to
            the largest number in it.
        tolerance: what the rounding of float64 explains.
        roundings: for each number how far it is from its operation done in float64, in
            units of what rounding in its own dtype explains; none for a network in
            float64.
    """

    errors: Mapping[str, float]
    tolerance: float = TOLERANCE
    roundings: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def error(self) -> float:
        """The largest error of all formulas in a checked explanation."""
        return max(self.errors.values(), default=0.0)

    @property
    def rounding(self) -> float:
        """The largest rounding error in an explanation, relative to the allowed."""
        return max(self.roundings.values(), default=0.0)

    @property
    def ok(self) -> bool:
        """True if an explanation's formulas and numbers are right up to rounding."""
        return self.error <= self.tolerance and self.rounding <= 1

    def __str__(self) -> str:
        if not self.errors:
            return tr("checked: there is nothing to check")
        if not self.error <= self.tolerance:
            return tr(
                "checked: THE NUMBERS DISAGREE with the formulas: largest error"
                " {error} at {worst}, {tolerance} allowed",
                error=f"{self.error:.1e}",
                worst=max(self.errors, key=self.errors.__getitem__),
                tolerance=f"{self.tolerance:.0e}",
            )
        if not self.rounding <= 1:
            return tr(
                "checked: THE NUMBERS DISAGREE with the formulas: {worst} is {times}"
                " times as far from its value as rounding explains",
                worst=max(self.roundings, key=self.roundings.__getitem__),
                times=f"{self.rounding:.1e}",
            )
        if self.roundings:
            return tr(
                ngettext(
                    "checked: {n} formula worked out in float64; largest relative"
                    " error {error}. The numbers shown are those, but for rounding",
                    "checked: {n} formulas worked out in float64; largest relative"
                    " error {error}. The numbers shown are those, but for rounding",
                    n=len(self.errors),
                    error=f"{self.error:.1e}",
                )
            )
        return tr(
            ngettext(
                "checked: {n} formula worked out from the numbers shown; largest"
                " relative error {error}",
                "checked: {n} formulas worked out from the numbers shown; largest"
                " relative error {error}",
                n=len(self.errors),
                error=f"{self.error:.1e}",
            )
        )


def checked(shown: Worked, exact: Worked) -> Check:
    """Check an explanation's formulas and numbers against the step in float64.

    Args:
        shown: the step.
        exact: the same in float64; the step itself where it computes so.
    """
    errors: dict[str, float] = {}
    for own, other in zip_longest(shown.equations(), exact.equations()):
        if own is None:
            break
        known = exact.numbers.get(own.name)
        if known is None:
            continue
        for label, side in _sides(own, other):
            errors[label] = difference(side, exact.numbers, known.array)
    loops = zip_longest(_loops(shown), _loops(exact))
    for loop, other in loops:
        if loop is not None:
            errors |= _check_loop(loop, other or loop)
    return Check(errors, roundings={} if shown is exact else _rounded(shown))


def _sides(own: Equation, other: Equation | None) -> Iterator[tuple[str, Expr]]:
    """Yield the sides of an explanation's equation in float64, with labels.

    An expression may hold functions of the network's own dtype; where the same is
    written in float64 that one is taken.
    """
    sides = other.sides[1:] if other is not None else ()
    for mine, wide in zip_longest(own.sides[1:], sides):
        if mine is None:
            continue
        label = f"{own.name.text()} = {mine.text()}"
        same = wide is not None and wide.text() == mine.text()
        yield label, wide if wide is not None and same else mine


def _loops(step: Worked) -> list[Loop]:
    return [loop for section in step.sections for loop in section.loops]


def _check_loop(loop: Loop, exact: Loop) -> dict[str, float]:
    """Return the largest error of each equation of a loop over the loop's steps."""
    errors: dict[str, float] = {}
    for own, other in zip_longest(loop.equations, exact.equations):
        if own is None:
            break
        *_, (_, side) = _sides(own, other)
        label = f"{loop.name}: {own.text()}"
        errors[label] = max(
            difference(side, numbers, numbers[own.name].array)
            for numbers in exact.steps
        )
    return errors


def _rounded(shown: Worked) -> dict[str, float]:
    """Return the rounding error of each number that an explanation shows."""
    run, names = shown.run, shown.names.of
    arrays = dict(run.arrays)
    for value, name in names.items():
        quantity = shown.numbers.get(name)
        if quantity is not None and quantity.array.shape == arrays[value].shape:
            arrays[value] = quantity.array
    shares: dict[str, float] = {}
    for value, share in roundings(run.graph, arrays, run.n):
        assert value.node is not None
        name = names.get(value)
        label = value.node.primitive.name if name is None else name.text()
        shares[label] = max(share, shares.get(label, 0.0))
    for each in shown.equations():  # slopes and the like, which no operation gives
        quantity = shown.numbers.get(each.name)
        if quantity is not None and quantity.array.dtype == np.float64:
            error = difference(each.sides[-1], shown.numbers, quantity.array)
            shares[each.name.text()] = error / TOLERANCE
    return shares


def departures(shown: Worked) -> dict[Expr, Array]:
    """Return the error of each float32 number in an explanation against its formula.

    This is what float32 has rounded within the formula; the digits that it spoils are
    not shown.
    """
    gaps: dict[Expr, Array] = {}
    for each in shown.equations():
        quantity = shown.numbers.get(each.name)
        if (
            quantity is None
            or quantity.array.dtype != np.float32
            or len(each.sides) < 2
        ):
            continue
        gap = np.abs(_gap(each.sides[-1], shown.numbers, quantity.array))
        least = np.finfo(np.float32).tiny  # what underflows is 0
        gaps[each.name] = np.where(gap < least, 0.0, gap)
    return gaps


def _gap(side: Expr, numbers: Mapping[Expr, Quantity], shown: Array) -> Array:
    """Return the elementwise difference of a formula's value from the shown number."""
    result, shown = computed(side, numbers), shown.astype(np.float64)
    if result.size == shown.size:
        result = result.reshape(shown.shape)
    else:
        result = np.broadcast_to(result, shown.shape)
    same = (result == shown) | (np.isnan(result) & np.isnan(shown))
    with np.errstate(invalid="ignore"):  # of infinities, which are equal
        return np.where(same, 0.0, result - shown)


def difference(side: Expr, numbers: Mapping[Expr, Quantity], shown: Array) -> float:
    """Return the largest difference between a formula's value and the shown number.

    There is none where it is no larger than what the last digits of the numbers make:
    where larger numbers cancel, nothing else is left.
    """
    kind = shown.dtype
    gap = _largest(_gap(side, numbers, shown))
    if gap == 0:
        return 0.0
    size = _largest(shown.astype(np.float64))
    if not np.isfinite(gap):
        return float("inf")
    digits = 100 * np.finfo(kind).eps if kind.kind == "f" else np.inf
    if gap > digits * size and gap <= _rounding(side, numbers):
        return 0.0
    return gap / max(size, 1e-30)


def _largest(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0.0))


def _rounding(side: Expr, numbers: Mapping[Expr, Quantity]) -> float:
    """Return the change of a formula's value when its inputs are rounded."""
    dice = np.random.default_rng(0)

    def moved(q: Quantity) -> Quantity:
        if q.array.dtype.kind != "f":
            return q
        step = 4 * np.finfo(q.array.dtype).eps
        by = 1 + step * dice.choice([-1.0, 1.0], q.array.shape)
        return replace(q, array=q.array.astype(np.float64) * by)

    exact = computed(side, numbers)
    used = {k: q for k, q in numbers.items() if holds(side, k)}
    near = [computed(side, {k: moved(q) for k, q in used.items()}) for _ in range(3)]
    return max(_largest(other - exact) for other in near)
