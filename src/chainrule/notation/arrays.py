"""Expressions that know of axes: reductions, what is picked, products with letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from chainrule.notation.algebra import (
    Atom,
    Expr,
    Number,
    Product,
    Script,
)
from chainrule.notation.forms import Call, Prefix
from chainrule.notation.tree import (
    ODOT,
    SCRIPT,
    Numbers,
    Piece,
)

#: A letter for each axis of arrays whose first axis is samples, by rank.
_SAMPLED = ("", "s", "si", "sti", "scpq", "scrpq")
_LETTERS = "ijklmnopqr"


def axis_letters(rank: int, samples: bool = True) -> str:
    """A letter for each axis: i a feature, t a time, c a channel, p and q places.

    Args:
        rank: how many axes.
        samples: whether the first axis is samples, s; without, the letters are those
            of a matrix or tensor: i, j, k, …

    >>> axis_letters(2), axis_letters(4), axis_letters(2, samples=False)
    ('si', 'scpq', 'ij')
    """
    if not samples or rank > len(_LETTERS):
        return (_LETTERS + "abcdefghuvwxyz")[:rank]
    return _SAMPLED[rank] if rank < len(_SAMPLED) else "s" + _LETTERS[: rank - 1]


class Indexed(Script):
    """An element of an array, by letters or places.

    >>> print(Indexed(Atom("x"), below=Atom("i")), Indexed(Atom("x"), below=Atom("q")))
    xᵢ x_q
    """

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With a changed base."""
        return self._with(base=change(self.base))


class Picked(Script):
    """Of each sample's column the element that its label names.

    >>> print(Picked(Call(Atom("softmax"), (Atom("z"),)), Atom("y")))
    softmax(z)_y
    """

    def __init__(self, base: Expr, label: Expr, *, index: str | None = None) -> None:
        super().__init__(base, below=label, index=index)

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With a changed base and label."""
        assert self.below is not None
        return self._with(base=change(self.base), below=change(self.below))


@dataclass(frozen=True)
class Spread(Indexed):
    """Something of fewer axes, repeated along the others: b_c for each channel c.

    Letters may be left out, where they would stand on more than a name.

    Attributes:
        axes: where its axes stand among those of what it is spread over.
        rank: how many axes that has.

    >>> print(Atom("x") + Spread(Atom("b"), below=Atom("c"), axes=(1,), rank=4))
    x + b_c
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


class Part(Indexed):
    """One of several results, counted from 1.

    >>> print(Part(Call(Atom("scan"), (Atom("h"), Atom("x"))), 2))
    scan(h, x)₂
    """

    def __init__(self, base: Expr, number: int, *, index: str | None = None) -> None:
        super().__init__(base, below=Number(number), index=index)


@dataclass(frozen=True)
class Reduced(Prefix):
    r"""A sum, mean, product or largest over some axes: ∑ᵢ u, meanₛ(u).

    Signs stand in front of their argument with the reach ``"wide"``; names are written
    as functions, with the reach ``"call"``.

    Attributes:
        axes: over which, counted in memory; None for all.
        keep: whether the axes stay, with length 1, so that what is left is spread
            again beside what has them.

    >>> head = Script(Atom(r"\sum", "∑"), below=Atom("i"))
    >>> print(Reduced(head, Atom("u") * Atom("v"), "wide", (1,)))
    ∑ᵢ u ⊙ v
    >>> print(Reduced(Atom("mean"), Atom("u") * Atom("v"), "call"))
    mean(u ⊙ v)
    """

    axes: tuple[int, ...] | None = None
    keep: bool = True

    @property
    def prefixed(self) -> bool:
        """Whether no parentheses close it."""
        return self.reach != "call"

    @property
    def level(self) -> int:
        """That of a function or a prefix."""
        return SCRIPT if self.reach == "call" else super().level

    @property
    def name(self) -> str:
        """What is done, without the letters of the axes: ``"∑"``, ``"mean"``."""
        return bare(self.head).text()

    def latex(self) -> str:
        """``head_i argument`` or ``head_i(argument)``."""
        if self.reach != "call":
            return super().latex()
        return f"{self.head.latex()}({self.argument.latex()})"

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``head_i argument`` or ``head_i(argument)``."""
        if self.reach != "call":
            return super().spell(numbers)
        return [*self.head.pieces({}), "(", *self.argument.pieces(numbers), ")"]


@dataclass(frozen=True)
class Along(Call):
    """A function of what stands along one axis: softmax(z), softmaxₜ(z).

    Attributes:
        axis: which, counted in memory.

    >>> head = Script(Atom("softmax"), below=Atom("t"))
    >>> print(Along(head, (Atom("z"),), axis=1))
    softmaxₜ(z)
    """

    axis: int = -1

    @property
    def name(self) -> str:
        """The function, without the letter of the axis."""
        return bare(self.head).text()


def bare(head: Expr) -> Expr:
    """A head without letters."""
    while isinstance(head, Script):
        head = head.base
    return head


@dataclass(frozen=True)
class Contracted(Expr):
    """A sum of products over the letters that do not stand in the result.

    Attributes:
        factors: what is multiplied.
        letters: the axes of each factor, a letter each.
        out: the axes of the result.

    >>> print(Contracted((Atom("a"), Atom("b")), ("ik", "kj"), "ij"))
    ∑ₖ aᵢₖ bₖⱼ
    """

    factors: tuple[Expr, Expr]
    letters: tuple[str, str]
    out: str
    level: ClassVar[int] = ODOT

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With changed factors."""
        return self._with(factors=tuple(map(change, self.factors)))

    def written(self) -> Expr:
        """The sum with its letters."""
        summed = dict.fromkeys(c for c in "".join(self.letters) if c not in self.out)
        inner = Product(
            "dot", tuple([lettered(f, t) for f, t in zip(self.factors, self.letters)])
        )
        if not summed:
            return inner
        head = Script(Atom(r"\sum", "∑"), below=Atom("".join(summed)))
        return Prefix(head, inner, "wide")

    def latex(self) -> str:
        r"""``\sum_{k} a_{ik} b_{kj}``."""
        return self.written().latex()

    def spell(self, numbers: Numbers) -> list[Piece]:
        """``∑ₖ aᵢₖ bₖⱼ``; letters stand on symbols, not on numbers."""
        return self.written().spell({})


def lettered(e: Expr, letters: str) -> Expr:
    """An expression with a letter for each axis.

    >>> print(lettered(Atom("x"), "si"), lettered(Script(Atom("z"), Atom("(1)")), "i"))
    xₛᵢ zᵢ⁽¹⁾
    """
    if isinstance(e, Script) and not e.below and type(e) is Script:
        return Script(e.base, e.above, Atom(letters)) if letters else e
    return Script(e, below=Atom(letters)) if letters else e


@dataclass(frozen=True)
class Computed(Expr):
    """Something written in a way that does not say all: x[…], pool(x), W ∗ x.

    Attributes:
        shown: how it is written.
        arguments: what it is computed from.
        how: computes it from their numbers, as they lie in memory.
        key: tells it from others that are written alike.
        kind: how its numbers stand on paper; see
            :class:`chainrule.notation.arithmetic.Quantity`.

    >>> x, i = Atom("x"), Atom("i")
    >>> print(Computed(Call(x, (i,), "[]"), (x, i), lambda x, i: x[i]))
    x[i]
    """

    shown: Expr
    arguments: tuple[Expr, ...]
    how: Callable[..., Any] = field(compare=False, repr=False)
    key: object = None
    kind: str = "columns"

    @property
    def level(self) -> int:
        """That of what is written."""
        return self.shown.level

    @property
    def prefixed(self) -> bool:
        """As what is written."""
        return self.shown.prefixed

    @property
    def wide(self) -> bool:
        """As what is written."""
        return self.shown.wide

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """With changed arguments, where they are written too."""
        made = tuple(map(change, self.arguments))
        if made == self.arguments:
            return self
        shown = self.shown.replaced(dict(zip(self.arguments, made)))
        return self._with(shown=shown, arguments=made)

    def latex(self) -> str:
        """What is written."""
        return self.shown.latex()

    def spell(self, numbers: Numbers) -> list[Piece]:
        """What is written."""
        return self.shown.pieces(numbers)
