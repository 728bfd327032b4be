"""The report of a student's marked answers: text, HTML, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.book.derivation.formulas import (
    Formulas,
    name_of,
    split,
)
from chainrule.book.derivation.keys import key_of
from chainrule.book.marking.marks import (
    CONSEQUENCE,
    OPEN,
    RIGHT,
    WRONG,
    Mark,
)
from chainrule.book.marking.misconceptions import Slip
from chainrule.book.marking.place import Place
from chainrule.book.marking.shapes import OF_SAMPLES
from chainrule.errors import ArgumentError
from chainrule.explanation.document import Document
from chainrule.explanation.equations import Equation
from chainrule.explanation.parts import (
    Formula,
    Heading,
    Numbers,
    Part,
    Rows,
    Sentence,
    paper,
)
from chainrule.notation.arithmetic import COLUMNS, MATRIX, Quantity
from chainrule.notation.expressions import Array, Expr
from chainrule.primitives.rules import show
from chainrule.text import _, tr
from chainrule.text.languages import language

#: Digits that are shown.
DIGITS = 6


@dataclass(frozen=True, eq=False, repr=False)
class WorkReport(Document):
    """The report of a student's marked answers, for print and for notebooks.

    ``report["delta1"]`` is the mark of one answer; ``"right"``, ``"consequence"``,
    ``"wrong"`` or ``"open"`` is its ``status``, ``slips`` are what gives its numbers,
    ``since`` are the wrong answers that it follows from.

    Attributes:
        formulas: the right formulas.
        marks: one for each answer, in the order of computation.
        n: how many samples there are.
        lang: the language in which it was made, and is shown.
    """

    formulas: Formulas
    marks: tuple[Mark, ...]
    n: int
    lang: str

    @property
    def ok(self) -> bool:
        """True if all answers of a student are right."""
        return all(mark.status == RIGHT for mark in self.marks)

    @property
    def first(self) -> str | None:
        """The key of a student's first wrong answer, in the order of computation."""
        return next((m.key for m in self.marks if m.status == WRONG), None)

    @property
    def right(self) -> int:
        """The number of a student's right answers."""
        return sum(mark.status == RIGHT for mark in self.marks)

    def __getitem__(self, name: str) -> Mark:
        """Return the mark of a student's answer, by any name of its quantity.

        Raises:
            ArgumentError: for another name, or what was not answered.
        """
        key = key_of(name, self.formulas.network, self.formulas.updates)
        for mark in self.marks:
            if mark.key == key:
                return mark
        raise ArgumentError(
            _("There is no answer for {name}.", name=key),
            expected=", ".join(mark.key for mark in self.marks),
            got=repr(name),
        )

    # -- in words ----------------------------------------------------------------------

    def verdict(self) -> str:
        """Return the overall result of a student's marked work as a sentence."""
        with language(self.lang):
            many = len(self.marks)
            if self.ok:
                return tr("All {many} answers are right.", many=many)
            few = sum(mark.status == OPEN for mark in self.marks)
            right = self.right
            if self.first is None and right + few == many:
                return tr(
                    "{right} of {many} answers are right, the others have too few"
                    " digits to tell.",
                    right=right,
                    many=many,
                )
            if self.first is None:
                return tr(
                    "{right} of {many} answers are right, {few} of too few digits to"
                    " tell, and the others follow from there.",
                    right=right,
                    many=many,
                    few=few,
                )
            name = self._name(self.first).text()
            if few:
                return tr(
                    "{right} of {many} answers are right, {few} of too few digits to"
                    " tell. The first wrong one is {name}.",
                    right=right,
                    many=many,
                    few=few,
                    name=name,
                )
            return tr(
                "{right} of {many} answers are right. The first wrong one is {name}.",
                right=right,
                many=many,
                name=name,
            )

    def _name(self, key: str) -> Expr:
        return name_of(self.formulas, key)

    def _listed(self, keys: tuple[str, ...]) -> str:
        return tr(", ").join(self._name(key).text() for key in keys)

    def says(self, slip: Slip, key: str) -> str:
        """Return a student's mistake as text, with its quantity if that is another."""
        text = slip.message()
        if slip.key == key:
            return text
        name = self._name(slip.key).text()
        return tr("already in {name}, which is not given: {slip}", name=name, slip=text)

    def remarks(self, mark: Mark) -> Iterator[str]:
        """Yield what else there is to say of a student's answer, as texts."""
        texts = {
            "short": tr("right as far as it goes, but it has too few digits"),
            "copied": tr("what comes after it is right: was it copied wrong?"),
            "per_sample": tr("δ of each sample's own loss: the 1/n comes later"),
            "down": tr("with η in v: v ← μ v − η g, W ← W + v"),
            "up": tr("with η in v: v ← μ v + η g, W ← W − v"),
            "turned": tr("transposed: a row for each neuron of the layer is meant"),
            "shape": tr(
                "numbers: {given} where {wanted} are meant",
                given=_many(mark.answer.written.values.shape),
                wanted=self._shape(mark),
            ),
        }
        if "shape" in mark.remarks and _may_be_commas(mark):
            yield tr(
                "is that a decimal comma? A decimal point is a point: 0.5, not 0,5"
            )
        for remark in mark.remarks:
            if remark != "turned" or all(s.name != "transposed" for s in mark.slips):
                yield texts[remark]

    def _shape(self, mark: Mark) -> str:
        return _many(self._on_paper(mark.key, mark.right).shape)

    def _on_paper(self, key: str, array: Array) -> Array:
        columns = split(key)[0] in OF_SAMPLES
        return paper(Quantity(array, COLUMNS if columns else MATRIX))

    def about(self, mark: Mark) -> str:
        """Return the comment on a student's answer for the report's table."""
        if mark.status == OPEN:
            sentence = tr(
                "too few digits to tell; right as far as it goes, and so is a slip:"
                " {slip}",
                slip=self.says(mark.slips[0], mark.key),
            )
            return tr("; ").join([sentence, *self.remarks(mark)])
        parts = [self.says(slip, mark.key) for slip in mark.slips[:1]]
        if len(mark.slips) > 1:
            parts.append(tr("or another slip, see below"))
        if mark.status == CONSEQUENCE:
            parts.append(tr("right from your {names}", names=self._listed(mark.since)))
        return tr("; ").join([*parts, *self.remarks(mark)])

    # -- shown -------------------------------------------------------------------------

    def parts(self) -> list[Part]:
        """Return a marking report's parts: headings, sentences, formulas, numbers."""
        net = self.formulas.network
        sizes = " → ".join(map(str, net.sizes))
        parts: list[Part] = [
            Heading(tr("Your numbers for {sizes}, marked", sizes=sizes)),
            Sentence(f"{net}, {self.formulas.objective.name}", "note"),
        ]
        if self.n > 1:
            parts.append(Sentence(tr("{n} samples, a column each.", n=self.n), "note"))
        parts.append(Sentence(self.verdict(), "check" if self.ok else "wrong"))
        parts.append(Rows(self._table()))
        for mark in self.marks:
            if mark.status == WRONG:
                parts += self._wrong(mark)
        return parts

    def _table(self) -> tuple[tuple[str, ...], ...]:
        words = {
            RIGHT: tr("right"),
            CONSEQUENCE: tr("follows"),
            WRONG: tr("wrong"),
            OPEN: tr("open"),
        }
        signs = {RIGHT: "✓", CONSEQUENCE: "↳", WRONG: "✗", OPEN: "?"}
        head = tr("answer"), tr("mark"), tr("about it")
        rows = [
            (
                self._name(m.key).text(),
                f"{signs[m.status]} {words[m.status]}",
                self.about(m),
            )
            for m in self.marks
        ]
        return (head, *rows)

    def _wrong(self, mark: Mark) -> Iterator[Part]:
        """Yield the report's parts on a wrong answer: mistake, correct formula."""
        name = self._name(mark.key)
        title = name.text()
        if mark.key == self.first:
            title = tr("the first wrong one: {name}", name=title)
        yield Heading(title, 2)
        yield from (Sentence(text) for text in self.remarks(mark))
        if len(mark.slips) > 1:
            yield Sentence(tr("Each of these slips gives your numbers:"))
        for slip in mark.slips:
            yield Sentence(self._sentence(slip, mark.key))
            yield Formula(
                Equation(
                    (self._name(slip.key), slip.formula),
                    remark=tr("what gives your numbers"),
                )
            )
        if not mark.slips and "turned" not in mark.remarks:
            yield Sentence(tr("No usual slip gives these numbers."))
        for key in dict.fromkeys([*(f.key for f in mark.slips), mark.key]):
            right = Place(self.formulas, *split(key)).right
            yield Formula(Equation((self._name(key), right), remark=tr("right")))
        yield Sentence(tr("Your numbers, and the right ones:"))
        answer = mark.answer.written.values
        shown = self._on_paper(mark.key, answer) if mark.answer.fits else answer
        yield Numbers(name, shown, DIGITS)
        yield Numbers(name, self._on_paper(mark.key, mark.right), DIGITS)
        follows = self._on_paper(mark.key, mark.follows)
        if self._differs(mark):
            yield Sentence(tr("From your own earlier numbers it would be:"))
            yield Numbers(name, follows, DIGITS)

    def _differs(self, mark: Mark) -> bool:
        """Return whether the student's earlier numbers lead to another result."""
        apart = abs(mark.follows - mark.right).max(initial=0)
        return bool(apart > 1e-3 * abs(mark.right).max(initial=0))

    def _sentence(self, slip: Slip, key: str) -> str:
        return tr("Likely slip: {slip}.", slip=self.says(slip, key))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.verdict()}>"

    def to_json(self) -> dict[str, Any]:
        """Return a marking report as JSON data; arrays have a column a sample."""
        with language(self.lang):
            return {
                "network": str(self.formulas.network),
                "loss": self.formulas.objective.name,
                "samples": self.n,
                "ok": self.ok,
                "right": self.right,
                "answers": len(self.marks),
                "first": self.first,
                "verdict": self.verdict(),
                "marks": [self._as_json(mark) for mark in self.marks],
            }

    def _as_json(self, mark: Mark) -> dict[str, Any]:
        answer = mark.answer.written.values
        shown = self._on_paper(mark.key, answer) if mark.answer.fits else answer
        return {
            "quantity": mark.key,
            "symbol": self._name(mark.key).text(),
            "mark": mark.status,
            "since": list(mark.since),
            "given": shown.tolist(),
            "right": self._on_paper(mark.key, mark.right).tolist(),
            "follows": self._on_paper(mark.key, mark.follows).tolist(),
            "slips": [
                {
                    "slip": slip.name,
                    "quantity": slip.key,
                    "says": self.says(slip, mark.key),
                    "formula": slip.formula.text(),
                    "latex": slip.formula.latex(),
                }
                for slip in mark.slips
            ],
            "remarks": list(self.remarks(mark)),
        }


def _may_be_commas(mark: Mark) -> bool:
    """Return whether a wrong answer may be decimal commas: twice as many integers."""
    written = mark.answer.written
    return written.values.size == 2 * mark.right.size and not written.decimals.any()


def _many(shape: tuple[int, ...]) -> str:
    return show(shape) if shape else "1"
