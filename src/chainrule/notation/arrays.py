"""Mathematical expressions with axes: reductions, indexing, index notation."""

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
    """Return an index letter for each axis: s for samples, i for features, t for time.

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
    """An element of a symbolic array, by index letters or positions: xᵢ.

    >>> print(Indexed(Atom("x"), below=Atom("i")), Indexed(Atom("x"), below=Atom("q")))
    xᵢ x_q
    """

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a symbolic element with ``change`` applied to its array."""
        return self._with(base=change(self.base))


class Picked(Script):
    """The symbolic element of each sample that its label names: softmax(z)_y.

    >>> print(Picked(Call(Atom("softmax"), (Atom("z"),)), Atom("y")))
    softmax(z)_y
    """

    def __init__(self, base: Expr, label: Expr, *, index: str | None = None) -> None:
        super().__init__(base, below=label, index=index)

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return z_y, an element picked by a label y, with ``change`` on z and y."""
        assert self.below is not None
        return self._with(base=change(self.base), below=change(self.below))


@dataclass(frozen=True)
class Spread(Indexed):
    """A symbolic array broadcast along other axes: b_c for each channel c.

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
        """A broadcast expression's precedence: its base's own without letters."""
        return SCRIPT if self.below else self.base.level

    def latex(self) -> str:
        """Return a broadcast expression's LaTeX, with index letters if any."""
        return super().latex() if self.below else self.base.latex()

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a broadcast expression's text, with index letters if any."""
        return super().spell(numbers) if self.below else self.base.pieces(numbers)


class Part(Indexed):
    """One of several results of a mathematical expression, counted from 1.

    >>> print(Part(Call(Atom("scan"), (Atom("h"), Atom("x"))), 2))
    scan(h, x)₂
    """

    def __init__(self, base: Expr, number: int, *, index: str | None = None) -> None:
        super().__init__(base, below=Number(number), index=index)


@dataclass(frozen=True)
class Reduced(Prefix):
    r"""A symbolic reduction (sum, mean, product, maximum) over axes: ∑ᵢ u.

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
        """True if a symbolic reduction is written as an operator, not as a call."""
        return self.reach != "call"

    @property
    def level(self) -> int:
        """A symbolic reduction's precedence: a function call's or an operator's."""
        return SCRIPT if self.reach == "call" else super().level

    @property
    def name(self) -> str:
        """A symbolic reduction's name without index letters: ``"∑"``, ``"mean"``."""
        return bare(self.head).text()

    def latex(self) -> str:
        """Return a symbolic reduction's LaTeX: ``head_i argument`` or a call."""
        if self.reach != "call":
            return super().latex()
        return f"{self.head.latex()}({self.argument.latex()})"

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a symbolic reduction's text: ``head_i argument`` or a call."""
        if self.reach != "call":
            return super().spell(numbers)
        return [*self.head.pieces({}), "(", *self.argument.pieces(numbers), ")"]


@dataclass(frozen=True)
class Along(Call):
    """A symbolic function along one axis: softmax(z), softmaxₜ(z).

    Attributes:
        axis: which, counted in memory.

    >>> head = Script(Atom("softmax"), below=Atom("t"))
    >>> print(Along(head, (Atom("z"),), axis=1))
    softmaxₜ(z)
    """

    axis: int = -1

    @property
    def name(self) -> str:
        """The name of a symbolic function along an axis, without the axis's letter."""
        return bare(self.head).text()


def bare(head: Expr) -> Expr:
    """Return a function's symbol without index letters."""
    while isinstance(head, Script):
        head = head.base
    return head


@dataclass(frozen=True)
class Contracted(Expr):
    """A symbolic sum of products over shared index letters (einsum): ∑ₖ aᵢₖ bₖⱼ.

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
        """Return a symbolic sum of products with ``change`` applied to both factors."""
        return self._with(factors=tuple(map(change, self.factors)))

    def written(self) -> Expr:
        """Return a sum of products as an explicit ∑ with index letters."""
        summed = dict.fromkeys(c for c in "".join(self.letters) if c not in self.out)
        inner = Product(
            "dot", tuple([lettered(f, t) for f, t in zip(self.factors, self.letters)])
        )
        if not summed:
            return inner
        head = Script(Atom(r"\sum", "∑"), below=Atom("".join(summed)))
        return Prefix(head, inner, "wide")

    def latex(self) -> str:
        r"""Return a sum of products in LaTeX: ``\sum_{k} a_{ik} b_{kj}``."""
        return self.written().latex()

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return a sum of products as text: ``∑ₖ aᵢₖ bₖⱼ``, without numbers."""
        return self.written().spell({})


def lettered(e: Expr, letters: str) -> Expr:
    """Return a symbolic array with an index letter for each axis.

    >>> print(lettered(Atom("x"), "si"), lettered(Script(Atom("z"), Atom("(1)")), "i"))
    xₛᵢ zᵢ⁽¹⁾
    """
    if isinstance(e, Script) and not e.below and type(e) is Script:
        return Script(e.base, e.above, Atom(letters)) if letters else e
    return Script(e, below=Atom(letters)) if letters else e


@dataclass(frozen=True)
class Computed(Expr):
    """A formula whose value a Python function computes: x[…], pool(x), W ∗ x.

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
        """The precedence of a computed formula's written form."""
        return self.shown.level

    @property
    def prefixed(self) -> bool:
        """True if a computed formula's written form begins with an operator."""
        return self.shown.prefixed

    @property
    def wide(self) -> bool:
        """True if a computed formula's written form would include a next factor."""
        return self.shown.wide

    def mapped(self, change: Callable[[Expr], Expr]) -> Any:
        """Return a computed formula with ``change`` applied to its arguments."""
        arguments = tuple(map(change, self.arguments))
        if arguments == self.arguments:
            return self
        shown = self.shown.replaced(dict(zip(self.arguments, arguments)))
        return self._with(shown=shown, arguments=arguments)

    def latex(self) -> str:
        """Return the LaTeX of a computed formula's written form."""
        return self.shown.latex()

    def spell(self, numbers: Numbers) -> list[Piece]:
        """Return the text of a computed formula's written form."""
        return self.shown.pieces(numbers)
