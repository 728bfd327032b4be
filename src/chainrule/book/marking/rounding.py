"""A network's numbers with bounds on their rounding errors, to mark answers.

Whoever rounds at every step carries errors on. Here each number has its own error, half
a unit of its last digit, and what the errors of the numbers that it is worked out from
come to: each of these is moved by its error, one after the other, and what changes in
the result is added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.book.derivation.formulas import keep, name_of, split
from chainrule.book.marking.place import right_of
from chainrule.book.marking.shapes import OF_SAMPLES, to_decimals
from chainrule.book.marking.sources import Sources
from chainrule.book.marking.written import resolution
from chainrule.notation.arithmetic import Quantity, computed
from chainrule.notation.expressions import Array, Expr

Numbers = dict[Expr, Quantity]


class Rounded:
    """A network's quantities with bounds on their rounding errors.

    Args:
        sources: which quantity is worked out from which.
        start: the numbers that are given: x, y, W, b, n, η.
        digits: significant digits of what nobody wrote down.
        decimals: those of the sheet.
        n: the number of samples.
    """

    def __init__(
        self,
        sources: Sources,
        start: Mapping[Expr, Quantity],
        digits: int,
        decimals: int,
        n: int,
    ) -> None:
        self.formulas, self.sources, self.n = sources.formulas, sources, n
        self.digits, self.decimals = digits, decimals
        self.numbers: Numbers = dict(start)
        self._ways: dict[str, Sequence[Expr]] = {}
        self._halves: dict[str, Array] = {}
        self._errors: dict[str, Array] = {}

    # -- set ---------------------------------------------------------------------------

    def compute(self, key: str, ways: Sequence[Expr]) -> None:
        """Compute a quantity of an exercise that has no written answer.

        Formulas that are equal are not so from rounded numbers, such as ŷ − y and
        ∂ℒ/∂ŷ ⊙ f′(z): the first one counts, and the largest error.
        """
        array = self.value(key, ways[0])
        decimals = self.decimals if to_decimals(self.formulas, key) else 0
        self._set(key, ways, array, resolution(array, self.digits, decimals))

    def write(self, key: str, values: Array, half: Array) -> None:
        """Set a quantity to a student's answer that was rounded by up to ``half``."""
        self._set(key, (), values, half)

    def _set(self, key: str, ways: Sequence[Expr], array: Array, half: Array) -> None:
        keep(self.formulas, self.numbers, key, array, self.n)
        self._ways[key] = ways
        self._halves[key] = np.where(self[key] == 0, 0.0, half)  # 0 is never rounded
        later = self.sources.order[self.sources.order.index(key) :]
        for other in later:
            self._errors.pop(other, None)

    # -- asked for ---------------------------------------------------------------------

    def __getitem__(self, key: str) -> Array:
        """Return the numbers of a network's quantity by key."""
        return self.numbers[name_of(self.formulas, key)].array

    def value(self, key: str, e: Expr) -> Array:
        """Return a formula's value, in a network quantity's shape where it fits."""
        return self._shaped(key, computed(e, self.numbers))

    def raw(self, e: Expr) -> Array:
        """Return a formula's value as an array, in its own shape."""
        return np.asarray(computed(e, self.numbers), np.float64)

    def error(self, key: str) -> Array:
        """Return the bound on the rounding error of each number of a quantity."""
        if key not in self._errors:
            carried = self.error_of(key, self._ways[key])
            self._errors[key] = self._halves[key] + carried
        return self._errors[key]

    def error_of(self, key: str, ways: Sequence[Expr]) -> Array:
        """Return the bound on the rounding error of a quantity's formulas."""
        largest = np.zeros(self.formulas.shape(key, self.n))
        for e in ways:
            largest = np.maximum(largest, self._error_of(key, e))
        return largest

    def _error_of(self, key: str, e: Expr) -> Array:
        exact = self.value(key, e)
        total = np.zeros_like(exact)
        for source in self.sources.used(key, e) & self._halves.keys():
            array, error = self[source], self.error(source)
            # Of a sample alone: all samples are moved at once.
            apart = all(split(k)[0] in OF_SAMPLES for k in (key, source))
            places = (
                [(slice(None), j) for j in range(array.shape[-1])]
                if apart
                else [tuple(at) for at in np.argwhere(error)]
            )
            for at in places:
                other, changed = dict(self.numbers), array.copy()
                changed[at] += error[at]
                keep(self.formulas, other, source, changed, self.n)
                value = self._shaped(key, computed(e, other))
                total = total + np.nan_to_num(np.abs(value - exact))
        return total

    def tried(self, keys: Sequence[str], changed: str, e: Expr, last: str) -> Array:
        """Return a quantity's numbers, recomputed with a wrong formula for another.

        Args:
            keys: what is worked out anew between the two, and ``last``.
            changed: the quantity that is set.
            e: what it is set to.
            last: the quantity that is asked for.
        """
        value = computed(e, self.numbers)
        if changed == last:
            return self._shaped(last, value)
        numbers = dict(self.numbers)
        keep(self.formulas, numbers, changed, self._shaped(changed, value), self.n)
        for key in keys:
            value = self._shaped(key, computed(right_of(self.formulas, key), numbers))
            keep(self.formulas, numbers, key, value, self.n)
        return numbers[name_of(self.formulas, last)].array

    def _shaped(self, key: str, value: Array) -> Array:
        """Return an array in a quantity's shape if the number of elements fits."""
        array, shape = np.asarray(value, np.float64), self.formulas.shape(key, self.n)
        if array.size == np.prod(shape, dtype=int):
            return array.reshape(shape)
        # δ = 1 · g stands for each sample, and 1 for each element.
        spreads = array.size == 1 and split(key)[0] != "loss"
        return np.broadcast_to(array, shape) if spreads else array
