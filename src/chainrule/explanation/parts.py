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
    """A heading in a document: its title (level 1), or that of a part (level 2)."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Sentence:
    """A sentence in a document; ``kind`` is ``note``, ``wrong``, ``check`` or empty."""

    text: str
    kind: str = ""


@dataclass(frozen=True, eq=False)
class Formula:
    """An equation in a document, with its numerical value where it is known.

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
    """An array with its symbol in a document; None is a blank to fill in.

    Attributes:
        name: the symbol.
        array: its numbers.
        digits: significant digits of the largest number.
        label: what stands in front of the numbers in text; the symbol by default.
        formulas: where one of these is written with numbers, it shows these too, and
            text does not repeat them.
        blank: rows and columns of a blank.
    """

    name: Expr
    array: Array | None
    digits: int = 4
    label: str = ""
    formulas: Sequence[Formula] = ()
    blank: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Room:
    """Empty room on paper for so many lines of working, which text leaves out."""

    lines: int


@dataclass(frozen=True)
class Rows:
    """A table in a document; the first row is the head.

    Attributes:
        rows: its cells.
        links: in HTML, the address that the first cell of each row but the head
            leads to; empty for none.
    """

    rows: tuple[tuple[str, ...], ...]
    links: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in a document: SVG for HTML, and for LaTeX where it can be drawn."""

    draw: Callable[[], str]
    latex: Callable[[], str] | None = None


@dataclass(frozen=True, eq=False)
class Details:
    """A collapsible part of a document, which HTML opens on request."""

    title: str
    parts: Sequence[Part]


Part = Heading | Sentence | Formula | Numbers | Room | Rows | Picture | Details
#: What stands in place of numbers that are to be filled in.
BLANK = "_" * 12


def paper(q: Quantity) -> Array:
    """Return a quantity's array as the textbook writes it: samples as columns."""
    array = q.array
    if array.ndim == 1:
        return array[None, :] if q.kind == COLUMNS else array[:, None]
    return array.T if array.ndim == 2 and q.kind == COLUMNS else array
