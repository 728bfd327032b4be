"""The base class of mathematical expressions: trees to write, traverse, replace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import numpy as np

Array = np.ndarray[Any, Any]
#: What a line of text is made of: characters, and arrays that stand for a symbol.
Piece = str | Array
Numbers = Mapping[Any, Array]
T = TypeVar("T", bound="Tree")

# How tightly an expression holds together, loosest first.
LIST, RELATION, SUM, ODOT, QUOTIENT, PRODUCT, PREFIX, SCRIPT, ATOM = range(9)

#: Raised and lowered characters, where there are such.
ABOVE = str.maketrans(
    "0123456789+−=()TnijlLx′",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵀⁿⁱʲˡᴸˣ′",
)
BELOW = str.maketrans("0123456789+−=()hijklmnoprst", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₕᵢⱼₖₗₘₙₒₚᵣₛₜ")
#: The signs of products: as text, as LaTeX, as MathML.
SIGNS = {
    "odot": (" ⊙ ", r" \odot ", "⊙"),
    "conv": (" ∗ ", " * ", "∗"),
    "mod": (" mod ", r" \;\mathrm{mod}\; ", "mod"),
    "and": (" ∧ ", r" \wedge ", "∧"),
    "or": (" ∨ ", r" \vee ", "∨"),
    "xor": (" ⊕ ", r" \oplus ", "⊕"),
    "up": (" ↑ ", r" \uparrow ", "↑"),
    "down": (" ↓ ", r" \downarrow ", "↓"),
}
#: Attributes that a tree works out of its fields once, and no copy takes over.
DERIVED = ("_hash", "_parts", "_inside", "_text", "_written")


@dataclass(frozen=True)
class Tree(ABC):
    """The base class of mathematical expressions, trees that compare by their parts.

    Attributes:
        index: a letter for each axis of its numbers in memory, where they are known:
            ``"si"`` for a row for each sample. No part of what the expression is.
    """

    index: str | None = field(default=None, compare=False, repr=False, kw_only=True)
    level: ClassVar[int] = ATOM

    def __init_subclass__(cls) -> None:
        """Keep an expression class's :meth:`__hash__`, which ``dataclass`` replaces."""
        cls.__hash__ = Tree.__hash__

    def __hash__(self) -> int:
        """Return the hash of an expression's compared fields, computed once."""
        attributes = vars(self)
        found = attributes.get("_hash")
        if found is None:
            compared = [attributes[name] for name in _compared(type(self))]
            found = attributes["_hash"] = hash((type(self), *compared))
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return an expression's attributes for pickling, without the cached hash."""
        return {k: v for k, v in vars(self).items() if k not in DERIVED}

    @property
    def prefixed(self) -> bool:
        """True if an expression is an operator in front of its argument, as ∑ x."""
        return False

    @property
    def wide(self) -> bool:
        """True if an expression would include a following factor, as ∑ does."""
        return False

    @abstractmethod
    def latex(self) -> str:
        """Return a mathematical expression in LaTeX (mathematics mode)."""

    @abstractmethod
    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return an expression's text in pieces, with arrays for known symbols."""

    def mapped(self: T, change: Callable[[Any], Any]) -> T:
        """Return an expression with a function applied to each of its parts.

        Parts are what its value is worked out from: not signs, names and letters.

        >>> from chainrule.notation.algebra import Atom
        >>> (Atom("x") + Atom("y")).mapped(lambda part: part**2).text()
        'x² + y²'
        """
        return self

    def parts(self) -> list[Any]:
        """Return the parts that an expression's value is computed from, left to right.

        >>> from chainrule.notation.algebra import Atom
        >>> [str(part) for part in (Atom("x") - 2 * Atom("y")).parts()]
        ['x', '2y']
        """
        attributes = vars(self)
        found = attributes.get("_parts")
        if found is None:
            found = attributes["_parts"] = []

            def see(part: Any) -> Any:
                found.append(part)
                return part

            self.mapped(see)
        return list(found)

    def leaves(self) -> Iterator[Any]:
        """Yield an expression's parts without further parts, from left to right.

        >>> from chainrule.notation.algebra import Atom
        >>> [str(leaf) for leaf in (Atom("x") * (1 - Atom("x"))).leaves()]
        ['x', '1', 'x']
        """
        parts = self.parts()
        if not parts:
            yield self
        for part in parts:
            yield from part.leaves()

    def holds(self, part: Any) -> bool:
        """Return whether a part occurs in a mathematical expression.

        >>> from chainrule.notation.algebra import Atom
        >>> x, y = Atom("x"), Atom("y")
        >>> (2 * (x - y)).holds(x - y), (2 * (x - y)).holds(x * y)
        (True, False)
        """
        return self == part or part in self._contents()

    def _contents(self) -> frozenset[Any]:
        """Return all parts within the expression, and theirs, collected once."""
        attributes = vars(self)
        found = attributes.get("_inside")
        if found is None:
            parts = self.parts()
            inner = (part._contents() for part in parts)
            found = attributes["_inside"] = frozenset(parts).union(*inner)
        return found

    def walk(self) -> Iterator[Any]:
        """Yield a mathematical expression and all parts within it, in preorder.

        >>> from chainrule.notation.algebra import Atom
        >>> [str(e) for e in (Atom("x") - 2 * Atom("y")).walk()]
        ['x − 2y', 'x', '2y', '2', 'y']
        """
        yield self
        for part in self.parts():
            yield from part.walk()

    def replaced(self, others: Mapping[Any, Any]) -> Any:
        """Return an expression with some parts replaced by others.

        >>> from chainrule.notation.algebra import Atom
        >>> x, y = Atom("x"), Atom("y")
        >>> (x * (1 - x)).replaced({x: 2 * y}).text()
        '2y ⊙ (1 − 2y)'
        """
        if self in others:
            return others[self]
        return self.mapped(lambda part: part.replaced(others))

    def with_index(self: T, index: str | None) -> T:
        """Return an expression with an index letter for each axis."""
        return self if index == self.index else self._with(index=index)

    def _with(self: T, **changes: Any) -> T:
        copy = object.__new__(type(self))
        attributes = vars(copy)  # a frozen class refuses setattr
        attributes.update(vars(self), **changes)
        for name in DERIVED:
            attributes.pop(name, None)
        return copy

    def pieces(self, numbers: Numbers) -> list[Piece]:
        """Return an expression's text in pieces, or its array if it is known."""
        if not numbers:
            return [self.text()]
        return [numbers[self]] if self in numbers else self.spell(numbers)

    def text(self) -> str:
        """Return the expression as plain text."""
        attributes = vars(self)
        found = attributes.get("_text")
        if found is None:
            found = attributes["_text"] = "".join(map(str, self.spell({})))
        return found

    def __str__(self) -> str:
        return self.text()


@lru_cache(maxsize=256)
def _compared(kind: type[Tree]) -> tuple[str, ...]:
    """Return the names of an expression class's fields that equality compares."""
    return tuple(field.name for field in fields(kind) if field.compare)


def within(e: Tree, level: int, numbers: Numbers) -> list[Piece]:
    """Return an expression's text pieces, in parentheses if its precedence is low."""
    if e.level >= level or e in numbers:
        return e.pieces(numbers)
    return ["(", *e.pieces(numbers), ")"]


def latex_within(e: Tree, level: int) -> str:
    """Return an expression's LaTeX, in parentheses if its precedence is low."""
    return e.latex() if e.level >= level else f"({e.latex()})"


def joined(parts: list[list[Piece]], sign: str) -> list[Piece]:
    """Return lists of text pieces of expressions joined by a sign."""
    pieces = list(parts[0]) if parts else []
    for part in parts[1:]:
        pieces += [sign, *part]
    return pieces


def beside(e: Tree, level: int) -> int:
    """Return the precedence that an expression needs in front of another factor."""
    return ATOM if e.wide else level
