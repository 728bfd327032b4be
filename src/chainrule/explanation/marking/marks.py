"""Marking of answers in turn, each from the student's own earlier numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from chainrule.errors import NonFiniteError
from chainrule.explanation.derivation.formulas import RATE, Formulas, split
from chainrule.explanation.marking.ensemble import Ensemble, Numbers, bands
from chainrule.explanation.marking.place import Place, ways_of
from chainrule.explanation.marking.shapes import Fitted
from chainrule.explanation.marking.slip import Slip
from chainrule.explanation.marking.slips import SLIPS, slips_of
from chainrule.explanation.marking.sources import Sources
from chainrule.explanation.marking.steps import MOMENTUM
from chainrule.explanation.marking.unknown import other_factor, other_rate
from chainrule.explanation.marking.written import FEWEST, Written
from chainrule.notation.expressions import Array, Expr
from chainrule.text import _

#: Right; right from an earlier wrong answer; wrong; of too few digits to tell.
RIGHT, CONSEQUENCE, WRONG, OPEN = "right", "consequence", "wrong", "open"
#: So many times larger than its first rounding no error by rounding is taken to be.
GROWTH = 5000.0
#: Slips that are named of one answer.
NAMED = 4


@dataclass(frozen=True, eq=False)
class Found:
    """A common mistake (slip) whose formula gives the numbers of an answer.

    Attributes:
        slip: which one.
        key: of which quantity: the answer's own, or one before it that was not given.
        formula: what was worked out in place of the right formula.
    """

    slip: Slip
    key: str
    formula: Expr


@dataclass(frozen=True, eq=False)
class Mark:
    """The mark of one answer: its status, the right numbers and likely mistakes.

    Attributes:
        key: the quantity: ``z1``, ``delta2``, ``dW1``, ….
        status: ``right``, ``consequence``, ``wrong``; or ``open``, where it has too few
            digits to be told from what a slip gives.
        given: the answer, as it lies in memory; in its own shape where that is wrong.
        right: the right numbers.
        follows: what it comes to from the student's own earlier numbers.
        since: the earlier wrong answers that it follows from.
        slips: the slips that give these numbers.
        remarks: what else there is to say: ``turned``, ``shape``, ``short``,
            ``copied``, ``per_sample``; ``down`` and ``up`` of a velocity with η in it.
    """

    key: str
    status: str
    given: Fitted
    right: Array
    follows: Array
    since: tuple[str, ...] = ()
    slips: tuple[Found, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Sheet:
    """All answers of one student, with the numbers given in the exercise.

    Attributes:
        formulas: of the network.
        start: the numbers that are given: x, y, n, W, b, and those of the update.
        answers: the answers by key, in any order.
        digits, decimals: how the sheet was rounded.
        coarsest: the digits of the answer that has fewest.
        n: how many samples there are.
        updates: whether it is known how parameters are updated.
    """

    formulas: Formulas
    start: Numbers
    answers: Mapping[str, Fitted]
    digits: int
    decimals: int
    coarsest: int
    n: int
    updates: bool

    def near(
        self,
        answer: Fitted,
        first: Array,
        others: Iterable[Array],
        by: float = 1,
    ) -> bool:
        """Return whether an answer equals some numbers up to rounding.

        Args:
            answer: the answer.
            first: the numbers.
            others: those of people who round on the way, asked for as far as needed.
            by: what to multiply them by.
        """
        if answer.values.shape != first.shape:
            return False
        apart = np.abs(answer.values - by * first)
        half = answer.half(self.decimals) * (1 + 1e-9)
        largest = np.max(np.abs(by * first), initial=0)
        far = apart.max(initial=0) > GROWTH * 10.0**-self.coarsest * largest
        for room in bands(by * first, (by * v for v in others)):
            if np.all(apart <= half + room):
                return True
            if far:
                return False
        return False

    @cached_property
    def right(self) -> Ensemble:
        """The right numbers of every quantity."""
        ensemble, F = self.ensemble(), self.formulas
        for key in self.order:
            ensemble.carry(key, exact_ways(F, key))
            held = ensemble.held(key)
            if key in self.answers and not np.isfinite(held).all():
                raise NonFiniteError(
                    _("There is nothing to mark: the right numbers are none."),
                    expected=_("finite numbers"),
                    got=f"{key} = {held[~np.isfinite(held)][0]}",
                    fix=_("divide by no zero, and take other weights"),
                )
        return ensemble

    @cached_property
    def order(self) -> list[str]:
        """The keys of all quantities in the order of computation."""
        F = self.formulas
        return [*F.forward, *F.backward, *(F.updates if self.updates else ())]

    def ensemble(self) -> Ensemble:
        """Return a new ensemble with the given numbers alone."""
        return Ensemble(self.formulas, self.start, self.digits, self.decimals, self.n)


def marked(sheet: Sheet) -> list[Mark]:
    """Return the marks of all answers, in the order of computation."""
    return _Marker(sheet).all()


def exact_ways(formulas: Formulas, key: str) -> list[Expr]:
    """Return all right formulas of a quantity, the most precise first."""
    exact = formulas.all[key].sides[-1]
    return list(dict.fromkeys([exact, *ways_of(formulas, key)]))


def is_short(written: Written, values: Array) -> bool:
    """Return whether an answer is right to its own digits: rounded early or cut off."""
    if written.shape != values.shape:
        return False
    apart, step = np.abs(written.values - values), written.own_step()
    cut_off = (written.digits > 1) & (np.abs(written.values) <= np.abs(values))
    # Whoever cuts off loses less than a whole unit.
    step = np.where(cut_off, step * (1 - 1e-6), step / 2)
    room = np.minimum(step, np.abs(values) / 4)
    return bool(np.all(apart <= room * (1 + 1e-9)))


def is_open(written: Written, values: Array) -> bool:
    """Return whether an answer is right, but some numbers have too few digits."""
    few = written.digits < FEWEST
    return bool(
        few.any()
        and is_short(written, values)
        and np.all(few | (np.abs(written.values - values) <= written.own_step() / 2))
    )


class _Marker:
    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.formulas = sheet, sheet.formulas
        self.order = sheet.order
        self.right = sheet.right
        #: The student's own numbers.
        self.own = sheet.ensemble()
        self.marks: dict[str, Mark] = {}
        #: Quantities that are wrong, given or not, with the answer that shows it.
        self.tainted: dict[str, str] = {}

    @cached_property
    def sources(self) -> Sources:
        """The dependencies between the quantities."""
        return Sources(self.formulas, self.order)

    def all(self) -> list[Mark]:
        for key in self.order:
            answer = self.sheet.answers.get(key)
            if answer is None:
                self._carry(key)
            else:
                self.marks[key] = self._mark(key, answer)
        return list(self.marks.values())

    def _place(self, key: str) -> Place:
        return Place(self.formulas, *split(key))

    def _carry(self, key: str) -> None:
        """Compute a quantity without an answer from the student's own numbers."""
        ways = ways_of(self.formulas, key)
        # From wrong numbers they are not equal at all.
        self.own.carry(key, ways[:1] if self._since(key) else ways)

    def _carry_answer(self, mark: Mark) -> None:
        """Use an answer, with its rounding error, for the quantities after it."""
        key, answer = mark.key, mark.given
        half = answer.half(self.sheet.decimals)
        nothing = (answer.values == 0) & ((mark.right == 0) | (mark.follows == 0))
        self.own.carry_written(key, answer.values, np.where(nothing, 0.0, half))

    def _near(self, answer: Fitted, ensemble: Ensemble, ways: list[Expr]) -> bool:
        """Return whether an answer equals a formula's value up to rounding."""
        key = answer.key
        first, others = ensemble.first(key, ways[0]), ensemble.every(key, ways)
        return self.sheet.near(answer, first, others)

    def _is_right(self, answer: Fitted) -> bool:
        ways = exact_ways(self.formulas, answer.key)
        return self._near(answer, self.right, ways)

    def _follows(self, answer: Fitted) -> bool:
        """Return whether an answer is right given the student's own earlier numbers."""
        ways = ways_of(self.formulas, answer.key)
        return any(self._near(answer, self.own, [way]) for way in ways)

    def _meant(self, key: str, answer: Fitted) -> Fitted:
        """Return a velocity's answer with its unit: 1, or ±η if η is included."""
        place = self._place(key)
        velocity = place.kind in ("vW", "vb") and place.right.holds(MOMENTUM)
        if not velocity or self._is_right(answer) or self._follows(answer):
            return answer
        rate = float(self.own.members[0][RATE].array)
        for unit in (-rate, rate):
            other = replace(answer, unit=unit)
            if self._is_right(other) or self._follows(other):
                return other
        return answer

    def _mark(self, key: str, answer: Fitted) -> Mark:
        answer = self._meant(key, answer) if answer.fits else answer
        follows = self.own.first(key, self._place(key).right)
        mark = Mark(key, RIGHT, answer, self.right.held(key), follows)
        if answer.unit != 1:
            mark = replace(mark, remarks=("down" if answer.unit < 0 else "up",))
        since = self._since(key)
        if not answer.fits:
            self._carry(key)
            found = self._at(key, answer)
            return replace(mark, status=WRONG, slips=found, remarks=("shape",))
        if self._is_right(answer):
            if since and not self._follows(answer):
                self._only_copied(since)
                self._not_there(key)
        elif self._follows(answer):
            mark = replace(mark, status=CONSEQUENCE if since else RIGHT, since=since)
        else:
            mark = self._not_right(mark, answer, since)
        if mark.status != RIGHT:
            self.tainted[key] = key
        self._carry_answer(mark)
        return self._turned(mark, answer)

    def _not_right(self, mark: Mark, answer: Fitted, since: tuple[str, ...]) -> Mark:
        """Return the mark of an answer that matches neither right formula."""
        found = self._search(mark.key, answer)
        if found and any(
            is_open(answer.written, v) for v in (mark.right, mark.follows)
        ):
            return replace(mark, status=OPEN, since=since, slips=found)
        if found:
            hidden = next((hit for hit in found if hit.key != mark.key), None)
            if hidden is not None:
                self._adopt(hidden, mark.key)
            return replace(mark, status=WRONG, slips=found)
        if is_short(answer.written, mark.right):
            return replace(mark, remarks=("short",))
        if is_short(answer.written, mark.follows):
            status = CONSEQUENCE if since else RIGHT
            return replace(mark, status=status, since=since, remarks=("short",))
        return replace(mark, status=WRONG, slips=self._unknown(mark, answer))

    def _turned(self, mark: Mark, answer: Fitted) -> Mark:
        """Return a mark with a remark and a slip if the answer is transposed."""
        if not answer.turned:
            return mark
        found = Found(SLIPS["turned"], mark.key, self._place(mark.key).right.T)
        if mark.status == RIGHT:
            return replace(mark, status=WRONG, slips=(found,), remarks=("turned",))
        return replace(mark, remarks=(*mark.remarks, "turned"))

    # -- what it was worked out from ---------------------------------------------------

    def _since(self, key: str) -> tuple[str, ...]:
        """Return the keys of the nearest wrong answers that a quantity depends on."""
        if not self.tainted:
            return ()
        found: dict[str, None] = {}
        for source in self.sources.nearest(key, self.marks):
            if source in self.tainted:
                found[self.tainted[source]] = None
        return tuple(sorted(found, key=self.order.index))

    def _only_copied(self, since: Iterable[str]) -> None:
        """Correct the marks of earlier answers that were right but copied wrongly."""
        for key in since:
            mark = self.marks[key]
            if mark.status == OPEN and is_open(mark.given.written, mark.right):
                mark = replace(mark, status=RIGHT, slips=(), remarks=("short",))
            elif mark.status == OPEN or (
                mark.status == WRONG and not mark.slips and mark.given.fits
            ):
                remarks = (*mark.remarks, "copied")
                mark = replace(mark, status=WRONG, slips=(), remarks=remarks)
            if mark is not self.marks[key]:
                self.marks[key] = replace(mark, since=())
                self.tainted.pop(key, None)
                half = mark.given.half(self.sheet.decimals)
                self.own.carry_written(key, mark.right, half)
                self._refresh(key)
                if mark.status == RIGHT:
                    self._settle(key)

    def _settle(self, key: str) -> None:
        """Remove a right answer from the causes of later marks, and correct these."""
        for other, mark in list(self.marks.items()):
            if key not in mark.since:
                continue
            since = tuple(source for source in mark.since if source != key)
            freed = mark.status == CONSEQUENCE and not since
            status = RIGHT if freed else mark.status
            self.marks[other] = replace(mark, status=status, since=since)
            if freed:
                self.tainted.pop(other, None)
                self._settle(other)

    def _not_there(self, key: str) -> None:
        """Mark quantities without answers as right if a later answer is right."""
        for source in list(self.sources.nearest(key, self.marks)):
            if source in self.tainted and source not in self.marks:
                right = self.right.held(source)
                self.tainted.pop(source)
                self.own.carry_written(source, right, np.zeros(right.shape))

    def _refresh(self, changed: str) -> None:
        """Recompute the quantities without answers after a changed one."""
        for key in self.order[self.order.index(changed) + 1 :]:
            if key in self.marks and key != changed:
                continue
            if key in self.sheet.answers:
                return  # not marked yet
            self._carry(key)

    # -- slips -------------------------------------------------------------------------

    def _search(self, key: str, answer: Fitted) -> tuple[Found, ...]:
        """Return the mistakes (slips) that explain an answer's numbers."""
        found: dict[tuple[str, str], Found] = {}
        for changed in (key, *self.sources.hidden(key, self.marks)):
            needed = {key, *self.sources.nearest(key, self.marks)}
            between = [k for k in self._between(changed, key) if k in needed]
            for slip, e in slips_of(self._place(changed)):
                known = (slip.name, changed) in found
                if not known and self._gives(changed, e, between, key, answer):
                    found[slip.name, changed] = Found(slip, changed, e)
                    if len(found) == NAMED:
                        return tuple(found.values())
        return tuple(found.values())

    def _between(self, changed: str, key: str) -> list[str]:
        """Return the quantities without answers from ``changed`` up to ``key``."""
        start, end = self.order.index(changed) + 1, self.order.index(key) + 1
        later = [k for k in self.order[start:end] if k not in self.marks]
        return self.sources.after(changed, later)

    def _gives(
        self, changed: str, e: Expr, between: list[str], key: str, answer: Fitted
    ) -> bool:
        try:
            first = self.own.tried(between, changed, e, key)
            if not self._could_be(answer.values, first):
                return False
            others = self.own.tried_by_every(between, changed, e, key)
            return self.sheet.near(answer, first, others)
        except (ArithmeticError, ValueError):  # η is not known; sizes do not fit
            return False

    def _could_be(self, given: Array, first: Array) -> bool:
        """Return whether a slip's numbers are roughly equal to an answer."""
        if given.shape != first.shape or not np.isfinite(first).all():
            return False
        apart = np.abs(given - first).max(initial=0)
        return bool(apart <= 0.05 * max(np.abs(given).max(), np.abs(first).max()))

    def _at(self, key: str, answer: Fitted) -> tuple[Found, ...]:
        """Return the mistakes (slips) that explain an answer of another shape."""
        found: dict[str, Found] = {}
        half = answer.half(self.sheet.decimals)
        for slip, e in slips_of(self._place(key)):
            try:
                made = self.own.raw(e)
            except (ArithmeticError, ValueError):
                continue
            made = made if made.ndim < 3 else np.zeros(0)
            for way in (made, made.T, made.squeeze()):
                apart = answer.values.shape == way.shape and np.abs(answer.values - way)
                room = 2 * half + 0.002 * np.abs(way).max(initial=0)
                if apart is not False and np.all(apart <= room):
                    found.setdefault(slip.name, Found(slip, key, e))
        return tuple(found.values())[:NAMED]

    def _adopt(self, found: Found, key: str) -> None:
        """Recompute the quantities after a mistake in one that has no answer."""
        between = self._between(found.key, key)
        self.own.carry(found.key, [found.formula])
        self.tainted[found.key] = key
        for k in between:
            if k != key:
                self._carry(k)
                self.tainted[k] = key

    def _unknown(self, mark: Mark, answer: Fitted) -> tuple[Found, ...]:
        """Return the mistake of another η or a constant factor, or nothing."""
        place = self._place(mark.key)
        finders = (other_rate,) if place.kind in ("W", "b") else (other_factor,)
        for find in finders:
            for slip, e in find(place, answer.values, self.own.members[0]):
                if self._gives(mark.key, e, [], mark.key, answer):
                    return (Found(slip, mark.key, e),)
        return ()
