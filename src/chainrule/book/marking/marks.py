"""Marking of a student's answers in turn, each from their own earlier numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from chainrule.book.derivation.formulas import RATE, Formulas, split
from chainrule.book.marking.misconceptions import Slip, fitted_slips, slips_of
from chainrule.book.marking.place import Place, ways_of
from chainrule.book.marking.rounding import Numbers, Rounded
from chainrule.book.marking.shapes import Fitted
from chainrule.book.marking.sources import Sources
from chainrule.book.marking.steps import MOMENTUM
from chainrule.book.marking.written import FEWEST, Written
from chainrule.errors import NonFiniteError
from chainrule.notation.expressions import Array, Expr
from chainrule.text import _

#: Right; right from an earlier wrong answer; wrong; of too few digits to tell.
RIGHT, CONSEQUENCE, WRONG, OPEN = "right", "consequence", "wrong", "open"
#: So many times larger than its first rounding no error by rounding is taken to be.
GROWTH = 5000.0
#: What float64 loses at most, relative to the largest number of a quantity.
FLOATS = 1e-9
#: Slips that are named of one answer.
NAMED = 4


@dataclass(frozen=True, eq=False)
class Mark:
    """The mark of one student answer: status, right numbers and likely mistakes.

    Attributes:
        key: the quantity: ``z1``, ``delta2``, ``dW1``, ….
        status: ``right``, ``consequence``, ``wrong``; or ``open``, where it has too few
            digits to be told from what a slip gives.
        answer: the answer, as it lies in memory; in its own shape where that is wrong.
        right: the right numbers.
        follows: what it comes to from the student's own earlier numbers.
        since: the earlier wrong answers that it follows from.
        slips: the slips that give these numbers.
        remarks: what else there is to say: ``turned``, ``shape``, ``short``,
            ``copied``, ``per_sample``; ``down`` and ``up`` of a velocity with η in it.
    """

    key: str
    status: str
    answer: Fitted
    right: Array
    follows: Array
    since: tuple[str, ...] = ()
    slips: tuple[Slip, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Sheet:
    """All answers of one student, with the numbers of the exercise.

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
        self, answer: Fitted, value: Array, error: Callable[[], Array], by: float = 1
    ) -> bool:
        """Return whether a student's answer equals some numbers up to rounding.

        Args:
            answer: the answer.
            value: the numbers.
            error: how far they may be off where all before is rounded too.
            by: what to multiply them by.
        """
        if answer.values.shape != value.shape:
            return False
        apart = np.abs(answer.values - by * value)
        largest = np.max(np.abs(by * value), initial=0)
        half = answer.half(self.decimals) * (1 + 1e-9) + FLOATS * largest
        if np.all(apart <= half):
            return True
        if apart.max(initial=0) > GROWTH * 10.0**-self.coarsest * largest:
            return False
        return bool(np.all(apart <= half + by * error()))

    def near_formulas(
        self, answer: Fitted, numbers: Rounded, ways: Sequence[Expr], by: float = 1
    ) -> bool:
        """Return whether a student's answer equals a formula's value up to rounding."""
        key = answer.key
        value = numbers.value(key, ways[0])
        return self.near(answer, value, lambda: numbers.error_of(key, ways), by)

    @cached_property
    def right(self) -> Rounded:
        """The correct numbers of every quantity in an exercise."""
        numbers, F = self.inputs(), self.formulas
        for key in self.order:
            numbers.compute(key, exact_ways(F, key))
            array = numbers[key]
            if key in self.answers and not np.isfinite(array).all():
                raise NonFiniteError(
                    _("There is nothing to mark: the right numbers are none."),
                    expected=_("finite numbers"),
                    got=f"{key} = {array[~np.isfinite(array)][0]}",
                    fix=_("divide by no zero, and take other weights"),
                )
        return numbers

    @property
    def order(self) -> Sequence[str]:
        """The keys of an exercise's quantities in the order of computation."""
        return self.sources.order

    @cached_property
    def sources(self) -> Sources:
        """The dependencies between an exercise's quantities."""
        F = self.formulas
        updates = F.updates if self.updates else ()
        return Sources(F, [*F.forward, *F.backward, *updates])

    def inputs(self) -> Rounded:
        """Return the numbers that an exercise states, without those to compute."""
        return Rounded(self.sources, self.start, self.digits, self.decimals, self.n)


def marked(sheet: Sheet) -> list[Mark]:
    """Return the marks of all answers of a student, in the order of computation."""
    return _Marker(sheet).all()


def exact_ways(formulas: Formulas, key: str) -> list[Expr]:
    """Return all correct formulas of an exercise's quantity, most precise first."""
    exact = formulas.all[key].sides[-1]
    return list(dict.fromkeys([exact, *ways_of(formulas, key)]))


def is_short(written: Written, values: Array) -> bool:
    """Return whether a student's answer is right but rounded early or cut off."""
    if written.shape != values.shape:
        return False
    apart, step = np.abs(written.values - values), written.own_step()
    cut_off = (written.digits > 1) & (np.abs(written.values) <= np.abs(values))
    # Whoever cuts off loses less than a whole unit.
    step = np.where(cut_off, step * (1 - 1e-6), step / 2)
    room = np.minimum(step, np.abs(values) / 4)
    return bool(np.all(apart <= room * (1 + 1e-9)))


def is_open(written: Written, values: Array) -> bool:
    """Return whether a student's answer is right, but too short to be certain."""
    few = written.digits < FEWEST
    return bool(
        few.any()
        and is_short(written, values)
        and np.all(few | (np.abs(written.values - values) <= written.own_step() / 2))
    )


class _Marker:
    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.formulas = sheet, sheet.formulas
        self.order, self.sources = sheet.order, sheet.sources
        self.right = sheet.right
        #: The student's own numbers.
        self.own = sheet.inputs()
        self.marks: dict[str, Mark] = {}
        #: Quantities that are wrong, given or not, with the answer that shows it.
        self.tainted: dict[str, str] = {}

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
        """Compute an unanswered quantity from the student's own earlier numbers."""
        ways = ways_of(self.formulas, key)
        # From wrong numbers they are not equal at all.
        self.own.compute(key, ways[:1] if self._since(key) else ways)

    def _carry_answer(self, mark: Mark) -> None:
        """Use a student's answer, with its rounding error, for later quantities."""
        key, answer = mark.key, mark.answer
        half = answer.half(self.sheet.decimals)
        nothing = (answer.values == 0) & ((mark.right == 0) | (mark.follows == 0))
        self.own.write(key, answer.values, np.where(nothing, 0.0, half))

    def _is_right(self, answer: Fitted) -> bool:
        ways = exact_ways(self.formulas, answer.key)
        return self.sheet.near_formulas(answer, self.right, ways)

    def _follows(self, answer: Fitted) -> bool:
        """Return whether a student's answer is right given their earlier numbers."""
        ways = ways_of(self.formulas, answer.key)
        near = self.sheet.near_formulas
        return any(near(answer, self.own, [way]) for way in ways)

    def _meant(self, key: str, answer: Fitted) -> Fitted:
        """Return a momentum velocity's answer with its unit: 1, or ±η if included."""
        place = self._place(key)
        velocity = place.kind in ("vW", "vb") and place.right.holds(MOMENTUM)
        if not velocity or self._is_right(answer) or self._follows(answer):
            return answer
        rate = float(self.own.numbers[RATE].array)
        for unit in (-rate, rate):
            other = replace(answer, unit=unit)
            if self._is_right(other) or self._follows(other):
                return other
        return answer

    def _mark(self, key: str, answer: Fitted) -> Mark:
        answer = self._meant(key, answer) if answer.fits else answer
        follows = self.own.value(key, self._place(key).right)
        mark = Mark(key, RIGHT, answer, self.right[key], follows)
        if answer.unit != 1:
            mark = replace(mark, remarks=("down" if answer.unit < 0 else "up",))
        since = self._since(key)
        if not answer.fits:
            self._carry(key)
            slips = self._at(key, answer)
            return replace(mark, status=WRONG, slips=slips, remarks=("shape",))
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
        """Return the mark of a student's answer that matches no correct formula."""
        slips = self._search(mark.key, answer)
        if slips and any(
            is_open(answer.written, v) for v in (mark.right, mark.follows)
        ):
            return replace(mark, status=OPEN, since=since, slips=slips)
        if slips:
            hidden = next((hit for hit in slips if hit.key != mark.key), None)
            if hidden is not None:
                self._adopt(hidden, mark.key)
            return replace(mark, status=WRONG, slips=slips)
        if is_short(answer.written, mark.right):
            return replace(mark, remarks=("short",))
        if is_short(answer.written, mark.follows):
            status = CONSEQUENCE if since else RIGHT
            return replace(mark, status=status, since=since, remarks=("short",))
        return replace(mark, status=WRONG, slips=self._fitted(mark, answer))

    def _turned(self, mark: Mark, answer: Fitted) -> Mark:
        """Return a mark with a remark and a mistake if its answer is transposed."""
        if not answer.turned:
            return mark
        place = self._place(mark.key)
        slip = Slip("transposed", mark.key, place.right.T, place.name)
        if mark.status == RIGHT:
            return replace(mark, status=WRONG, slips=(slip,), remarks=("turned",))
        return replace(mark, remarks=(*mark.remarks, "turned"))

    # -- what it was worked out from ---------------------------------------------------

    def _since(self, key: str) -> tuple[str, ...]:
        """Return the keys of the nearest wrong answers that a quantity depends on."""
        if not self.tainted:
            return ()
        origins: dict[str, None] = {}
        for source in self.sources.nearest(key, self.marks):
            if source in self.tainted:
                origins[self.tainted[source]] = None
        return tuple(sorted(origins, key=self.order.index))

    def _only_copied(self, since: Iterable[str]) -> None:
        """Correct the marks of earlier answers that were right but copied wrongly."""
        for key in since:
            mark = self.marks[key]
            if mark.status == OPEN and is_open(mark.answer.written, mark.right):
                mark = replace(mark, status=RIGHT, slips=(), remarks=("short",))
            elif mark.status == OPEN or (
                mark.status == WRONG
                # Of one number alone any factor can be had.
                and all(slip.name == "factor" for slip in mark.slips)
                and mark.answer.fits
            ):
                remarks = (*mark.remarks, "copied")
                mark = replace(mark, status=WRONG, slips=(), remarks=remarks)
            if mark is not self.marks[key]:
                self.marks[key] = replace(mark, since=())
                self.tainted.pop(key, None)
                half = mark.answer.half(self.sheet.decimals)
                self.own.write(key, mark.right, half)
                self._refresh(key)
                if mark.status == RIGHT:
                    self._settle(key)

    def _settle(self, key: str) -> None:
        """Remove an answer, found right, from the causes of later marks."""
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
        """Take unanswered quantities as right if a later answer is right."""
        for source in list(self.sources.nearest(key, self.marks)):
            if source in self.tainted and source not in self.marks:
                right = self.right[source]
                self.tainted.pop(source)
                self.own.write(source, right, np.zeros(right.shape))

    def _refresh(self, changed: str) -> None:
        """Recompute the quantities that have no answer after a changed answer."""
        for key in self.order[self.order.index(changed) + 1 :]:
            if key in self.marks and key != changed:
                continue
            if key in self.sheet.answers:
                return  # not marked yet
            self._carry(key)

    # -- slips -------------------------------------------------------------------------

    def _search(self, key: str, answer: Fitted) -> tuple[Slip, ...]:
        """Return the typical mistakes that explain a student's wrong answer."""
        slips: dict[tuple[str, str], Slip] = {}
        for changed in (key, *self.sources.hidden(key, self.marks)):
            needed = {key, *self.sources.nearest(key, self.marks)}
            between = [k for k in self._between(changed, key) if k in needed]
            for slip in slips_of(self._place(changed)):
                known = (slip.name, changed) in slips
                if not known and self._gives(slip, between, answer):
                    slips[slip.name, changed] = slip
                    if len(slips) == NAMED:
                        return tuple(slips.values())
        return tuple(slips.values())

    def _between(self, changed: str, key: str) -> list[str]:
        """Return the unanswered quantities that a slip changes, up to ``key``."""
        start, end = self.order.index(changed) + 1, self.order.index(key) + 1
        later = [k for k in self.order[start:end] if k not in self.marks]
        return self.sources.after(changed, later)

    def _gives(self, slip: Slip, between: list[str], answer: Fitted) -> bool:
        """Return whether a typical mistake leads to a student's answer."""
        key, own = answer.key, self.own
        # Behind a hidden slip the errors are nearly those of the right formula.
        ways = [slip.formula] if slip.key == key else ways_of(self.formulas, key)[:1]
        try:
            value = own.tried(between, slip.key, slip.formula, key)
            return self._could_be(answer.values, value) and self.sheet.near(
                answer, value, lambda: own.error_of(key, ways)
            )
        except (ArithmeticError, ValueError):  # η is not known; sizes do not fit
            return False

    def _could_be(self, answer: Array, first: Array) -> bool:
        """Return whether a typical mistake's numbers are roughly equal to an answer."""
        if answer.shape != first.shape or not np.isfinite(first).all():
            return False
        apart = np.abs(answer - first).max(initial=0)
        return bool(apart <= 0.05 * max(np.abs(answer).max(), np.abs(first).max()))

    def _at(self, key: str, answer: Fitted) -> tuple[Slip, ...]:
        """Return the typical mistakes that explain an answer of another shape."""
        slips: dict[str, Slip] = {}
        half = answer.half(self.sheet.decimals)
        for slip in slips_of(self._place(key)):
            try:
                value = self.own.raw(slip.formula)
            except (ArithmeticError, ValueError):
                continue
            if value.size == answer.values.size == 1:  # one number, [0.1] or [[0.1]]
                value = value.reshape(answer.values.shape)
            for way in (value, value.T, value.squeeze()) if value.ndim < 3 else ():
                if answer.values.shape == way.shape:
                    room = 2 * half + 0.002 * np.abs(way).max(initial=0)
                    if np.all(np.abs(answer.values - way) <= room):
                        slips.setdefault(slip.name, slip)
        return tuple(slips.values())[:NAMED]

    def _adopt(self, slip: Slip, key: str) -> None:
        """Recompute quantities after a mistake found in one that has no answer."""
        self.own.compute(slip.key, [slip.formula])
        self.tainted[slip.key] = key
        for k in self._between(slip.key, key):
            if k != key:
                self._carry(k)
                self.tainted[k] = key

    def _fitted(self, mark: Mark, answer: Fitted) -> tuple[Slip, ...]:
        """Return the mistake (another η, or a constant factor) that fits an answer."""
        place = self._place(mark.key)
        for slip in fitted_slips(place, answer.values, self.own.raw):
            if self._gives(slip, [], answer):
                return (slip,)
        return ()
