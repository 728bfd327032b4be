"""Slips: the common mistakes, each as a wrong formula of a quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chainrule.explanation.marking.place import Place
from chainrule.notation.expressions import Expr

Z, A, LOSS, DELTA = ("z",), ("a",), ("loss",), ("delta",)
OF_WEIGHT, OF_BIAS, UPDATED = ("dW",), ("db",), ("W", "b")
GRADIENTS = OF_WEIGHT + OF_BIAS
BACK = DELTA + GRADIENTS


@dataclass(frozen=True)
class Slip:
    """A common mistake (slip) in working out a quantity.

    Attributes:
        name: what programs call it.
        kinds: for which kinds of quantities it is.
        of: the formulas that it makes; none where it cannot happen.
        told: what is said of it.
    """

    name: str
    kinds: tuple[str, ...]
    of: Callable[[Place], Iterable[Expr]]
    told: Callable[[], str]


def slip(
    kinds: tuple[str, ...], told: Callable[[], str]
) -> Callable[[Callable[[Place], Iterable[Expr]]], Slip]:
    """Declare the decorated function, which yields wrong formulas, as a slip."""

    def declare(of: Callable[[Place], Iterable[Expr]]) -> Slip:
        return Slip(of.__name__.rstrip("_"), kinds, of, told)

    return declare
