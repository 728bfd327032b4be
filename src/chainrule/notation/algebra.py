r"""Expressions: the base of them all, and those that Python's operators make.

An expression is a small tree. All spellings come from the one tree, so they cannot say
different things, and parentheses follow from what binds tighter than what:

>>> z = Script(Atom("z"), above=Atom("(1)"))
>>> slope = z * (1 - z)
>>> slope.text()
'z⁽¹⁾ ⊙ (1 − z⁽¹⁾)'
>>> print(slope.latex())
z^{(1)} \odot (1 - z^{(1)})

``+ − * / ** @`` and ``.T`` build: ``*`` is ⊙, but a Python number in front scales;
``@`` is the product of matrices, with no sign.

>>> W, x, b = Atom("W"), Atom("x"), Atom("b")
>>> print(W @ x + b, W.T @ x, 2 * x, x**2, x / 3, -(x + b), sep="   ")
W x + b   Wᵀ x   2x   x²   x/3   −(x + b)
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, Union

import numpy as np

Array = np.ndarray[Any, Any]
#: What a line of text is made of: characters, and arrays that stand for a symbol.
Piece = str | Array
Numbers = Mapping["Expr", Array]
#: What builders take for an expression.
Written = Union["Expr", int, float]
E = TypeVar("E", bound="Expr")

# How tightly an expression holds together, loosest first.
LIST, RELATION, SUM, ODOT, QUOTIENT, PRODUCT, PREFIX, SCRIPT, ATOM = range(9)

_ABOVE = str.maketrans(
    "0123456789+−=()TnijlLx′",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵀⁿⁱʲˡᴸˣ′",
)
_BELOW = str.maketrans("0123456789+−=()hijklmnoprst", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₕᵢⱼₖₗₘₙₒₚᵣₛₜ")
#: The signs of products: as text, as LaTeX, as MathML.
SIGNS = {
    "odot": (" ⊙ ", r" \odot ", "⊙"),
    "conv": (" ∗ ", " * ", "∗"),
    "mod": (" mod ", r" \bmod ", "mod"),
    "and": (" ∧ ", r" \land ", "∧"),
    "or": (" ∨ ", r" \lor ", "∨"),
    "xor": (" ⊕ ", r" \oplus ", "⊕"),
    "up": (" ↑ ", r" \uparrow ", "↑"),
    "down": (" ↓ ", r" \downarrow ", "↓"),
}


@dataclass(frozen=True)
class Expr(ABC):
    """Base of all expressions; equal trees are equal expressions.

    Attributes:
        index: a letter for each axis of its numbers in memory, where they are known:
            ``"si"`` for a row for each sample. No part of what the expression is.
    """

    index: str | None = field(default=None, compare=False, repr=False, kw_only=True)
    level: ClassVar[int] = ATOM

    @property
    def prefixed(self) -> bool:
        """Whether it is an operator in front of what it acts on, as in ∑ x."""
        return False

    @property
    def wide(self) -> bool:
        """Whether it would take a factor that follows, as ∑ does."""
        return False

    @abstractmethod
    def latex(self) -> str:
        """The expression in LaTeX's mathematics mode."""

    @abstractmethod
    def spell(self, numbers: Numbers) -> list[Piece]:
        """The text in pieces, with the arrays of ``numbers`` for their symbols."""

    def mapped(self: E, change: Callable[[Expr], Expr]) -> E:
        """The expression with ``change`` applied to each of its parts.

        Parts are what its value is worked out from: not signs, names and letters.

        >>> (Atom("x") + Atom("y")).mapped(lambda part: part**2).text()
        'x² + y²'
        """
        return self

    def parts(self) -> list[Expr]:
        """What its value is worked out from, from left to right.

        >>> [str(part) for part in (Atom("x") - 2 * Atom("y")).parts()]
        ['x', '2y']
        """
        found: list[Expr] = []

        def see(part: Expr) -> Expr:
            found.append(part)
            return part

        self.mapped(see)
        return found

    def leaves(self) -> Iterator[Expr]:
        """The parts that have no parts, from left to right.

        >>> [str(leaf) for leaf in (Atom("x") * (1 - Atom("x"))).leaves()]
        ['x', '1', 'x']
        """
        parts = self.parts()
        if not parts:
            yield self
        for part in parts:
            yield from part.leaves()

    def holds(self, part: Expr) -> bool:
        """Whether ``part`` is what it is worked out from, or from parts of that.

        >>> x, y = Atom("x"), Atom("y")
        >>> (2 * (x - y)).holds(x - y), (2 * (x - y)).holds(x * y)
        (True, False)
        """
        return self == part or any(p.holds(part) for p in self.parts())

    def replaced(self, others: Mapping[Expr, Expr]) -> Expr:
        """The expression with others in place of some of its parts.

        >>> x, y = Atom("x"), Atom("y")
        >>> (x * (1 - x)).replaced({x: 2 * y}).text()
        '2y ⊙ (1 − 2y)'
        """
        if self in others:
            return others[self]
        return self.mapped(lambda part: part.replaced(others))

    def with_index(self: E, index: str | None) -> E:
        """The same expression, with a letter for each axis: see ``index``."""
        return self if index == self.index else self._with(index=index)

    def _with(self: E, **changes: Any) -> E:
        made = copy.copy(self)
        for name, item in changes.items():
            object.__setattr__(made, name, item)
        return made

    def pieces(self, numbers: Numbers) -> list[Piece]:
        """The text in pieces; this expression may itself stand for numbers."""
        return [numbers[self]] if self in numbers else self.spell(numbers)

    def text(self) -> str:
        """The expression in characters that a terminal shows."""
        return "".join(map(str, self.pieces({})))

    def __str__(self) -> str:
        return self.text()

    # -- building ----------------------------------------------------------------

    def __add__(self, other: Written) -> Sum:
        return Sum((*_terms(self), *_terms(as_expr(other))))

    def __radd__(self, other: Written) -> Sum:
        return as_expr(other) + self

    def __sub__(self, other: Written) -> Sum:
        return Sum((*_terms(self), (-1, as_expr(other))))

    def __rsub__(self, other: Written) -> Sum:
        return as_expr(other) - self

    def __neg__(self) -> Sum:
        return Sum(((-1, self),))

    def __mul__(self, other: Written) -> Expr:
        if not isinstance(other, Expr):
            return other * self
        return Product("odot", (self, other))

    def __rmul__(self, other: Written) -> Expr:
        return self if other == 1 else Product("scale", (as_expr(other), self))

    def __matmul__(self, other: Expr) -> Product:
        return Product("dot", (self, other))

    def __truediv__(self, other: Written) -> Quotient:
        return Quotient(self, as_expr(other))

    def __rtruediv__(self, other: Written) -> Quotient:
        return Quotient(as_expr(other), self)

    def __pow__(self, other: Written) -> Power:
        return Power(self, as_expr(other))

    def __rpow__(self, other: Written) -> Power:
        return Power(as_expr(other), self)

    @property
    def T(self) -> Transposed:
        """Turned: rows for columns."""
        return Transposed(self)


def as_expr(e: Written) -> Expr:
    """An expression, or the one that a Python number is."""
    return e if isinstance(e, Expr) else Number(e)


def _terms(e: Expr) -> tuple[tuple[int, Expr], ...]:
    return e.terms if isinstance(e, Sum) else ((1, e),)


def within(e: Expr, level: int, numbers: Numbers) -> list[Piece]:
    """``e`` in pieces, in parentheses where it binds looser than ``level``."""
    if e.level >= level or e in numbers:
        return e.pieces(numbers)
    return ["(", *e.pieces(numbers), ")"]


def latex_within(e: Expr, level: int) -> str:
    """``e`` in LaTeX, in parentheses where it binds looser than ``level``."""
    return e.latex() if e.level >= level else f"({e.latex()})"


def joined(parts: list[list[Piece]], sign: str) -> list[Piece]:
    """Pieces with a sign between them."""
    pieces = list(parts[0]) if parts else []
    for part in parts[1:]:
        pieces += [sign, *part]
    return pieces


@dataclass(frozen=True)
class Atom(Expr):
    """One symbol.

    Attributes:
        source: its LaTeX.
        shown: its text; the LaTeX itself by default.
        tag: tells apart symbols that look the same (y the label, y its one-hot column).
    """

    source: str
    shown: str = ""
    tag: str = ""

    def latex(self) -> str:
        """As declared."""
        return self.source

    def spell(self, numbers: Numbers) -> list[Piece]:
        """As declared."""
        return [self.shown or self.source]


@dataclass(frozen=True)
class Number(Expr):
    """A number.

    >>> print(*map(Number, (3, 0.5, -2.5, 1e-5, -2.5e-8, math.pi, math.inf)))
    3 ½ −2.5 10⁻⁵ −2.5 · 10⁻⁸ π ∞
    >>> print(Number(1e-5).latex())
    10^{-5}
    """

    value: float

    @property
    def level(self) -> int:
        """A negative number needs the parentheses that a sum needs."""
        sign, mantissa, exponent = self.digits()
        if sign:
            return SUM
        return ATOM if not exponent else PRODUCT if mantissa else SCRIPT

    def digits(self) -> tuple[str, str, str]:
        """Sign, mantissa (none where it is 1) and exponent of ten, as characters.

        >>> Number(-2.5e-8).digits(), Number(0.5).digits(), Number(1e-5).digits()
        (('−', '2.5', '−8'), ('', '½', ''), ('', '', '−5'))
        """
        size, sign = abs(self.value), "−" if self.value < 0 else ""
        if size in _SPECIAL:
            return sign, _SPECIAL[size], ""
        exact = size < 1e15 and size == round(size)
        plain = f"{size:.0f}" if exact else f"{size:.7g}"
        mantissa, _, exponent = plain.replace("nan", "NaN").partition("e")
        if not exponent:
            return sign, mantissa, ""
        exponent = str(int(exponent)).replace("-", "−")
        return sign, "" if mantissa == "1" else mantissa, exponent

    def latex(self) -> str:
        """½ as a fraction, integers without a point."""
        sign, mantissa, exponent = self.digits()
        mantissa = _LATEX.get(mantissa, mantissa)
        times = r" \cdot " if mantissa else ""
        power = f"{times}10^{{{exponent}}}" if exponent else ""
        return (sign + mantissa + power).replace("−", "-")

    def spell(self, numbers: Numbers) -> list[Piece]:
        """½ as one character, integers without a point."""
        sign, mantissa, exponent = self.digits()
        times = " · " if mantissa else ""
        power = f"{times}10{exponent.translate(_ABOVE)}" if exponent else ""
        return [sign + mantissa + power]


#: Numbers with a character of their own, and its LaTeX.
_SPECIAL = {0.5: "½", math.pi: "π", math.e: "e", math.inf: "∞"}
_LATEX = {"½": r"\frac{1}{2}", "π": r"\pi", "∞": r"\infty", "NaN": r"\text{NaN}"}


# -- raised and lowered ----------------------------------------------------------------


@dataclass(frozen=True)
class Script(Expr):
    """A name that is raised, lowered or both: W⁽¹⁾, β₁.

    It is one symbol, with no parts. Where what is raised or lowered says what to
    compute, the class is another: :class:`Power`, :class:`Transposed`, …
    """

    base: Expr
    above: Expr | None = None
    below: Expr | None = None
    level: ClassVar[int] = SCRIPT

    def need(self) -> int:
        """How tightly the base must hold together to stand without parentheses."""
        # A second superscript needs parentheses around the first.
        raised = isinstance(self.base, Script) and self.base.above and self.above
        return ATOM if raised else SCRIPT

    def latex(self) -> str:
        """``base_{below}^{above}``."""
        low = f"_{{{self.below.latex()}}}" if self.below else ""
        high = f"^{{{self.above.latex()}}}" if self.above else ""
        return latex_within(self.base, self.need()) + low + high

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Raised and lowered characters where they exist, ``^`` and ``_`` else."""
        pieces = within(self.base, self.need(), numbers)
        scripts = ((self.below, _BELOW, "_"), (self.above, _ABOVE, "^"))
        for script, table, mark in scripts:
            if script is None:
                continue
            text = _scalar_text(script, numbers)
            moved = text.replace(" ", "").translate(table)
            if all(ord(c) in table.values() or c in table.values() for c in moved):
                pieces.append(moved)
            else:
                bare = script.level >= SCRIPT and not text.startswith("-")
                pieces.append(mark + (text if bare else f"({text})"))
        return pieces


def _scalar_text(e: Expr, numbers: Numbers) -> str:
    """A script's text; a symbol in it becomes a number only where it is one number."""
    if e in numbers and numbers[e].size == 1:
        return f"{numbers[e].item():.4g}"
    return e.text()


@dataclass(frozen=True)
class Power(Script):
    """One thing to the power of another, element by element: u², e^x."""

    def __init__(self, base: Expr, exponent: Expr, *, index: str | None = None) -> None:
        super().__init__(base, above=exponent, index=index)

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With a changed base and exponent."""
        assert self.above is not None
        return self._with(base=change(self.base), above=change(self.above))


@dataclass(frozen=True)
class Transposed(Script):
    """Rows for columns: Wᵀ."""

    def __init__(self, base: Expr, *, index: str | None = None) -> None:
        super().__init__(base, above=TURNED, index=index)

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With something else turned."""
        return self._with(base=change(self.base))

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Numbers are shown turned."""
        if self.base in numbers:
            return [numbers[self.base].T]
        return super().spell(numbers)


TURNED = Atom("T")


# -- sums, products, quotients ---------------------------------------------------------


@dataclass(frozen=True)
class Sum(Expr):
    """Terms with their signs, +1 or −1; a single term with −1 is a negation."""

    terms: tuple[tuple[int, Expr], ...]
    level: ClassVar[int] = SUM

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With changed terms."""
        return self._with(terms=tuple([(s, change(t)) for s, t in self.terms]))

    def _marks(self) -> list[str]:
        signs = [sign for sign, _ in self.terms]
        first = "−" if signs[0] < 0 else ""
        return [first, *(" − " if sign < 0 else " + " for sign in signs[1:])]

    def latex(self) -> str:
        """``a + b - c``."""
        marks = [mark.replace("−", "-") for mark in self._marks()]
        inner = [latex_within(term, ODOT) for _, term in self.terms]
        return "".join(mark + term for mark, term in zip(marks, inner))

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``a + b − c``."""
        pieces: list[Piece] = []
        for mark, (_, term) in zip(self._marks(), self.terms):
            pieces += [mark] if mark else []
            pieces += within(term, ODOT, numbers)
        return pieces


@dataclass(frozen=True)
class Product(Expr):
    """Factors: of matrices (``dot``), by a scalar (``scale``), elementwise (``odot``).

    ``conv`` is the convolution; ``mod``, ``and``, ``or``, ``xor``, ``up`` (zeros in
    between) and ``down`` (one of each few) are written like products. Matrix products
    stand in parentheses next to ⊙, as the book writes them: ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾).
    """

    kind: str
    factors: tuple[Expr, ...]

    @property
    def level(self) -> int:
        """Juxtaposition binds tighter than a sign between the factors."""
        return ODOT if self.kind in SIGNS else PRODUCT

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With changed factors."""
        return self._with(factors=tuple(map(change, self.factors)))

    def needs(self) -> list[int]:
        """How tightly each factor must hold together to stand without parentheses."""
        *front, last = self.factors
        if self.level == PRODUCT:
            # ½ ∑ u ⊙ v: what stands last under a prefix cannot be misread.
            tight = [PRODUCT if isinstance(f, Number) else PREFIX for f in self.factors]
            needs = [*tight[:-1], 0 if last.prefixed else tight[-1]]
        else:
            needs = [self._need(f) for f in self.factors]
        for i, f in enumerate(front):
            needs[i] = beside(f, needs[i])
        return needs

    def _need(self, factor: Expr) -> int:
        if self.kind in ("up", "down"):
            return SCRIPT
        matrices = isinstance(factor, Product) and factor.kind == "dot"
        return ATOM if matrices else QUOTIENT

    def latex(self) -> str:
        """The factors with their sign between them."""
        sign = SIGNS[self.kind][1] if self.kind in SIGNS else " "
        parts = [latex_within(f, n) for f, n in zip(self.factors, self.needs())]
        if sign == " ":  # 2 10^{-5} would be another number
            followed = zip(parts, [*parts[1:], ""])
            parts = [p + (r" \cdot" if q[:1].isdigit() else "") for p, q in followed]
        return sign.join(parts)

    def spell(self, numbers: Numbers) -> list[Piece]:
        """The factors with their sign between them."""
        sign = SIGNS[self.kind][0] if self.kind in SIGNS else " "
        a, b = self.factors[0], self.factors[-1]
        short = isinstance(b, Atom) and len(b.text()) == 1
        if isinstance(a, Number) and a.level == ATOM and short:
            sign = " · " if b in numbers else ""  # 3n, and 3 · 2 where n is 2
        elif sign == " " and any(map(_begins_with_digit, self.factors[1:])):
            sign = " · "
        parts = [within(f, n, numbers) for f, n in zip(self.factors, self.needs())]
        return joined(parts, sign)


def _begins_with_digit(e: Expr) -> bool:
    return e.level >= PREFIX and e.text()[:1].isdigit()


@dataclass(frozen=True)
class Quotient(Expr):
    """Top over bottom, on one line or (in LaTeX) with a bar."""

    top: Expr
    bottom: Expr
    bar: bool = False
    level: ClassVar[int] = QUOTIENT

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With a changed top and bottom."""
        return self._with(top=change(self.top), bottom=change(self.bottom))

    def latex(self) -> str:
        r"""``top / bottom`` or ``\frac{top}{bottom}``."""
        if self.bar:
            return rf"\frac{{{self.top.latex()}}}{{{self.bottom.latex()}}}"
        top = latex_within(self.top, PRODUCT)
        need = beside(self.bottom, PREFIX)
        return f"{top} / {latex_within(self.bottom, need)}"

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``top/bottom``."""
        top = within(self.top, PRODUCT, numbers)
        need = beside(self.bottom, PREFIX)
        return [*top, "/", *within(self.bottom, need, numbers)]


def beside(e: Expr, level: int) -> int:
    """How tight ``e`` must be where a factor may follow: (∑ u) ⊙ v is not ∑ u ⊙ v."""
    return ATOM if e.wide else level
