"""Exercises: one training step of a network to be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.book.derivation.derivation import derive
from chainrule.book.derivation.formulas import (
    RATE,
    X,
    name_of,
    split,
)
from chainrule.book.derivation.keys import keys
from chainrule.book.marking.drawing import Drawn, drawn
from chainrule.book.marking.place import Place
from chainrule.diagrams import svg
from chainrule.diagrams.diagram import Diagram
from chainrule.errors import ArgumentError
from chainrule.explanation import tikz
from chainrule.explanation.document import Document
from chainrule.explanation.equations import Equation
from chainrule.explanation.naming import symbol
from chainrule.explanation.parts import (
    Formula,
    Heading,
    Numbers,
    Part,
    Picture,
    Room,
    Sentence,
    paper,
)
from chainrule.explanation.signs import LABEL, LOSS
from chainrule.notation.expressions import Array, Expr
from chainrule.text import _, tr
from chainrule.text.catalogue import current
from chainrule.text.languages import language

#: Significant digits of the answers.
DIGITS = 4
#: Those of the largest number of an array, so that each has so many.
SHOWN = 6
BLANK = "?"
#: Lines of room for the working of a question, and for each row of its answers.
LINES, MORE = 2, 1


@dataclass(frozen=True, eq=False, repr=False)
class Worksheet(Document):
    """An exercise sheet: one training step of a network by hand, with answers.

    :meth:`to_toml` is a form to fill in, for ``chainrule check-work``.

    Attributes:
        drawn: its numbers.
        seed: of the numbers.
        lang: the language in which it was made, and is shown.
        answers: whether its answers stand there.
        student: whose sheet it is; empty where nobody is named.
    """

    drawn: Drawn
    seed: int
    lang: str
    answers: bool = False
    student: str = ""

    @property
    def samples(self) -> int:
        """The number of samples in an exercise."""
        return len(self.drawn.x)

    @property
    def keys(self) -> list[str]:
        """The keys of an exercise's quantities in the order of the questions."""
        return list(keys(self.drawn.formulas.network))

    @cached_property
    def module(self) -> nn.Module:
        """The network of an exercise, with its weights before the update."""
        return self.drawn.module()

    # -- in words ----------------------------------------------------------------------

    def parts(self) -> list[Part]:
        """Return an exercise sheet's parts: headings, sentences, formulas, blanks."""
        sizes = " → ".join(map(str, self.drawn.formulas.network.sizes))
        title = (
            tr("Answers: one step of {sizes}", sizes=sizes)
            if self.answers
            else tr("Exercise: one step of {sizes}", sizes=sizes)
        )
        parts: list[Part] = [
            Heading(title),
            Sentence(tr("Name: {name}", name=self.student or "_" * 24)),
            *self.exercise(),
        ]
        for i, (title, why, asked) in enumerate(self.questions(), 1):
            parts += [Heading(f"{i}. {title}", 2), Sentence(why)]
            for key in asked:
                parts += self._asked(key)
            if not self.answers:
                rows = sum(self._shape(key)[0] for key in asked)
                parts.append(Room(LINES + MORE * rows))
        return parts

    def exercise(self) -> Iterator[Part]:
        """Yield what an exercise gives: how to round, the network, all numbers."""
        yield Sentence(f"{self.network_line()}, --seed {self.seed}", "note")
        yield Sentence(
            tr("Round to {digits} significant digits.", digits=DIGITS)
            if self.samples == 1
            else tr(
                "{n} samples, a column each; ℒ is the mean over them. Round to"
                " {digits} significant digits.",
                n=self.samples,
                digits=DIGITS,
            )
        )
        yield from self._given()

    def network_line(self) -> str:
        """Return an exercise's network and loss as they are written in commands."""
        F = self.drawn.formulas
        return f"{F.network}, {F.objective.name}"

    def formulas(self) -> Iterator[Part]:
        """Yield the right formulas of all quantities of an exercise."""
        F = self.drawn.formulas
        for key in self.keys:
            yield Formula(Equation((self._name(key), Place(F, *split(key)).right)))

    def solution(self) -> Iterator[Part]:
        """Yield the numbers of an exercise's answers, without formulas."""
        for key in self.keys:
            yield Numbers(self._name(key), self.values(key), SHOWN)

    def solved(self) -> Worksheet:
        """Return an exercise with its answers."""
        return replace(self, answers=True)

    def named(self, student: str) -> Worksheet:
        """Return an exercise with the name of a student."""
        return replace(self, student=student)

    def _picture(self) -> Iterator[Part]:
        """Yield the picture of an exercise's network, with its weights."""
        diagram: Diagram = self.module.picture()
        diagram.title = ""  # the page has one
        units = diagram.units
        if units is not None:
            yield Picture(lambda: svg.picture(diagram), lambda: tikz.drawing(units))

    def _given(self) -> Iterator[Part]:
        """Yield an exercise sheet's parts with the network and the stated numbers."""
        drawn, F = self.drawn, self.drawn.formulas
        yield Heading(tr("given"), 2)
        yield from self._picture()
        for k in F.network.layers:
            sides = [F.a(k), symbol("a", k), F.activated(k)]
            yield Formula(Equation(tuple(dict.fromkeys(sides))))
        yield Formula(Equation((LOSS, F.loss()[0])))
        for name in (X, LABEL):
            yield Numbers(name, paper(drawn.numbers[name]))
        for key, array in drawn.parameters.items():
            kind, k = split(key)
            yield Numbers(symbol(kind, k), array if array.ndim > 1 else array[:, None])
        yield Numbers(RATE, np.asarray(drawn.lr))

    def questions(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield title, instruction and keys of each question of an exercise."""
        net = self.drawn.formulas.network
        for k in net.layers:
            yield (
                tr("forward, layer {k}", k=k),
                tr("The weighted inputs and the activations (3.2.1)."),
                [f"z{k}", f"a{k}"],
            )
        yield tr("loss"), tr("How wrong is ŷ (3.3)?"), ["loss"]
        for k in reversed(net.layers):
            yield (
                tr("error of layer {k}", k=k),
                tr("δ = ∂ℒ/∂z of the last layer: from ℒ and f′ (3.4.2, 3.7 step 1).")
                if k == net.depth
                else tr("δ sent back through W, and through f′ (3.4.2, 3.7 step 2)."),
                [f"delta{k}"],
            )
        for k in reversed(net.layers):
            yield (
                tr("gradients of layer {k}", k=k),
                tr("From δ and what the layer was given (3.4.1, 3.7 step 3)."),
                [f"dW{k}", f"db{k}"],
            )
        for k in net.layers:
            yield (
                tr("update of layer {k}", k=k),
                tr(
                    "One step of gradient descent (3.4.3, 3.7 step 4); ′ marks new"
                    " values."
                ),
                [f"W{k}", f"b{k}"],
            )

    def _asked(self, key: str) -> Iterator[Part]:
        F = self.drawn.formulas
        name = self._name(key)
        if not self.answers:
            yield Numbers(name, None, blank=self._shape(key))
            return
        yield Formula(Equation((name, Place(F, *split(key)).right)))
        yield Numbers(name, self.values(key), SHOWN)

    def _shape(self, key: str) -> tuple[int, int]:
        """Return the rows and columns of an exercise's quantity, as on paper."""
        array = np.atleast_2d(paper(self.drawn.of(key)))
        return array.shape[0], array.shape[1]

    def _name(self, key: str) -> Expr:
        return name_of(self.drawn.formulas, key)

    def values(self, key: str) -> Array:
        """Return the rounded answer to an exercise's quantity, a column a sample."""
        array = paper(self.drawn.of(key))
        flat = [float(_written(v)) for v in array.ravel()]
        return np.array(flat).reshape(array.shape)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.drawn.formulas.network}>"

    # -- as data -----------------------------------------------------------------------

    def to_toml(self) -> str:
        """Return an exercise as a TOML file to fill in for ``chainrule check-work``."""
        drawn, F = self.drawn, self.drawn.formulas
        one = self.samples == 1
        with language(self.lang):
            lines = [
                "# "
                + tr('Put your numbers in place of each "?", and have them marked:'),
                "#   chainrule check-work FILE.toml",
            ]
            if not one:
                lines.append("# " + tr("Each sample is a column."))
        if self.student:
            name = json.dumps(self.student, ensure_ascii=False)
            lines += [f"student = {name}", f"seed = {self.seed}"]
        lines += [
            f'network = "{F.network}"',
            f'loss = "{F.objective.name}"',
            f"lr = {_plain(drawn.lr)}",
            *(() if one else ('samples = "columns"',)),
            f"x = {_toml(drawn.x[0] if one else drawn.x.T)}",
            f"y = {self._truths()}",
            "",
            "[weights]",
            *(f"{key} = {_toml(array)}" for key, array in drawn.parameters.items()),
            "",
            "[answers]",
        ]
        for key in self.keys:
            array = drawn.of(key).array
            if split(key)[0] in ("z", "a", "delta"):
                array = array[0] if one else array.T
            name = "L" if key == "loss" else key
            lines.append(
                f"{name} = {_toml(array, blank=not self.answers, digits=DIGITS)}"
            )
        return "\n".join([*lines, ""])

    def _truths(self) -> str:
        y, one = self.drawn.y, self.samples == 1
        if self.drawn.formulas.objective.truths == "classes":
            classes = [int(c) for c in y.argmax(1)]
            return str(classes[0] if one else classes)
        return _toml(y[0] if one else y.T)

    def to_json(self) -> dict[str, Any]:
        """Return an exercise as JSON data; arrays have a column for each sample."""
        drawn, F = self.drawn, self.drawn.formulas
        data: dict[str, Any] = {
            "network": str(F.network),
            "loss": F.objective.name,
            "seed": self.seed,
            "student": self.student,
            "samples": self.samples,
            "lr": drawn.lr,
            "x": paper(drawn.numbers[X]).tolist(),
            "y": paper(drawn.numbers[LABEL]).tolist(),
            "weights": {k: v.tolist() for k, v in drawn.parameters.items()},
            "questions": self.keys,
        }
        if self.answers:
            data["answers"] = {k: self.values(k).tolist() for k in self.keys}
        return data


def worksheet(
    network: str,
    loss: str = "half_squared",
    *,
    seed: int = 0,
    samples: int = 1,
    answers: bool = False,
    student: str = "",
    lang: str | None = None,
) -> Worksheet:
    """Return an exercise with random numbers: one training step of a network by hand.

    Args:
        network: sizes with activations, as for :func:`chainrule.derive`.
        loss: a name that it takes.
        seed: the same seed gives the same sheet, on every machine.
        samples: 1 to 4.
        answers: whether its answers stand there.
        student: whose sheet it is.
        lang: ``"en"`` or ``"zh-TW"``; by default that of the locale.

    Raises:
        ParseError: a description that cannot be read.
        ArgumentError: a loss that does not fit; more than a person works out by hand.

    >>> sheet = worksheet("2-2sigmoid-1", seed=1)
    >>> print(*sheet.to_toml().splitlines()[2:6], sep="\\n")
    network = "2-2sigmoid-1"
    loss = "half_squared"
    lr = 0.2
    x = [1.5, -1.0]
    """
    with language(lang):
        for name, value, least in (("seed", seed, 0), ("samples", samples, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ArgumentError(
                    _("{name} is a whole number.", name=name),
                    expected=f"{name} ≥ {least}",
                    got=repr(value),
                )
        formulas = derive(network, loss).formulas
        numbers = drawn(formulas, seed, samples)
        return Worksheet(numbers, seed, current(), answers, student)


def _written(value: float) -> str:
    """Return a number of an exercise as text, with trailing zeros.

    >>> _written(0.7310586), _written(0.5), _written(0.0), _written(-0.00001234)
    ('0.7311', '0.5000', '0', '-1.234e-05')
    """
    if value == 0:
        return "0"
    plain = f"{value:#.{DIGITS}g}"
    return plain.removesuffix(".")


def _plain(value: float) -> str:
    """Return a number of an exercise as text, without rounding errors."""
    return repr(float(round(value, 10)) + 0.0)


def _toml(array: Array, *, blank: bool = False, digits: int = 0) -> str:
    """Return an array of an exercise as a TOML value, or as blanks to fill in."""
    if array.ndim:
        inner = [_toml(item, blank=blank, digits=digits) for item in array]
        return f"[{', '.join(inner)}]"
    if blank:
        return f'"{BLANK}"'
    return _written(float(array)) if digits else _plain(float(array))
