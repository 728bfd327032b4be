"""The numbers of a network worked out many times, each time rounded otherwise.

The first member of an ensemble is exact. The others are those of people who round at
every step: each number that they carry on is off by up to a half of its last digit, up
or down at random (the same in every run). How far they are from the first says how far
a right answer may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from chainrule.explanation.derivation.formulas import Formulas, keep, name_of, split
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


class Ensemble:
    """The numbers of all quantities, as often as there are members.

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
        self.rng = np.random.default_rng(0)

    def work_out(self, key: str, e: Expr) -> list[Array]:
        """What an expression comes to for each member, in the shape of a quantity."""
        return [shaped(self, key, computed(e, m)) for m in self.members]

    def by_all_ways(self, key: str, ways: Sequence[Expr]) -> list[Array]:
        """The same by several formulas that are equal; the members take turns.

        From rounded numbers they are not equal: ŷ − y, and ∂ℒ/∂ŷ ⊙ f′(z).
        """
        return [
            shaped(self, key, computed(ways[i % len(ways)], member))
            for i, member in enumerate(self.members)
        ]

    def exact(self, e: Expr) -> Array:
        """What it comes to for the first member, in its own shape."""
        return np.asarray(computed(e, self.members[0]), np.float64)

    def carry(self, key: str, values: Iterable[Array]) -> None:
        """Go on with numbers that nobody wrote down."""
        for i, (member, array) in enumerate(zip(self.members, values, strict=True)):
            half = resolution(array, self.digits, self.decimals) if i else 0.0
            self._put(member, key, array + half * self._signs(array))

    def carry_written(self, key: str, values: Array, half: Array) -> None:
        """Go on with an answer; what was written may be rounded from what was used."""
        for i, member in enumerate(self.members):
            signs = self._signs(values) if i else 0.0
            self._put(member, key, values + half * signs)

    def tried(self, keys: Iterable[str], changed: str, e: Expr, last: str) -> list[Array]:
        """``last`` of each member, if ``changed`` were worked out by ``e``.

        Args:
            keys: what is worked out anew between the two.
            changed: where something else is done.
            e: what is done there.
            last: what it comes to.
        """
        return [self._tried(m, keys, changed, e, last) for m in self.members]

    def tried_exactly(
        self, keys: Iterable[str], changed: str, e: Expr, last: str
    ) -> Array:
        """The same of the first member alone."""
        return self._tried(self.members[0], keys, changed, e, last)

    def _tried(
        self, member: Numbers, keys: Iterable[str], changed: str, e: Expr, last: str
    ) -> Array:
        made = computed(e, member)
        if changed == last:
            return shaped(self, last, made)
        numbers = dict(member)
        self._put(numbers, changed, shaped(self, changed, made))
        for key in keys:
            value = computed(self.formulas.all[key].sides[-1], numbers)
            self._put(numbers, key, shaped(self, key, value))
        return numbers[name_of(self.formulas, last)].array

    def _put(self, numbers: Numbers, key: str, array: Array) -> None:
        keep(self.formulas, numbers, key, array, self.n)

    def _signs(self, array: Array) -> Array:
        return self.rng.integers(0, 2, np.shape(array)) * 2.0 - 1.0


def shaped(ensemble: Ensemble, key: str, made: Array) -> Array:
    """Numbers in the shape of a quantity, where they are as many."""
    array = np.asarray(made, np.float64)
    shape = ensemble.formulas.shape(key, ensemble.n)
    if array.size == np.prod(shape, dtype=int):
        return array.reshape(shape)
    # δ = 1 · g stands for each sample, and 1 for each element.
    spreads = array.size == 1 and split(key)[0] != "loss"
    return np.broadcast_to(array, shape) if spreads else array


def band(values: list[Array]) -> Array:
    """How far a right answer may be from the first, by rounding on the way."""
    first = values[0]
    apart = [np.abs(v - first) for v in values[1:]]
    widest = np.maximum.reduce(apart) if apart else np.zeros_like(first)
    scale = float(np.max(np.abs(first), initial=0.0))
    return MARGIN * np.nan_to_num(widest, nan=0.0, posinf=0.0) + FLOATS * scale
