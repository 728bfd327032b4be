"""Typical mistakes in a formula, recognised in answers: a change of one part each.

A row of the table says how a part of a right formula is changed. The changed formulas
are worked out from the student's own numbers and compared with what the student wrote;
nothing is guessed from names.

>>> from chainrule.book.derivation import derive
>>> place = Place(derive("2-2sigmoid-1sigmoid").formulas, "delta", 1)
>>> for slip in slips_of(place):
...     if slip.name == "missing":
...         print(f"{slip.message()}: {slip.formula}")
∂ℒ/∂a⁽¹⁾ is missing: a⁽¹⁾ ⊙ (1 − a⁽¹⁾)
f′ is missing: (W⁽²⁾)ᵀ δ⁽²⁾
a⁽¹⁾ is missing: ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ (1 − a⁽¹⁾)
1 − a⁽¹⁾ is missing: ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ a⁽¹⁾
(W⁽²⁾)ᵀ is missing: δ⁽²⁾ ⊙ a⁽¹⁾ ⊙ (1 − a⁽¹⁾)
δ⁽²⁾ is missing: (W⁽²⁾)ᵀ ⊙ a⁽¹⁾ ⊙ (1 − a⁽¹⁾)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from chainrule.book.derivation.formulas import RATE
from chainrule.book.marking import changes
from chainrule.book.marking.changes import UPDATED, Change, is_slope
from chainrule.book.marking.place import Place
from chainrule.notation import functions as f
from chainrule.notation.expressions import Array, Expr, Number
from chainrule.text import tr


@dataclass(frozen=True)
class Misconception:
    """A kind of typical mistake in a formula: a name, changes and a message.

    Attributes:
        name: what programs call it.
        changes: the wrong formulas of a quantity that it leads to.
        message: the sentence about a changed part, and about what stands there.
    """

    name: str
    changes: Callable[[Place], Iterator[Change]]
    message: Callable[[str, str], str]


@dataclass(frozen=True, eq=False)
class Slip:
    """A typical mistake in one quantity's formula: the wrong formula and its part.

    Attributes:
        name: of the misconception.
        key: the quantity: of the answer, or one before it that was not given.
        formula: what is worked out in place of the right formula.
        part, other: what is changed, and what stands in its place.
    """

    name: str
    key: str
    formula: Expr
    part: Expr | str = ""
    other: Expr | str = ""

    def message(self) -> str:
        """Return a typical mistake as a sentence, in the current language."""
        if self.name == "missing" and (self.part == "f′" or is_slope(self.part)):
            return tr("f′ is missing")
        return MISCONCEPTIONS[self.name].message(str(self.part), str(self.other))


def slips_of(place: Place) -> Iterator[Slip]:
    """Yield the typical mistakes in a quantity's formula, without repeated formulas."""
    for name, row in MISCONCEPTIONS.items():
        seen = {place.right}
        for changed, *parts in row.changes(place):
            formula = place.expanded(changed)
            if formula not in seen:
                seen.add(formula)
                yield Slip(name, place.key, formula, *parts)


# -- numbers that nobody knows beforehand ----------------------------------------------


def fitted_slips(
    p: Place, answer: Array, value: Callable[[Expr], Array]
) -> Iterator[Slip]:
    """Yield mistakes of another η, or of a constant factor, that fit a wrong answer.

    Args:
        p: the quantity.
        answer: the student's numbers.
        value: works out an expression from the student's own numbers.
    """
    if p.kind in UPDATED:
        old, step = p.step
        slope = step.replaced({RATE: Number(1)})
        rate = f"{float(value(RATE)):.15g}"
        for c in _ratios(value(old) - answer, value(slope)):
            result = old - step.replaced({RATE: Number(c)})
            yield Slip("other_rate", p.key, result, rate, f"{c:g}")
        return
    right = value(p.right)
    if answer.size > 1 and answer.size == right.size:
        for c in _ratios(answer, right.reshape(answer.shape)):
            yield Slip("factor", p.key, f.scale(Number(c), p.right), f"{c:g}")


def _ratios(top: Array, bottom: Array) -> Iterator[float]:
    """Yield rounded ratios of two arrays, to guess a wrong factor, fewest digits first.

    Of one number alone any ratio can be had: then at most two digits count.
    """
    length = float(np.sum(bottom * bottom))
    if not length > 0 or not np.isfinite(length):
        return
    ratio = float(np.sum(top * bottom)) / length
    most = 4 if np.count_nonzero(bottom) > 1 else 2
    rounded = (float(f"{ratio:.{digits}g}") for digits in range(1, most + 1))
    yield from (c for c in dict.fromkeys(rounded) if c not in (0, 1))


# -- the table -------------------------------------------------------------------------


def _nothing(p: Place) -> Iterator[Change]:
    yield from ()


def _in_place_of(part: str, other: str) -> str:
    return tr("{other} in place of {part}", other=other, part=part)


_TABLE = (
    Misconception("old_for_new", changes.old_for_new, _in_place_of),
    Misconception(
        "missing", changes.missing, lambda part, _: tr("{part} is missing", part=part)
    ),
    Misconception(
        "twice", changes.twice, lambda part, _: tr("{part} is there twice", part=part)
    ),
    Misconception("other_function", changes.other_function, _in_place_of),
    Misconception("other_quantity", changes.other_quantity, _in_place_of),
    Misconception(
        "transposed",
        changes.transposed,
        lambda *_: tr("transposed: rows and columns are exchanged"),
    ),
    Misconception("other_product", changes.other_product, _in_place_of),
    Misconception(
        "plain_step",
        changes.plain_step,
        lambda *_: tr("a step of plain gradient descent: W − η ∂ℒ/∂W"),
    ),
    Misconception("exchanged", changes.exchanged, _in_place_of),
    Misconception(
        "epsilon_inside",
        changes.epsilon_inside,
        lambda *_: tr("ε stands inside the root: √(v + ε) for √v + ε"),
    ),
    Misconception(
        "other_time",
        changes.other_time,
        lambda *_: tr("t is off by one: it counts the steps from 1"),
    ),
    Misconception(
        "multiplied",
        changes.multiplied,
        lambda part, _: tr("multiplied by {part}, and not divided", part=part),
    ),
    Misconception(
        "factor_more",
        changes.factor_more,
        lambda part, _: tr("{part} is a factor too many", part=part),
    ),
    Misconception(
        "sign",
        changes.sign,
        lambda part, _: tr("the sign of {part} is wrong", part=part),
    ),
    Misconception(
        "other_mean",
        changes.other_mean,
        lambda part, _: tr(
            "a factor {part} too many: a sum for a mean, or another division",
            part=part,
        ),
    ),
    Misconception(
        "factor_two",
        changes.factor_two,
        lambda part, _: tr("a factor {part} too many", part=part),
    ),
    Misconception(
        "other_logarithm",
        changes.other_logarithm,
        lambda part, _: tr("a logarithm to the base {part}: it is ln", part=part),
    ),
    Misconception("other_loss", changes.other_loss, _in_place_of),
    Misconception(
        "other_rate",
        _nothing,
        lambda part, other: tr(
            "another η: {found} in place of {rate}", found=other, rate=part
        ),
    ),
    Misconception(
        "factor",
        _nothing,
        lambda part, _: tr(
            "all numbers are {factor} times what they should be", factor=part
        ),
    ),
)
#: By name, in the order in which they are tried.
MISCONCEPTIONS: dict[str, Misconception] = {row.name: row for row in _TABLE}
