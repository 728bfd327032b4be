"""The chain rule from one element of an array to the loss, with numbers.

Every equation holds to the last digit that is printed: what stands behind the last sign
of equality is what the numbers in front of it come to, in double precision and from
left to right.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.text import tr

Index = tuple[int, ...]
#: The number of elements of each value that are followed, the largest terms first.
FOLLOWED = 4
LOSS = "ℒ"


def _from_left(numbers: Iterable[float]) -> float:
    """Return a sum, rounded after each number, as a reader adds up.

    ``sum`` of Python 3.12 and later carries the rounding errors along.
    """
    return functools.reduce(operator.add, numbers)


@dataclass(frozen=True)
class Term:
    """A term of the chain rule for an element u: ∂ℒ/∂v · ∂v/∂u.

    Attributes:
        symbol, index: the element v that reads u directly, or ℒ itself.
        derivative: ∂v/∂u.
        gradient: ∂ℒ/∂v.
    """

    symbol: str
    index: Index
    derivative: float
    gradient: float

    @property
    def product(self) -> float:
        """The contribution ∂ℒ/∂v · ∂v/∂u of a chain-rule term to ∂ℒ/∂u."""
        return self.gradient * self.derivative


@dataclass(frozen=True)
class Sum:
    """A chain-rule equation of a derivative: terms as symbols, as numbers, and the sum.

    Attributes:
        left: the derivative, ∂ℒ/∂u.
        symbols: its terms as products of derivatives; none where there is nothing to
            say but the number.
        numbers: the same terms in numbers.
        result: what they come to.
        remark: why.
    """

    left: str
    symbols: tuple[str, ...]
    numbers: tuple[str, ...]
    result: str
    remark: str = ""

    def lines(self) -> Iterator[str]:
        """Yield a chain-rule equation's text lines, one for each term."""
        margin = " " * len(self.left)
        head = self.left
        for side in (self.symbols, self.numbers):
            for i, term in enumerate(side):
                yield f"{head} {'+' if i else '='} {term}"
                head = margin
        remark = f"   ({self.remark})" if self.remark else ""
        yield f"{head} = {self.result}{remark}"


@dataclass(frozen=True)
class Step:
    """An element u on a path to the loss, with the chain-rule terms of ∂ℒ/∂u.

    Attributes:
        symbol, index: the element.
        value: its number.
        gradient: ∂ℒ/∂u, the sum of the terms' products.
        terms: the elements that read it, the largest product first.
        formula: the equation that gives it; empty for what is given.
        remark: of ℒ where the loss reads it directly; why nothing comes back, where
            every derivative by it is 0.
    """

    symbol: str
    index: Index
    value: float
    gradient: float
    terms: tuple[Term, ...]
    formula: str = ""
    remark: str = ""

    @property
    def name(self) -> str:
        """The name of an array's element on a path to the loss: z⁽¹⁾[0, 3]."""
        return at(self.symbol, self.index)

    @property
    def followed(self) -> tuple[Term, ...]:
        """The chain-rule terms of an element that are written out."""
        return self.terms[:FOLLOWED]

    def summed(self) -> float:
        """Return the sum of an element's chain-rule terms, in the order written."""
        if not self.terms:
            return 0.0
        total = _from_left(term.product for term in self.followed)
        return (total + self._rest if self.terms[FOLLOWED:] else total) + 0.0

    @property
    def _rest(self) -> float:
        return _from_left(term.product for term in self.terms[FOLLOWED:])

    def equation(self) -> Sum:
        """Return the chain rule for an array's element as an equation with numbers."""
        left = f"∂ℒ/∂{self.name}"
        if all(term.symbol == LOSS for term in self.terms):
            return Sum(left, (), (), repr(self.gradient), self.remark)
        symbols, numbers = list[str](), list[str]()
        for term in self.followed:
            place = at(term.symbol, term.index)
            if term.symbol == LOSS:
                symbols.append(tr("what ℒ has of it directly"))
                numbers.append(repr(term.product))
            else:
                symbols.append(f"∂ℒ/∂{place} · ∂{place}/∂{self.name}")
                numbers.append(f"{term.gradient!r} · {term.derivative!r}")
        if rest := self.terms[FOLLOWED:]:
            symbols.append(tr("{many} more", many=len(rest)))
            numbers.append(repr(self._rest))
        return Sum(left, tuple(symbols), tuple(numbers), repr(self.gradient))


@dataclass(frozen=True)
class ElementPath:
    """The chain rule from one element of an array to the loss, in float64.

    Attributes:
        name: the name that was asked for.
        steps: the element itself, and those on the way to ℒ that count most.
        loss: ℒ.
        loss_formula: the equation that gives it.
        own: the gradient that the network has in its own dtype, and that; None where it
            computes in float64.
    """

    name: str
    steps: tuple[Step, ...]
    loss: float
    loss_formula: str
    own: tuple[float, str] | None = None

    @property
    def gradient(self) -> float:
        """The derivative of the loss by the element at the path's start."""
        return self.steps[0].gradient

    @cached_property
    def equations(self) -> tuple[Sum, ...]:
        """The chain-rule equations of each step on the path from ℒ to an element."""
        return tuple([step.equation() for step in reversed(self.steps)])

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return f"<∂ℒ/∂{self.steps[0].name} = {self.gradient!r}>"

    def to_json(self) -> dict[str, Any]:
        """Return an element's chain-rule path to the loss as JSON data."""
        return asdict(self) | {"gradient": self.gradient}

    def _lines(self) -> Iterator[str]:
        first, *others = self.steps
        yield f"{first.name} = {first.value!r}   ({self.name})"
        if first.formula:
            yield f"  {first.formula}"
        yield ""
        yield tr("forward: what is computed from it")
        for step in others:
            yield f"  {step.name} = {step.value!r}   ({step.formula})"
        yield f"  ℒ = {self.loss!r}   ({self.loss_formula})"
        yield ""
        yield tr("backward: the chain rule, from ℒ to it")
        for equation in self.equations:
            yield from (f"  {line}" for line in equation.lines())
        if self.own is not None:
            value, dtype = self.own
            number = str(np.dtype(dtype).type(value))
            yield ""
            yield tr(
                "All of it in float64, from the network's own numbers; in {dtype} the"
                " network has {number} here.",
                dtype=dtype,
                number=number,
            )


def at(symbol: str, index: Index) -> str:
    """Return the name of an array's element: z⁽¹⁾[0, 3]."""
    return symbol + (f"[{', '.join(map(str, index))}]" if index else "")


def added_up(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return a path's steps with each gradient as the sum of its chain-rule terms."""
    known: dict[tuple[str, Index], float] = {}
    ordered: list[Step] = []
    for step in reversed(steps):
        terms = [
            replace(t, gradient=known.get((t.symbol, t.index), t.gradient))
            for t in step.terms
        ]
        step = replace(step, terms=tuple(terms))
        if step.terms or np.isfinite(step.gradient):
            step = replace(step, gradient=step.summed())
        known[step.symbol, step.index] = step.gradient
        ordered.append(step)
    return tuple(reversed(ordered))
