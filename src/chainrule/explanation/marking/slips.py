"""Slips (common mistakes) of several kinds of quantities, and the table of all slips.

What slips come to from a student's own numbers is compared with what the student wrote;
nothing is guessed from names.

>>> from chainrule.explanation.derivation import derive
>>> place = Place(derive("2-2sigmoid-1sigmoid").formulas, "delta", 1)
>>> for e in SLIPS["slope_forgotten"].of(place):
...     print(e)
(W⁽²⁾)ᵀ δ⁽²⁾
"""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.explanation.derivation.keys import HATS, MEANS
from chainrule.explanation.derivation.objectives import OBJECTIVES, losses
from chainrule.explanation.marking import backward, forward, updating
from chainrule.explanation.marking.place import Place
from chainrule.explanation.marking.slip import (
    BACK,
    LOSS,
    UPDATED,
    Slip,
    Z,
    slip,
)
from chainrule.explanation.naming import symbol
from chainrule.explanation.signs import COUNT
from chainrule.notation import functions as f
from chainrule.notation.expressions import Expr, Number, Product
from chainrule.text import tr


def _sum() -> str:
    return tr("a sum where the mean is meant: the division is missing")


def _mean() -> str:
    return tr("divided by another number, or once too often")


def _sums(p: Place) -> Iterator[Expr]:
    """Yield the factors that turn a mean into a sum."""
    over = p.outputs if p.formulas.objective.over_outputs else 1
    if p.formulas.batch:
        yield COUNT
        if over > 1:
            yield Product("scale", (Number(over), COUNT))
    if over > 1:
        yield Number(over)


def _other_means(p: Place) -> Iterator[Expr]:
    """Yield the factors of a wrong or repeated division by a mean's count."""
    outputs = p.outputs
    if p.formulas.batch:
        yield 1 / COUNT
        if outputs > 1:
            yield 1 / Product("scale", (Number(outputs), COUNT))
            yield COUNT / Number(outputs)
            yield Number(outputs) / COUNT
    if outputs > 1:
        yield Number(1) / Number(outputs)


@slip(UPDATED + MEANS, _sum)
def step_of_sums(p: Place) -> Iterator[Expr]:
    """Yield an update with the mistake of n times the gradient: a sum for a mean."""
    for number in _sums(p):
        yield from updating.of_other_gradient(p, number)


@slip(UPDATED + MEANS, _mean)
def step_of_other_means(p: Place) -> Iterator[Expr]:
    """Yield an update with the mistake of a gradient divided wrongly."""
    for number in _other_means(p):
        yield from updating.of_other_gradient(p, number)


@slip(Z + LOSS + BACK + MEANS + HATS, lambda: tr("the sign is wrong"))
def sign(p: Place) -> Iterator[Expr]:
    """Yield a quantity with the mistake of a wrong sign, such as −ℒ."""
    yield -p.right


@slip(LOSS + BACK, lambda: tr("a factor ½ too many, or a 2 is missing"))
def half(p: Place) -> Iterator[Expr]:
    """Yield a quantity with the mistake of a factor ½, such as ½ ℒ."""
    yield f.scale(Number(0.5), p.right)


@slip(LOSS + BACK, lambda: tr("a factor 2 too many, or the ½ is missing"))
def double(p: Place) -> Iterator[Expr]:
    """Yield a quantity with the mistake of a factor 2, such as 2 ℒ."""
    yield f.scale(Number(2), p.right)


@slip(LOSS + BACK, _sum)
def sum_(p: Place) -> Iterator[Expr]:
    """Yield a quantity with the mistake of a sum for a mean, such as n ℒ."""
    for number in _sums(p):
        yield f.scale(number, p.right)


@slip(LOSS + BACK, _mean)
def other_mean(p: Place) -> Iterator[Expr]:
    """Yield a quantity with the mistake of a wrong division, such as ℒ/n."""
    for number in _other_means(p):
        yield f.scale(number, p.right)


@slip(LOSS, lambda: tr("another loss"))
def other_loss(p: Place) -> Iterator[Expr]:
    """Yield the loss with the mistake of another loss function."""
    z = symbol("z", p.last)
    for row in OBJECTIVES.values():
        if row.name != p.formulas.objective.name:
            yield losses(row, p.outputs, p.formulas.batch, z)[0]


#: By name, in the order in which they are named.
SLIPS: dict[str, Slip] = {
    row.name: row
    for declared in (vars(forward), vars(backward), vars(updating), globals())
    for row in declared.values()
    if isinstance(row, Slip)
}


def slips_of(place: Place) -> Iterator[tuple[Slip, Expr]]:
    """Yield every mistake (slip) that applies to a quantity, with its formula."""
    for row in SLIPS.values():
        if place.kind in row.kinds:
            for e in row.of(place):
                yield row, e
