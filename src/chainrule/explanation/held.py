"""Formulas that are held against the numbers that they stand for."""

from __future__ import annotations

import math

import numpy as np

from chainrule.graph.node import Array
from chainrule.notation.arithmetic import Quantity, evaluated
from chainrule.notation.expressions import Computed, Expr

#: The difference that rounding explains, relative to the largest number, by the bytes
#: of the narrowest numbers. A wrong formula is further off; the last digits are looked
#: at by :mod:`chainrule.explanation.checking`.
CLOSE = {8: 1e-6, 4: 1e-3, 2: 1e-1}


class Held:
    """The numbers of symbols, and of formulas that have been worked out from them.

    Args:
        numbers: of each symbol.
    """

    def __init__(self, numbers: dict[Expr, Quantity]) -> None:
        self.numbers = numbers
        self._known: dict[Expr, Quantity] = {}
        floats = [q.array.dtype for q in numbers.values() if q.array.dtype.kind != "i"]
        self._close = max((CLOSE.get(d.itemsize, 0.0) for d in floats), default=0.0)

    def value(self, e: Expr) -> Quantity | None:
        """Return what a formula comes to; None where it says no number."""
        if e not in self._known:
            try:
                self._known[e] = evaluated(e, self.numbers | self._known)
            except (ArithmeticError, ValueError, IndexError, TypeError):
                # As NumPy's functions refuse shapes, and ours indices.
                return None
        return self._known[e]

    def comes_to(self, e: Expr, array: Array) -> bool:
        """Return whether a formula comes to an array, whatever its shape."""
        made = self.value(e)
        if made is None:
            return False
        result = made.array
        if result.size == array.size:
            result = result.reshape(array.shape)
        try:
            result = np.broadcast_to(result, array.shape)
        except ValueError:
            return False
        with np.errstate(all="ignore"):
            gap = np.abs(result.astype(np.float64) - array.astype(np.float64))
        same = (result == array) | (np.isnan(result) & np.isnan(array))
        most = np.max(np.abs(array), initial=0.0, where=np.isfinite(array))
        limit = self._close if array.dtype.kind == "f" else 0.0
        return bool(np.all(same | (gap <= limit * float(most) + 1e-30)))

    def whole(self, e: Expr, shape: tuple[int, ...], kind: str) -> Expr:
        """Return a formula whose numbers lie in a shape; it is written alike."""
        made = self.value(e)
        if made is None or made.array.shape == shape:
            return e
        many = made.array.size == math.prod(shape)

        def how(a: Array) -> Array:
            a = np.asarray(a)
            return a.reshape(shape) if many else np.broadcast_to(a, shape)

        return Computed(e, (e,), how, ("whole", shape), kind)
