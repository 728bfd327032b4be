"""The parts of documents: headings, sentences, formulas, numbers, tables, pictures.

Explanations, derivations, exercises and marks consist of them, so that each is written
once and shown by :mod:`~chainrule.explanation.terminal` as text, and by
:mod:`~chainrule.explanation.html` and :mod:`~chainrule.explanation.latex`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.explanation.equations import Equation
from chainrule.notation.arithmetic import COLUMNS, Quantity
from chainrule.notation.expressions import Array, Expr


@dataclass(frozen=True)
class Heading:
    """A heading: of the document (level 1), or of a part (level 2)."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Sentence:
    """A sentence; ``kind`` is ``note``, ``wrong``, ``check`` or empty."""

    text: str
    kind: str = ""


@dataclass(frozen=True, eq=False)
class Formula:
    """An equation, with the numbers that it comes to where they are known.

    Attributes:
        equation: the equation.
        array: what its name is, as it stands on paper; None where that is not shown.
        known: the numbers of the symbols, which text puts in their place.
        off: how far each number of ``array`` may be from what the formula comes to.
        digits: significant digits of the largest number.
    """

    equation: Equation
    array: Array | None = None
    known: Mapping[Expr, Array] = field(default_factory=dict)
    off: Array | None = None
    digits: int = 4


@dataclass(frozen=True, eq=False)
class Numbers:
    """A symbol with its array, as it stands on paper; None is a blank to fill in.

    Attributes:
        name: the symbol.
        array: its numbers.
        digits: significant digits of the largest number.
        label: what stands in front of the numbers in text; the symbol by default.
        formulas: where one of these is written with numbers, it shows these too, and
            text does not repeat them.
    """

    name: Expr
    array: Array | None
    digits: int = 4
    label: str = ""
    formulas: Sequence[Formula] = ()


@dataclass(frozen=True)
class Rows:
    """A table; the first row is the head."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in SVG, drawn where it is shown: in HTML alone."""

    draw: Callable[[], str]


@dataclass(frozen=True, eq=False)
class Details:
    """A part within a part, which HTML opens when it is asked to."""

    title: str
    parts: Sequence[Part]


Part = Heading | Sentence | Formula | Numbers | Rows | Picture | Details
#: What stands in place of numbers that are to be filled in.
BLANK = "_" * 12


def paper(q: Quantity) -> Array:
    """Return a quantity as the textbook writes it: samples and biases as columns."""
    array = q.array
    if array.ndim == 1:
        return array[None, :] if q.kind == COLUMNS else array[:, None]
    return array.T if array.ndim == 2 and q.kind == COLUMNS else array
