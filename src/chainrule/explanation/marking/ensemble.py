"""Ensembles of a network's numbers, each member rounded differently at every step.

The first member of an ensemble is exact. The others are those of people who round at
every step: each number that they carry on is off by up to a half of its last digit, up
or down at random (the same in every run). How far they are from the first says how far
a right answer may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.explanation.derivation.formulas import Formulas, keep, name_of, split
from chainrule.explanation.marking.place import right_of
from chainrule.explanation.marking.shapes import to_decimals
from chainrule.explanation.marking.written import resolution
from chainrule.notation.arithmetic import Quantity, computed
from chainrule.notation.expressions import Array, Expr

#: Members that round.
ROUNDING = 15
#: Chance meets the worst case hardly ever: so much more is allowed.
MARGIN = 2.0
#: What float64 loses at most, relative to the largest number of a quantity.
FLOATS = 1e-9

Numbers = dict[Expr, Quantity]


@dataclass(frozen=True, eq=False)
class Step:
    """One quantity that all members compute: by a formula, or from a written answer."""

    key: str
    ways: tuple[Expr, ...]
    values: Array | None = None
    half: Array | None = None


class Ensemble:
    """Copies of all quantities with different rounding errors; the first is exact.

    All but the first member are worked out when somebody asks for them.

    Args:
        formulas: of the network.
        start: the numbers that are given: x, y, W, b, n, η.
        digits: significant digits of what nobody wrote down.
        decimals: those of the sheet.
        n: how many samples there are.
    """

    def __init__(
        self,
        formulas: Formulas,
        start: Mapping[Expr, Quantity],
        digits: int,
        decimals: int,
        n: int,
    ) -> None:
        self.formulas, self.n = formulas, n
        self.digits, self.decimals = digits, decimals
        self.members = [dict(start) for _ in range(ROUNDING + 1)]
        self.log: list[Step] = []
        self.done = 0
        self.rng = np.random.default_rng(0)

    # -- going on ----------------------------------------------------------------------

    def carry(self, key: str, ways: Sequence[Expr]) -> None:
        """Compute a quantity that has no written answer, for all members.

        Several formulas that are equal are not so from rounded numbers: ŷ − y, and
        ∂ℒ/∂ŷ ⊙ f′(z). The members take turns with them.
        """
        self._note(Step(key, tuple(ways)))

    def carry_written(self, key: str, values: Array, half: Array) -> None:
        """Set a quantity of all members to a written answer with rounding errors."""
        self._note(Step(key, (), values, half))

    def _note(self, step: Step) -> None:
        self.log.append(step)
        self._take(0, step)

    def _take(self, i: int, step: Step) -> None:
        member = self.members[i]
        if step.ways:
            way = step.ways[i % len(step.ways)]
            array = shaped(self, step.key, computed(way, member))
            half = self._half(step.key, array) if i else None
        else:
            assert step.values is not None
            array, half = step.values, step.half
        if i and half is not None:
            signs = self.rng.integers(0, 2, np.shape(array)) * 2.0 - 1.0
            array = array + half * signs
        self._put(member, step.key, array)

    def _half(self, key: str, array: Array) -> Array:
        decimals = self.decimals if to_decimals(self.formulas, key) else 0
        half = resolution(array, self.digits, decimals)
        return np.where(array == 0, 0.0, half)  # rounding leaves 0 as it is

    def _others(self) -> list[Numbers]:
        """Return all members but the first, with all quantities computed."""
        for step in self.log[self.done :]:
            for i in range(1, len(self.members)):
                self._take(i, step)
        self.done = len(self.log)
        return self.members[1:]

    # -- asking ------------------------------------------------------------------------

    def held(self, key: str) -> Array:
        """Return the numbers of a quantity in the first (exact) member."""
        return self.members[0][name_of(self.formulas, key)].array

    def first(self, key: str, e: Expr) -> Array:
        """Return an expression's value in the first member, reshaped to a quantity."""
        return shaped(self, key, self.raw(e))

    def raw(self, e: Expr) -> Array:
        """Return an expression's value in the first member, in its own shape."""
        return np.asarray(computed(e, self.members[0]), np.float64)

    def every(self, key: str, ways: Sequence[Expr]) -> Iterator[Array]:
        """Yield the value of a formula in each member but the first."""
        for i, member in enumerate(self._others(), 1):
            yield shaped(self, key, computed(ways[i % len(ways)], member))

    def tried(self, keys: Sequence[str], changed: str, e: Expr, last: str) -> Array:
        """Return quantity ``last`` of the first member, with ``changed`` set to ``e``.

        Args:
            keys: what is worked out anew between the two, and ``last``.
            changed: where something else is done.
            e: what is done there.
            last: what it comes to.
        """
        return self._tried(self.members[0], keys, changed, e, last)

    def tried_by_every(
        self, keys: Sequence[str], changed: str, e: Expr, last: str
    ) -> Iterator[Array]:
        """Yield quantity ``last`` of the other members, with ``changed`` as ``e``."""
        for member in self._others():
            yield self._tried(member, keys, changed, e, last)

    def _tried(
        self, member: Numbers, keys: Sequence[str], changed: str, e: Expr, last: str
    ) -> Array:
        made = computed(e, member)
        if changed == last:
            return shaped(self, last, made)
        numbers = dict(member)
        self._put(numbers, changed, shaped(self, changed, made))
        for key in keys:
            value = computed(right_of(self.formulas, key), numbers)
            self._put(numbers, key, shaped(self, key, value))
        return numbers[name_of(self.formulas, last)].array

    def _put(self, numbers: Numbers, key: str, array: Array) -> None:
        keep(self.formulas, numbers, key, array, self.n)


def shaped(ensemble: Ensemble, key: str, made: Array) -> Array:
    """Return an array in a quantity's shape if the number of elements fits."""
    array = np.asarray(made, np.float64)
    shape = ensemble.formulas.shape(key, ensemble.n)
    if array.size == np.prod(shape, dtype=int):
        return array.reshape(shape)
    # δ = 1 · g stands for each sample, and 1 for each element.
    spreads = array.size == 1 and split(key)[0] != "loss"
    return np.broadcast_to(array, shape) if spreads else array


def bands(first: Array, others: Iterable[Array]) -> Iterator[Array]:
    """Yield tolerances around the first member's numbers, from rounding errors.

    What floats alone lose, and then more and more, as others are asked for.
    """
    floats = FLOATS * float(np.max(np.abs(first), initial=0.0))
    widest = np.zeros_like(first)
    yield widest + floats
    for values in others:
        apart = np.nan_to_num(np.abs(values - first), nan=0.0, posinf=0.0)
        widest = np.maximum(widest, apart)
        yield MARGIN * widest + floats
