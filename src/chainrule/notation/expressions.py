r"""Mathematical expressions, and how they are written: as LaTeX and as terminal text.

An expression is a small tree. Both spellings come from the one tree, so they cannot
say different things, and parentheses follow from what binds tighter than what:

>>> z = Script(Atom("z"), above=Atom("(1)"))
>>> slope = Product("odot", (z, Sum(((1, Number(1)), (-1, z)))))
>>> slope.text()
'z⁽¹⁾ ⊙ (1 − z⁽¹⁾)'
>>> print(slope.latex())
z^{(1)} \odot (1 - z^{(1)})

:mod:`chainrule.explanation.reading` makes such trees from the LaTeX that each primitive
declares as its formula.
"""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Union

import numpy as np

Array = np.ndarray[Any, Any]
#: What a line of text is made of: characters, and arrays that stand for a symbol.
Piece = str | Array
Numbers = Mapping["Expr", Array]
#: What builders take for an expression.
Written = Union["Expr", int, float]

# How tightly an expression holds together, loosest first.
LIST, RELATION, SUM, ODOT, QUOTIENT, PRODUCT, PREFIX, SCRIPT, ATOM = range(9)

_ABOVE = str.maketrans(
    "0123456789+−=()TnijlLx′",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵀⁿⁱʲˡᴸˣ′",
)
_BELOW = str.maketrans("0123456789+−=()ijklmnst", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ᵢⱼₖₗₘₙₛₜ")
_SIGNS = {"odot": (" ⊙ ", r" \odot "), "conv": (" ∗ ", " * ")}


@dataclass(frozen=True)
class Expr(ABC):
    """Base of all expressions; equal trees are equal expressions."""

    level: ClassVar[int] = ATOM

    @abstractmethod
    def latex(self) -> str:
        """The expression in LaTeX's mathematics mode."""

    @abstractmethod
    def spell(self, numbers: Numbers) -> list[Piece]:
        """The text in pieces, with the arrays of ``numbers`` for their symbols."""

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

    def __mul__(self, other: Written) -> Product:
        return Product("odot", (self, as_expr(other)))

    def __rmul__(self, other: Written) -> Product:
        return Product("scale", (as_expr(other), self))

    def __matmul__(self, other: Expr) -> Product:
        return Product("dot", (self, other))

    def __truediv__(self, other: Written) -> Quotient:
        return Quotient(self, as_expr(other))

    def __rtruediv__(self, other: Written) -> Quotient:
        return Quotient(as_expr(other), self)

    def __pow__(self, other: Written) -> Power:
        return Power(self, as_expr(other))

    @property
    def T(self) -> Transposed:
        """Turned: rows for columns."""
        return Transposed(self)


def as_expr(e: Written) -> Expr:
    """An expression, or the one that a Python number is."""
    return e if isinstance(e, Expr) else Number(e)


def _terms(e: Expr) -> tuple[tuple[int, Expr], ...]:
    return e.terms if isinstance(e, Sum) else ((1, e),)


def _within(e: Expr, level: int, numbers: Numbers) -> list[Piece]:
    """``e`` in pieces, in parentheses where it binds looser than ``level``."""
    if e.level >= level or e in numbers:
        return e.pieces(numbers)
    return ["(", *e.pieces(numbers), ")"]


def _latex_within(e: Expr, level: int) -> str:
    return e.latex() if e.level >= level else f"({e.latex()})"


def _joined(parts: list[list[Piece]], sign: str) -> list[Piece]:
    pieces = list(parts[0])
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
class Slot(Atom):
    """The place of a primitive's input within its formula."""

    source: str = r"\square"
    shown: str = "□"
    index: int = 0


@dataclass(frozen=True)
class Number(Expr):
    """A number."""

    value: float

    @property
    def level(self) -> int:
        """A negative number needs the parentheses that a sum needs."""
        return SUM if self.value < 0 else ATOM

    def latex(self) -> str:
        """½ as a fraction, integers without a point."""
        if self.value == 0.5:
            return r"\frac{1}{2}"
        return self._plain().replace("inf", r"\infty")

    def spell(self, numbers: Numbers) -> list[Piece]:
        """½ as one character, integers without a point."""
        if self.value == 0.5:
            return ["½"]
        return [self._plain().replace("-", "−").replace("inf", "∞")]

    def _plain(self) -> str:
        exact = abs(self.value) < 1e15 and self.value == round(self.value)
        return f"{self.value:.0f}" if exact else f"{self.value:.7g}"


@dataclass(frozen=True)
class Script(Expr):
    """Something raised, lowered or both: zᵢ, W⁽¹⁾, (W⁽¹⁾)ᵀ, u²."""

    base: Expr
    above: Expr | None = None
    below: Expr | None = None
    level: ClassVar[int] = SCRIPT

    def _need(self) -> int:
        # A second superscript needs parentheses around the first.
        raised = isinstance(self.base, Script) and self.base.above and self.above
        return ATOM if raised else SCRIPT

    def latex(self) -> str:
        """``base_{below}^{above}``."""
        low = f"_{{{self.below.latex()}}}" if self.below else ""
        high = f"^{{{self.above.latex()}}}" if self.above else ""
        return _latex_within(self.base, self._need()) + low + high

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Raised and lowered characters where they exist, ``^`` and ``_`` else."""
        pieces = _within(self.base, self._need(), numbers)
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


@dataclass(frozen=True)
class Power(Script):
    """One thing to the power of another: u², e^x."""

    def __init__(self, base: Expr, exponent: Expr) -> None:
        super().__init__(base, above=exponent)


@dataclass(frozen=True)
class Transposed(Script):
    """Rows for columns: Wᵀ."""

    def __init__(self, base: Expr) -> None:
        super().__init__(base, above=TURNED)

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Numbers are shown turned."""
        if self.base in numbers:
            return [numbers[self.base].T]
        return super().spell(numbers)


@dataclass(frozen=True)
class Picked(Script):
    """Of each sample's column the element that its label names: softmax(z)_y."""

    def __init__(self, base: Expr, label: Expr) -> None:
        super().__init__(base, below=label)


@dataclass(frozen=True)
class Spread(Script):
    """Something of fewer axes, repeated along the others: b_c for each channel c.

    Attributes:
        axes: where its axes stand among those of what it is spread over.
        rank: how many axes that has.
    """

    axes: tuple[int, ...] = ()
    rank: int = 0

    @property
    def level(self) -> int:
        """That of what is spread, where no letter stands on it."""
        return SCRIPT if self.below else self.base.level

    def latex(self) -> str:
        """With the letters, if there are any."""
        return super().latex() if self.below else self.base.latex()

    def spell(self, numbers: Numbers) -> list[Piece]:
        """With the letters, if there are any."""
        return super().spell(numbers) if self.below else self.base.pieces(numbers)


def _scalar_text(e: Expr, numbers: Numbers) -> str:
    """A script's text; a symbol in it becomes a number only where it is one number."""
    if e in numbers and numbers[e].size == 1:
        return f"{numbers[e].item():.4g}"
    return e.text()


@dataclass(frozen=True)
class Sum(Expr):
    """Terms with their signs, +1 or −1; a single term with −1 is a negation."""

    terms: tuple[tuple[int, Expr], ...]
    level: ClassVar[int] = SUM

    def latex(self) -> str:
        """``a + b - c``."""
        text = ""
        for i, (sign, term) in enumerate(self.terms):
            mark = ("-" if sign < 0 else "") if i == 0 else (" - ", " + ")[sign > 0]
            text += mark + _latex_within(term, ODOT)
        return text

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``a + b − c``."""
        pieces: list[Piece] = []
        for i, (sign, term) in enumerate(self.terms):
            mark = ("−" if sign < 0 else "") if i == 0 else (" − ", " + ")[sign > 0]
            pieces += [mark] if mark else []
            pieces += _within(term, ODOT, numbers)
        return pieces


@dataclass(frozen=True)
class Product(Expr):
    """Factors: of matrices (``dot``), by a scalar (``scale``), elementwise (``odot``).

    ``conv`` is the convolution. Matrix products stand in parentheses next to ⊙, as the
    book writes them: ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾).
    """

    kind: str
    factors: tuple[Expr, ...]

    @property
    def level(self) -> int:
        """Juxtaposition binds tighter than a sign between the factors."""
        return PRODUCT if self.kind in ("dot", "scale") else ODOT

    def needs(self) -> list[int]:
        *front, last = self.factors
        if self.level == PRODUCT:
            # ½ ∑ u ⊙ v: what stands last under a prefix cannot be misread.
            loose = isinstance(last, Prefix)
            needs = [PREFIX] * len(front) + [0 if loose else PREFIX]
        else:
            needs = [
                ATOM if isinstance(f, Product) and f.kind == "dot" else QUOTIENT
                for f in self.factors
            ]
        for i, f in enumerate(front):
            needs[i] = _beside(f, needs[i])
        return needs

    def latex(self) -> str:
        """The factors with their sign between them."""
        sign = _SIGNS.get(self.kind, (" ", " "))[1]
        return sign.join(
            _latex_within(f, n) for f, n in zip(self.factors, self.needs())
        )

    def spell(self, numbers: Numbers) -> list[Piece]:
        """The factors with their sign between them."""
        sign = _SIGNS.get(self.kind, (" ", " "))[0]
        a, b = self.factors[0], self.factors[-1]
        if isinstance(a, Number) and isinstance(b, Atom) and len(b.text()) == 1:
            sign = " · " if b in numbers else ""  # 3n, and 3 · 2 where n is 2
        parts = [_within(f, n, numbers) for f, n in zip(self.factors, self.needs())]
        return _joined(parts, sign)


@dataclass(frozen=True)
class Quotient(Expr):
    """Top over bottom, on one line or (in LaTeX) with a bar."""

    top: Expr
    bottom: Expr
    bar: bool = False
    level: ClassVar[int] = QUOTIENT

    def latex(self) -> str:
        r"""``top / bottom`` or ``\frac{top}{bottom}``."""
        if self.bar:
            return rf"\frac{{{self.top.latex()}}}{{{self.bottom.latex()}}}"
        top = _latex_within(self.top, PRODUCT)
        need = _beside(self.bottom, PREFIX)
        return f"{top} / {_latex_within(self.bottom, need)}"

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``top/bottom``."""
        top = _within(self.top, PRODUCT, numbers)
        need = _beside(self.bottom, PREFIX)
        return [*top, "/", *_within(self.bottom, need, numbers)]


@dataclass(frozen=True)
class Prefix(Expr):
    """An operator before its argument, without parentheses: ln x, ∑ x, ∂x.

    Attributes:
        head: the operator.
        argument: what it applies to.
        reach: ``"wide"`` takes a whole product (∑ u ⊙ v), ``"tight"`` stands close
            (∂x).
    """

    head: Expr
    argument: Expr
    reach: str = ""

    @property
    def level(self) -> int:
        """A wide operator is as loose as what it reaches over."""
        return min(PREFIX, max(self.argument.level, ODOT)) if self.reach else PREFIX

    def _need(self) -> int:
        return ODOT if self.reach == "wide" else PREFIX

    def latex(self) -> str:
        """``head argument``."""
        return f"{self.head.latex()} {_latex_within(self.argument, self._need())}"

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``head argument``."""
        gap: list[Piece] = [] if self.reach == "tight" else [" "]
        inner = _within(self.argument, self._need(), numbers)
        return [*self.head.pieces(numbers), *gap, *inner]


@dataclass(frozen=True)
class Reduced(Prefix):
    """A sum, mean, product or largest over some axes: ∑ᵢ u.

    Attributes:
        axes: over which, counted in memory; None for all.
        keep: whether the axes stay, with length 1.
    """

    axes: tuple[int, ...] | None = None
    keep: bool = True


def _beside(e: Expr, level: int) -> int:
    """How tight ``e`` must be where a factor may follow: (∑ u) ⊙ v is not ∑ u ⊙ v."""
    return ATOM if isinstance(e, Prefix) and e.reach == "wide" else level


@dataclass(frozen=True)
class Call(Expr):
    """A function of arguments, or what is picked from something: max(a, b), x[i]."""

    head: Expr
    arguments: tuple[Expr, ...]
    fence: str = "()"

    def latex(self) -> str:
        """``head(a, b)``."""
        inner = ", ".join(a.latex() for a in self.arguments)
        return _latex_within(self.head, SCRIPT) + self.fence[0] + inner + self.fence[1]

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``head(a, b)``."""
        inner = _joined([a.pieces(numbers) for a in self.arguments], ", ")
        head = _within(self.head, SCRIPT, numbers)
        return [*head, self.fence[0], *inner, self.fence[1]]


@dataclass(frozen=True)
class Along(Call):
    """A function that acts along one axis: softmax(x).

    Attributes:
        axis: which, counted in memory.
    """

    axis: int = -1


@dataclass(frozen=True)
class Fence(Expr):
    """Something between signs: [a < b], |x|, ⌊x⌋, √(x)."""

    left: Atom
    inner: Expr
    right: Atom

    def latex(self) -> str:
        """The inner expression between the signs."""
        left = self.left.latex() + (" " if self.left.latex()[-1].isalpha() else "")
        right = (" " if self.right.latex()[:1] == "\\" else "") + self.right.latex()
        return left + self.inner.latex() + right

    def spell(self, numbers: Numbers) -> list[Piece]:
        """The inner expression between the signs."""
        left, right = self.left.text(), self.right.text()
        if left == "√(" and self.inner.level == ATOM:
            left, right = "√", ""
        return [left, *self.inner.pieces(numbers), *([right] if right else [])]


@dataclass(frozen=True)
class Relation(Expr):
    """Items with signs or words between them: a < b, v = u + w, a if c else b."""

    items: tuple[Expr, ...]
    signs: tuple[Atom, ...]
    level: ClassVar[int] = RELATION

    def latex(self) -> str:
        """``a < b``."""
        text = _latex_within(self.items[0], SUM)
        for sign, item in zip(self.signs, self.items[1:]):
            text += f" {sign.latex()} {_latex_within(item, SUM)}"
        return text

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``a < b``."""
        pieces = _within(self.items[0], SUM, numbers)
        for sign, item in zip(self.signs, self.items[1:]):
            pieces += [f" {sign.text()} ", *_within(item, SUM, numbers)]
        return pieces


@dataclass(frozen=True)
class Listing(Expr):
    """Items after each other, such as the steps of an optimiser."""

    items: tuple[Expr, ...]
    level: ClassVar[int] = LIST

    def latex(self) -> str:
        """``a, b``."""
        return r",\; ".join(item.latex() for item in self.items)

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``a, b``."""
        return _joined([item.pieces(numbers) for item in self.items], ", ")


@dataclass(frozen=True)
class Choice(Relation):
    """The first item where the middle one holds, else the last: a if c else b."""

    def __post_init__(self) -> None:
        first, condition, other = self.items
        if isinstance(condition, Fence) and condition.left.text() == "[":
            object.__setattr__(self, "items", (first, condition.inner, other))

    def latex(self) -> str:
        """``a if c else b``."""
        a, c, b = self.items
        words = [sign.latex() for sign in self.signs]
        first, last = _latex_within(a, SUM), _latex_within(b, SUM)
        return f"{first} {words[0]} {c.latex()} {words[1]} {last}"

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``a if c else b``."""
        a, c, b = self.items
        pieces = [*_within(a, SUM, numbers), " if ", *c.pieces(numbers), " else "]
        return [*pieces, *_within(b, SUM, numbers)]


@dataclass(frozen=True)
class Contracted(Expr):
    """A sum of products over the letters that do not stand in the result.

    Attributes:
        factors: what is multiplied.
        letters: the axes of each factor, a letter each.
        out: the axes of the result.
    """

    factors: tuple[Expr, Expr]
    letters: tuple[str, str]
    out: str
    level: ClassVar[int] = ODOT

    def written(self) -> Expr:
        summed = dict.fromkeys(c for c in "".join(self.letters) if c not in self.out)
        inner = Product(
            "dot", tuple(_lettered(f, t) for f, t in zip(self.factors, self.letters))
        )
        if not summed:
            return inner
        head = Script(Atom(r"\sum", "∑"), below=Atom("".join(summed)))
        return Prefix(head, inner, "wide")

    def latex(self) -> str:
        """``\\sum_{k} a_{ik} b_{kj}``."""
        return self.written().latex()

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``∑ₖ aᵢₖ bₖⱼ``; letters stand on symbols, not on numbers."""
        return self.written().spell({})


def _lettered(e: Expr, letters: str) -> Expr:
    """An expression with a letter for each axis."""
    if isinstance(e, Script) and not e.below and type(e) is Script:
        return Script(e.base, e.above, Atom(letters))
    return Script(e, below=Atom(letters)) if letters else e


@dataclass(frozen=True)
class Computed(Expr):
    """Something written in a way that does not say all: x[…], pool(x), W ∗ x.

    Attributes:
        shown: how it is written.
        arguments: what it is computed from.
        how: computes it from their numbers, as they lie in memory; whoever knows that
            fills it in.
        key: tells it from others that are written alike.
        kind: how its numbers stand on paper.
    """

    shown: Expr
    arguments: tuple[Expr, ...]
    how: Callable[..., Any] | None = field(default=None, compare=False)
    key: object = None
    kind: str = "columns"

    @property
    def level(self) -> int:
        """That of what is written."""
        return self.shown.level

    def latex(self) -> str:
        """What is written."""
        return self.shown.latex()

    def spell(self, numbers: Numbers) -> list[Piece]:
        """What is written."""
        return self.shown.pieces(numbers)


def rebuilt(e: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """``e`` with each of its parts changed."""

    def changed(item: Any) -> Any:
        if isinstance(item, Expr):
            return change(item)
        return tuple(map(changed, item)) if isinstance(item, tuple) else item  # pyright: ignore

    made = copy.copy(e)
    for part in dataclasses.fields(e):  # pyright: ignore
        if part.name != "key":
            object.__setattr__(made, part.name, changed(getattr(e, part.name)))
    if isinstance(made, Choice):
        made.__post_init__()
    return made


def filled(e: Expr, inputs: Sequence[Expr]) -> Expr:
    """``e`` with the inputs in its slots."""
    return (
        inputs[e.index]
        if isinstance(e, Slot)
        else rebuilt(e, lambda p: filled(p, inputs))
    )


TURNED = Atom("T")
