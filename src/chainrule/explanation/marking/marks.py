"""Marking: each answer in the order of computation, from what it was worked out from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from chainrule.explanation.derivation.formulas import Formulas, split
from chainrule.explanation.marking.ensemble import Ensemble, Numbers, band, shaped
from chainrule.explanation.marking.place import Place, ways_of
from chainrule.explanation.marking.sources import Sources
from chainrule.explanation.marking.shapes import Fitted
from chainrule.explanation.marking.slips import SLIPS, Slip, slips_of
from chainrule.explanation.marking.unknown import other_factor, other_rate
from chainrule.explanation.marking.written import Written
from chainrule.notation.expressions import Array, Expr

#: Right; right from an earlier wrong answer; wrong.
RIGHT, CONSEQUENCE, WRONG = "right", "consequence", "wrong"
#: Slips that are named of one answer.
NAMED = 4


@dataclass(frozen=True, eq=False)
class Found:
    """A slip that gives the numbers that were written.

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
    """What is said of one answer.

    Attributes:
        key: the quantity: ``z1``, ``delta2``, ``dW1``, ….
        status: ``right``, ``consequence`` or ``wrong``.
        given: the answer, as it lies in memory; in its own shape where that is wrong.
        right: the right numbers.
        follows: what it comes to from the student's own earlier numbers.
        since: the earlier wrong answers that it follows from.
        slips: the slips that give these numbers.
        remarks: what else there is to say: ``turned``, ``shape``, ``short``,
            ``copied``, ``per_sample``.
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
    """All answers of one student.

    Attributes:
        formulas: of the network.
        start: the numbers that are given: x, y, n, W, b, and η where it is known.
        answers: the answers by key, in any order.
        digits, decimals: how the sheet was rounded.
        n: how many samples there are.
        updates: whether η is known.
    """

    formulas: Formulas
    start: Numbers
    answers: Mapping[str, Fitted]
    digits: int
    decimals: int
    n: int
    updates: bool

    def keys(self) -> list[str]:
        """Everything that is worked out, in order."""
        F = self.formulas
        return [*F.forward, *F.backward, *(F.updates if self.updates else ())]

    def ensemble(self) -> Ensemble:
        """The given numbers alone."""
        return Ensemble(self.formulas, self.start, self.digits, self.decimals, self.n)


def marked(sheet: Sheet) -> list[Mark]:
    """The marks of all answers, in the order of computation."""
    return _Marker(sheet).all()


def right_numbers(sheet: Sheet) -> dict[str, list[Array]]:
    """Every quantity as the members of an ensemble have it."""
    ensemble, found = sheet.ensemble(), dict[str, list[Array]]()
    for key in sheet.keys():
        exact = sheet.formulas.all[key].sides[-1]
        ways = ways_of(sheet.formulas, key)
        found[key] = ensemble.by_all_ways(key, list(dict.fromkeys([exact, *ways])))
        ensemble.carry(key, found[key])
    return found


def is_near(written: Written, decimals: int, values: list[Array]) -> bool:
    """Whether an answer cannot be told from these numbers."""
    first = values[0]
    if written.shape != first.shape:
        return False
    room = written.resolution(decimals) * (1 + 1e-9) + band(values)
    return bool(np.all(np.abs(written.values - first) <= room))


def is_short(written: Written, values: Array) -> bool:
    """Whether it is right to the digits that it has: rounded too early, or cut off."""
    if written.shape != values.shape:
        return False
    apart, step = np.abs(written.values - values), written.own_step()
    step = np.where(written.digits < 2, step / 2, step)
    room = np.minimum(step, np.abs(values) / 4)
    return bool(np.all(apart <= room * (1 + 1e-9)))


class _Marker:
    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.formulas = sheet, sheet.formulas
        self.order = sheet.keys()
        self.right = right_numbers(sheet)
        #: The student's own numbers; what is right is put there when it is needed.
        self.own = sheet.ensemble()
        self.waiting: list[str] = []
        self.marks: dict[str, Mark] = {}
        #: Quantities that are wrong, given or not, with the answer that shows it.
        self.tainted: dict[str, str] = {}

    @cached_property
    def sources(self) -> Sources:
        """From what each quantity is worked out."""
        return Sources(self.formulas, self.order)

    def all(self) -> list[Mark]:
        for key in self.order:
            answer = self.sheet.answers.get(key)
            if answer is not None and self._is_plainly_right(key, answer):
                self.marks[key] = self._right(key, answer)
            if not self.tainted and (answer is None or key in self.marks):
                self.waiting.append(key)
                continue
            self._catch_up()
            if answer is None:
                self._carry(key)
            else:
                self.marks[key] = self._mark(key, answer)
        return list(self.marks.values())

    def _is_plainly_right(self, key: str, answer: Fitted) -> bool:
        """Right, with nothing wrong before it."""
        good = not self.tainted and answer.fits and not answer.turned
        return good and self._near(answer, self.right[key])

    def _right(self, key: str, answer: Fitted) -> Mark:
        return Mark(key, RIGHT, answer, self.right[key][0], self.right[key][0])

    def _catch_up(self) -> None:
        """Go on, as the student did, with all that has been right so far."""
        for key in self.waiting:
            if key in self.marks:
                self._carry_answer(key, self.marks[key].given)
            else:
                self._carry(key)
        self.waiting.clear()

    def _carry_answer(self, key: str, answer: Fitted) -> None:
        half = answer.written.resolution(self.sheet.decimals)
        self.own.carry_written(key, answer.values, half)

    def _place(self, key: str) -> Place:
        return Place(self.formulas, *split(key))

    def _carry(self, key: str) -> None:
        """Go on with what follows from the student's own numbers."""
        ways = ways_of(self.formulas, key)
        if self._since(key):  # from wrong numbers they are not equal at all
            ways = ways[:1]
        self.own.carry(key, self.own.by_all_ways(key, ways))

    def _near(self, answer: Fitted, values: list[Array]) -> bool:
        return is_near(answer.written, self.sheet.decimals, values)

    def _mark(self, key: str, answer: Fitted) -> Mark:
        place = self._place(key)
        follows = self.own.work_out(key, place.right)
        mark = Mark(key, RIGHT, answer, self.right[key][0], follows[0])
        if not answer.fits:
            self.own.carry(key, follows)
            found = self._at(key, answer)
            return replace(mark, status=WRONG, slips=found, remarks=("shape",))
        since = self._since(key)
        if self._near(answer, self.right[key]):
            if since and not self._follows(place, answer):
                self._only_copied(since)
        elif self._follows(place, answer):
            mark = replace(mark, status=CONSEQUENCE if since else RIGHT, since=since)
        else:
            mark = self._not_right(mark, answer, since)
        if mark.status != RIGHT:
            self.tainted[key] = key
        self._carry_answer(key, answer)
        return self._turned(mark, answer)

    def _follows(self, place: Place, answer: Fitted) -> bool:
        """Whether it is right from the student's own earlier numbers, some way."""
        key = f"{place.kind}{place.k or ''}"
        ways = (self.own.work_out(key, e) for e in place.ways())
        return any(self._near(answer, way) for way in ways)

    def _not_right(self, mark: Mark, answer: Fitted, since: tuple[str, ...]) -> Mark:
        """Neither right nor a consequence, as far as its digits go."""
        found = self._search(mark.key, answer)
        if found:
            if found[0].key != mark.key:
                self._adopt(found[0], mark.key)
            return replace(mark, status=WRONG, slips=found)
        if is_short(answer.written, mark.right):
            return replace(mark, remarks=("short",))
        if is_short(answer.written, mark.follows):
            status = CONSEQUENCE if since else RIGHT
            return replace(mark, status=status, since=since, remarks=("short",))
        return replace(mark, status=WRONG, slips=self._unknown(mark, answer))

    def _turned(self, mark: Mark, answer: Fitted) -> Mark:
        """A matrix that is turned is a slip; what comes after it takes it as meant."""
        if not answer.turned:
            return mark
        found = Found(SLIPS["turned"], mark.key, self._place(mark.key).right.T)
        if mark.status == RIGHT:
            return replace(mark, status=WRONG, slips=(found,), remarks=("turned",))
        return replace(mark, remarks=(*mark.remarks, "turned"))

    # -- what it was worked out from ---------------------------------------------------

    def _since(self, key: str) -> tuple[str, ...]:
        """The nearest wrong answers before it."""
        if not self.tainted:
            return ()
        found: dict[str, None] = {}
        for source in self.sources.nearest(key, self.marks):
            if source in self.tainted:
                found[self.tainted[source]] = None
        return tuple(sorted(found, key=self.order.index))

    def _only_copied(self, since: Iterable[str]) -> None:
        """What follows is right, so these were right before they were written down."""
        for key in since:
            mark = self.marks[key]
            if mark.status == WRONG and not mark.slips and mark.given.fits:
                self.marks[key] = replace(mark, remarks=(*mark.remarks, "copied"))
                self.tainted.pop(key, None)
                self.own.carry(key, self.right[key])
                self._refresh(key)

    def _refresh(self, changed: str) -> None:
        """Work out anew what was not given and comes after a change."""
        for key in self.order[self.order.index(changed) + 1 :]:
            if key in self.marks and key != changed:
                continue
            if key in self.sheet.answers:
                return  # not marked yet
            self._carry(key)

    # -- slips -------------------------------------------------------------------------

    def _search(self, key: str, answer: Fitted) -> tuple[Found, ...]:
        """The slips that give these numbers, here or in what was not given."""
        found: list[Found] = []
        for changed in (key, *self.sources.hidden(key, self.marks)):
            between = self._between(changed, key)
            for slip, e in slips_of(self._place(changed)):
                if self._gives(changed, e, between, key, answer):
                    found.append(Found(slip, changed, e))
        unique = {(hit.slip.name, hit.key): hit for hit in reversed(found)}
        kept = [hit for hit in found if unique[hit.slip.name, hit.key] is hit]
        return tuple(kept[:NAMED])

    def _between(self, changed: str, key: str) -> list[str]:
        """What has to be worked out anew if ``changed`` changes."""
        start, end = self.order.index(changed) + 1, self.order.index(key) + 1
        return [k for k in self.order[start:end] if k not in self.marks]

    def _gives(
        self, changed: str, e: Expr, between: list[str], key: str, answer: Fitted
    ) -> bool:
        try:
            first = self.own.tried_exactly(between, changed, e, key)
            if not self._could_be(answer.values, first):
                return False
            return self._near(answer, self.own.tried(between, changed, e, key))
        except (ArithmeticError, ValueError):  # η is not known; sizes do not fit
            return False

    def _could_be(self, given: Array, first: Array) -> bool:
        """Whether it is worth while to look closely."""
        if given.shape != first.shape or not np.isfinite(first).all():
            return False
        apart = np.abs(given - first).max(initial=0)
        return bool(apart <= 0.05 * max(np.abs(given).max(), np.abs(first).max()))

    def _at(self, key: str, answer: Fitted) -> tuple[Found, ...]:
        """Slips that give numbers of another shape."""
        found: dict[str, Found] = {}
        half = answer.written.resolution(self.sheet.decimals)
        for slip, e in slips_of(self._place(key)):
            try:
                made = self.own.exact(e)
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
        """The slip happened in what was not given: go on from there."""
        between = self._between(found.key, key)
        values = self.own.work_out(found.key, found.formula)
        self.own.carry(found.key, values)
        self.tainted[found.key] = key
        for k in between:
            if k != key:
                self._carry(k)
                self.tainted[k] = key

    def _unknown(self, mark: Mark, answer: Fitted) -> tuple[Found, ...]:
        """Another η, or a constant factor."""
        place = self._place(mark.key)
        finders = (other_rate,) if place.kind in ("W", "b") else (other_factor,)
        for find in finders:
            for slip, e in find(place, answer.values, self.own.members[0]):
                if self._gives(mark.key, e, [], mark.key, answer):
                    return (Found(slip, mark.key, e),)
        return ()
