r"""Mathematical expressions: symbols, numbers, powers, sums, products, quotients.

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

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Union

from chainrule.notation.tree import (
    ABOVE,
    ATOM,
    BELOW,
    ODOT,
    PREFIX,
    PRODUCT,
    QUOTIENT,
    SCRIPT,
    SIGNS,
    SUM,
    Numbers,
    Piece,
    Tree,
    beside,
    joined,
    latex_within,
    within,
)

#: What builders take for an expression.
Written = Union["Expr", int, float]


class Expr(Tree):
    """A mathematical expression (formula), built with Python's arithmetic operators."""

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
        """The transpose of a mathematical expression: rows for columns."""
        return Transposed(self)


def as_expr(e: Written) -> Expr:
    """Return a mathematical expression as it is, or a Python number as one."""
    return e if isinstance(e, Expr) else Number(e)


def _terms(e: Expr) -> tuple[tuple[int, Expr], ...]:
    return e.terms if isinstance(e, Sum) else ((1, e),)


@dataclass(frozen=True)
class Atom(Expr):
    """A symbol in a mathematical expression, with its text and LaTeX.

    Attributes:
        source: its LaTeX.
        shown: its text; the LaTeX itself by default.
        tag: tells apart symbols that look the same (y the label, y its one-hot column).
    """

    source: str
    shown: str = ""
    tag: str = ""

    def latex(self) -> str:
        """Return a mathematical symbol's LaTeX as declared."""
        return self.source

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a mathematical symbol's text as declared."""
        return [self.shown or self.source]


@dataclass(frozen=True)
class Number(Expr):
    """A number in a mathematical expression.

    >>> print(*map(Number, (3, 0.5, -2.5, 1e-5, -2.5e-8, math.pi, math.inf)))
    3 ½ −2.5 10⁻⁵ −2.5 · 10⁻⁸ π ∞
    >>> print(Number(1e-5).latex())
    10^{-5}
    """

    value: float

    @property
    def level(self) -> int:
        """A number's precedence in a formula; a negative number binds like a sum."""
        sign, mantissa, exponent = self.digits()
        if sign:
            return SUM
        return ATOM if not exponent else PRODUCT if mantissa else SCRIPT

    def digits(self) -> tuple[str, str, str]:
        """Return a number's sign, mantissa ("" for 1) and exponent of ten as text.

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
        """Return a number in LaTeX: ½ as a fraction, integers without a point."""
        sign, mantissa, exponent = self.digits()
        mantissa = _LATEX.get(mantissa, mantissa)
        times = r" \cdot " if mantissa else ""
        power = f"{times}10^{{{exponent}}}" if exponent else ""
        return (sign + mantissa + power).replace("−", "-")

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a number as text: ½ as one character, integers without a point."""
        sign, mantissa, exponent = self.digits()
        times = " · " if mantissa else ""
        power = f"{times}10{exponent.translate(ABOVE)}" if exponent else ""
        return [sign + mantissa + power]


#: Numbers with a character of their own, and its LaTeX.
_SPECIAL = {0.5: "½", math.pi: "π", math.e: "e", math.inf: "∞"}
_LATEX = {"½": r"\frac{1}{2}", "π": r"\pi", "∞": r"\infty", "NaN": r"\text{NaN}"}


# -- raised and lowered ----------------------------------------------------------------


@dataclass(frozen=True)
class Script(Expr):
    """A mathematical symbol with superscript, subscript or both: W⁽¹⁾, β₁.

    It is one symbol, with no parts. Where what is raised or lowered says what to
    compute, the class is another: :class:`Power`, :class:`Transposed`, …
    """

    base: Expr
    above: Expr | None = None
    below: Expr | None = None
    level: ClassVar[int] = SCRIPT

    def need(self) -> int:
        """Return the precedence that a scripted base needs to have no parentheses."""
        # A second superscript needs parentheses around the first.
        raised = isinstance(self.base, Script) and self.base.above and self.above
        return ATOM if raised else SCRIPT

    def latex(self) -> str:
        """Return a scripted symbol's LaTeX ``base_{below}^{above}``."""
        low = f"_{{{self.below.latex()}}}" if self.below else ""
        high = f"^{{{self.above.latex()}}}" if self.above else ""
        return latex_within(self.base, self.need()) + low + high

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a scripted symbol's text, in Unicode superscripts and subscripts."""
        pieces = within(self.base, self.need(), numbers)
        scripts = ((self.below, BELOW, "_"), (self.above, ABOVE, "^"))
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
    """Return the text of a superscript or subscript, or its known number."""
    if e in numbers and numbers[e].size == 1:
        return f"{numbers[e].item():.4g}"
    return e.text()


class Power(Script):
    """A power in a mathematical expression, element by element: u², e^x."""

    def __init__(self, base: Expr, exponent: Expr, *, index: str | None = None) -> None:
        super().__init__(base, above=exponent, index=index)

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic power with ``change`` applied to base and exponent."""
        assert self.above is not None
        return self._with(base=change(self.base), above=change(self.above))


class Transposed(Script):
    """A transposed mathematical expression: Wᵀ."""

    def __init__(self, base: Expr, *, index: str | None = None) -> None:
        super().__init__(base, above=TURNED, index=index)

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic transpose with ``change`` applied to its base."""
        return self._with(base=change(self.base))

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic transpose's text; a known array is transposed."""
        if self.base in numbers:
            return [numbers[self.base].T]
        return super().spell(numbers)


TURNED = Atom("T")


# -- sums, products, quotients ---------------------------------------------------------


@dataclass(frozen=True)
class Sum(Expr):
    """A symbolic sum of terms with signs +1 or −1; one term with −1 is a negation."""

    terms: tuple[tuple[int, Expr], ...]
    level: ClassVar[int] = SUM

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic sum with ``change`` applied to every term."""
        return self._with(terms=tuple([(s, change(t)) for s, t in self.terms]))

    def _marks(self) -> list[str]:
        signs = [sign for sign, _ in self.terms]
        first = "−" if signs[0] < 0 else ""
        return [first, *(" − " if sign < 0 else " + " for sign in signs[1:])]

    def latex(self) -> str:
        """Return a symbolic sum in LaTeX: ``a + b - c``."""
        marks = [mark.replace("−", "-") for mark in self._marks()]
        inner = [latex_within(term, ODOT) for _, term in self.terms]
        return "".join(mark + term for mark, term in zip(marks, inner))

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic sum as text: ``a + b − c``."""
        pieces: list[Piece] = []
        for mark, (_, term) in zip(self._marks(), self.terms):
            pieces += [mark] if mark else []
            pieces += within(term, ODOT, numbers)
        return pieces


@dataclass(frozen=True)
class Product(Expr):
    """A symbolic product: of matrices, with a scalar, or element by element.

    ``conv`` is the convolution; ``mod``, ``and``, ``or``, ``xor``, ``up`` (zeros in
    between) and ``down`` (one of each few) are written like products. Matrix products
    stand in parentheses next to ⊙, as the book writes them: ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾).
    """

    kind: str
    factors: tuple[Expr, ...]

    @property
    def level(self) -> int:
        """A symbolic product's precedence: factors without a sign bind tighter."""
        return ODOT if self.kind in SIGNS else PRODUCT

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic product with ``change`` applied to every factor."""
        return self._with(factors=tuple(map(change, self.factors)))

    def needs(self) -> list[int]:
        """Return the precedence that factors of a product need for no parentheses."""
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
        """Return a symbolic product in LaTeX."""
        sign = SIGNS[self.kind][1] if self.kind in SIGNS else " "
        parts = [latex_within(f, n) for f, n in zip(self.factors, self.needs())]
        if sign == " ":  # 2 10^{-5} would be another number
            followed = zip(parts, [*parts[1:], ""])
            parts = [p + (r" \cdot" if q[:1].isdigit() else "") for p, q in followed]
        return sign.join(parts)

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic product as text."""
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
    """A symbolic quotient, on one line or (in LaTeX) as a fraction."""

    top: Expr
    bottom: Expr
    bar: bool = False
    level: ClassVar[int] = QUOTIENT

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic quotient with ``change`` applied to top and bottom."""
        return self._with(top=change(self.top), bottom=change(self.bottom))

    def latex(self) -> str:
        r"""Return a symbolic quotient in LaTeX: ``top / bottom`` or a fraction."""
        if self.bar:
            return rf"\frac{{{self.top.latex()}}}{{{self.bottom.latex()}}}"
        top = latex_within(self.top, PRODUCT)
        need = beside(self.bottom, PREFIX)
        return f"{top} / {latex_within(self.bottom, need)}"

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic quotient as text: ``top/bottom``."""
        top = within(self.top, PRODUCT, numbers)
        need = beside(self.bottom, PREFIX)
        return [*top, "/", *within(self.bottom, need, numbers)]
