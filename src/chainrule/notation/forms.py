"""Mathematical expressions with operators, calls, brackets, relations and lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard

from chainrule.notation.algebra import (
    Atom,
    Expr,
    Number,
)
from chainrule.notation.tree import (
    LIST,
    ODOT,
    PREFIX,
    RELATION,
    SCRIPT,
    SUM,
    Numbers,
    Piece,
    joined,
    latex_within,
    within,
)


@dataclass(frozen=True)
class Prefix(Expr):
    r"""A symbolic prefix operator without parentheses: ln x, ∑ x, ∂x.

    Attributes:
        head: the operator.
        argument: what it applies to.
        reach: ``"wide"`` takes a whole product (∑ u ⊙ v), ``"tight"`` stands close
            and makes a name of both, into which no numbers are put (∂x).

    >>> ln, u, v = Atom(r"\ln", "ln"), Atom("u"), Atom("v")
    >>> print(Prefix(ln, u), Prefix(ln, u + v), Prefix(ln, u) * v, sep="   ")
    ln u   ln(u + v)   ln u ⊙ v
    >>> head = Atom(r"\sum", "∑")
    >>> print(Prefix(head, u * v, "wide"), Prefix(head, u, "wide") * v, sep="   ")
    ∑ u ⊙ v   (∑ u) ⊙ v
    """

    head: Expr
    argument: Expr
    reach: str = ""

    @property
    def prefixed(self) -> bool:
        """True: a prefix operator is written in front of its argument."""
        return True

    @property
    def wide(self) -> bool:
        """True if a prefix operator would include a following product, as ∑ does."""
        return self.reach == "wide"

    @property
    def level(self) -> int:
        """The precedence of a prefix operator with its argument in a formula."""
        return min(PREFIX, max(self.argument.level, ODOT)) if self.reach else PREFIX

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a prefix operator's formula with ``change`` applied to its operand."""
        return self._with(argument=change(self.argument))

    def need(self) -> int:
        """Return the precedence that a prefix operator's bare argument needs."""
        return ODOT if self.reach == "wide" else PREFIX

    def _gap(self, numbers: Numbers) -> str:
        """Return the space between a prefix operator and its argument: ∑ (u + v)."""
        fenced = self.argument.level < self.need() and self.argument not in numbers
        return "" if self.reach == "tight" or (fenced and not self.reach) else " "

    def latex(self) -> str:
        """Return a prefix operator's LaTeX ``head argument``."""
        inner = latex_within(self.argument, self.need())
        return self.head.latex() + ("" if inner[0] == "(" else " ") + inner

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a prefix operator's text ``head argument``."""
        gap = self._gap(numbers)
        known = {} if self.reach == "tight" else numbers
        inner = within(self.argument, self.need(), known)
        return [*self.head.pieces(numbers), *([gap] if gap else []), *inner]


@dataclass(frozen=True)
class Call(Expr):
    """A symbolic function call ``head(a, b)``, or indexing ``head[a, b]``.

    >>> x, i = Atom("x"), Atom("i")
    >>> print(Call(Atom("f"), (x, i)), Call(x, (i,), "[]"))
    f(x, i) x[i]
    """

    head: Expr
    arguments: tuple[Expr, ...]
    fence: str = "()"

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic call with ``change`` applied to its arguments."""
        head = change(self.head) if self.fence == "[]" else self.head
        return self._with(head=head, arguments=tuple(map(change, self.arguments)))

    def latex(self) -> str:
        """Return a symbolic function call's LaTeX ``head(a, b)``."""
        inner = ", ".join(a.latex() for a in self.arguments)
        return latex_within(self.head, SCRIPT) + self.fence[0] + inner + self.fence[1]

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic function call's text ``head(a, b)``."""
        inner = joined([a.pieces(numbers) for a in self.arguments], ", ")
        head = within(self.head, SCRIPT, numbers)
        return [*head, self.fence[0], *inner, self.fence[1]]


@dataclass(frozen=True)
class Fence(Expr):
    """A mathematical expression between delimiters: [a < b], |x|, ⌊x⌋, √(x).

    >>> print(Fence(Atom("|"), Atom("x") - 1, Atom("|")))
    |x − 1|
    """

    left: Atom
    inner: Expr
    right: Atom

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a delimited expression with ``change`` applied to the inner part."""
        return self._with(inner=change(self.inner))

    def latex(self) -> str:
        """Return a delimited expression's LaTeX, such as |x|."""
        left = self.left.latex() + (" " if self.left.latex()[-1].isalpha() else "")
        right = (" " if self.right.latex()[:1] == "\\" else "") + self.right.latex()
        return left + self.inner.latex() + right

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a delimited expression's text, such as |x| or √x."""
        left, right = self.left.text(), self.right.text()
        if left == "√(" and isinstance(self.inner, Atom | Number):
            left, right = "√", ""
        return [left, *self.inner.pieces(numbers), *([right] if right else [])]


@dataclass(frozen=True)
class Relation(Expr):
    """A symbolic relation, items with signs between: a < b, v = u + w.

    >>> print(Relation((Atom("a"), Atom("b") + 1), (Atom("<"),)))
    a < b + 1
    """

    items: tuple[Expr, ...]
    signs: tuple[Atom, ...]
    level: ClassVar[int] = RELATION

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic relation with ``change`` applied to every item."""
        return self._with(items=tuple(map(change, self.items)))

    def latex(self) -> str:
        """Return a symbolic relation in LaTeX: ``a < b``."""
        text = latex_within(self.items[0], SUM)
        for sign, item in zip(self.signs, self.items[1:]):
            text += f" {sign.latex()} {latex_within(item, SUM)}"
        return text

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic relation as text: ``a < b``."""
        pieces = within(self.items[0], SUM, numbers)
        for sign, item in zip(self.signs, self.items[1:]):
            pieces += [f" {sign.text()} ", *within(item, SUM, numbers)]
        return pieces


@dataclass(frozen=True)
class Choice(Relation):
    """A symbolic conditional expression: a if c else b.

    A bracket around the condition is left out.

    >>> words = Atom("if"), Atom("else")
    >>> c = Fence(Atom("["), Relation((Atom("x"), Number(0)), (Atom(">"),)), Atom("]"))
    >>> print(Choice((Atom("x"), c, Number(0)), words))
    x if x > 0 else 0
    """

    def __post_init__(self) -> None:
        first, condition, other = self.items
        if isinstance(condition, Fence) and condition.left.text() == "[":
            object.__setattr__(self, "items", (first, condition.inner, other))

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic conditional with ``change`` applied to every item."""
        return type(self)(tuple(map(change, self.items)), self.signs, index=self.index)

    def need(self, i: int) -> int:
        """Return the precedence that a conditional's item needs for no parentheses."""
        return RELATION if i == 1 and not isinstance(self.items[1], Choice) else SUM

    def latex(self) -> str:
        r"""Return a conditional's LaTeX: ``a \text{ if } c \text{ else } b``."""
        text = latex_within(self.items[0], SUM)
        for i, (sign, item) in enumerate(zip(self.signs, self.items[1:]), 1):
            text += f" {sign.latex()} {latex_within(item, self.need(i))}"
        return text

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic conditional's text ``a if c else b``."""
        pieces = within(self.items[0], SUM, numbers)
        for i, (sign, item) in enumerate(zip(self.signs, self.items[1:]), 1):
            pieces += [f" {sign.text()} ", *within(item, self.need(i), numbers)]
        return pieces


@dataclass(frozen=True)
class Listing(Expr):
    """A list of formulas, such as the steps of an optimiser.

    Relations with ``←`` (or ``=``) name what stands on their right; the last item is
    what the listing comes to.

    >>> step = Relation((Atom("v"), Atom("g") + 1), (Atom("←"),))
    >>> print(Listing((step, 2 * Atom("v"))))
    v ← g + 1, 2v
    """

    items: tuple[Expr, ...]
    level: ClassVar[int] = LIST

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a list of formulas with ``change`` applied, except to step names."""
        return self._with(items=tuple([_step(item, change) for item in self.items]))

    def latex(self) -> str:
        """Return a list of formulas in LaTeX: ``a, b``."""
        return r",\; ".join(item.latex() for item in self.items)

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a list of formulas as text: ``a, b``."""
        return joined([item.pieces(numbers) for item in self.items], ", ")


def is_step(item: Expr) -> TypeGuard[Relation]:
    """Return whether a list's formula defines a symbol: ``name ← value``."""
    return type(item) is Relation and item.signs[0].text() in ("←", "=")


def _step(item: Expr, change: Callable[[Expr], Expr]) -> Expr:
    if not is_step(item):
        return change(item)
    return item._with(items=(item.items[0], *map(change, item.items[1:])))


@dataclass(frozen=True)
class Span(Expr):
    """A symbolic slice of positions, as in Python: 2:5.

    >>> print(Span(Number(2), Number(5)), Span(None, None, 2))
    2:5 ::2
    """

    start: Expr | None
    stop: Expr | None
    stride: int = 1
    level: ClassVar[int] = LIST

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic slice with ``change`` applied to start and stop."""
        start, stop = (e and change(e) for e in (self.start, self.stop))
        return self._with(start=start, stop=stop)

    def latex(self) -> str:
        """Return a symbolic slice in LaTeX: ``2{:}5``."""
        ends = [e.latex() if e else "" for e in (self.start, self.stop)]
        return "{:}".join([*ends, *([str(self.stride)] if self.stride != 1 else [])])

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic slice as text: ``2:5``."""
        ends = [e.pieces(numbers) if e else [] for e in (self.start, self.stop)]
        step: list[list[Piece]] = [[str(self.stride)]] if self.stride != 1 else []
        return joined([*ends, *step], ":")
