"""Slips of a class, by kind, with how many students made each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.book.derivation.formulas import name_of
from chainrule.book.marking import Mark, Slip, WorkReport
from chainrule.book.marking.marks import WRONG
from chainrule.text import tr

#: The layer of a symbol, and the parentheses that only it needed.
_LAYER = re.compile("⁽[⁰¹²³⁴⁵⁶⁷⁸⁹]+⁾|(?<=f)[₀₁₂₃₄₅₆₇₈₉]+")
_ALONE = re.compile(r"\((\w)\)(?=[ᵀ′])")


@dataclass(frozen=True)
class Kind:
    """A kind of slip, the same for every layer and every student.

    Attributes:
        text: what is wrong: "the sign of δ is wrong".
        forgotten: what was left out, where it is that.
    """

    text: str
    forgotten: str = ""

    def sentence(self, few: int, many: int) -> str:
        """Return how many of a class made a kind of slip, as a sentence."""
        if self.forgotten:
            return tr(
                "{few} of {many} forgot {part}",
                few=few,
                many=many,
                part=self.forgotten,
            )
        return tr("{few} of {many}: {slip}", few=few, many=many, slip=self.text)


@dataclass(frozen=True)
class Count:
    """A kind of slip, with how often a class made it.

    Attributes:
        kind: the kind.
        students: the places in the list of students of those who made it.
        where: the symbols of the answers in which it was made, with how often.
    """

    kind: Kind
    students: tuple[int, ...]
    where: tuple[tuple[str, int], ...]


def kind_of(slip: Slip) -> Kind:
    """Return the kind of a slip: its sentence without layer and numbers."""
    if slip.name == "other_rate":
        return Kind(tr("another η than the one that was given"))
    if slip.name == "factor":
        return Kind(tr("all numbers of an answer have a common factor too many"))
    text = general(slip.message())
    if slip.name != "missing":
        return Kind(text)
    is_slope = slip.message() == tr("f′ is missing")
    return Kind(text, "f′" if is_slope else general(str(slip.part)))


def general(text: str) -> str:
    """Return a text about one layer as one about any.

    >>> general("(W⁽²⁾)ᵀ is missing"), general("b⁽¹⁾ is missing")
    ('Wᵀ is missing', 'b is missing')
    """
    return _ALONE.sub(r"\1", _LAYER.sub("", text))


def kinds_of(mark: Mark) -> list[Kind]:
    """Return the kinds of slip that would give a wrong answer, the likeliest first."""
    if mark.status != WRONG:
        return []
    kinds = [kind_of(slip) for slip in mark.slips]
    if "copied" in mark.remarks:
        kinds = [Kind(tr("copied wrong: what comes after it is right"))]
    return list(dict.fromkeys(kinds)) or [unknown()]


def unknown() -> Kind:
    """Return the kind of a wrong answer that no usual slip explains."""
    return Kind(tr("no usual slip gives the numbers"))


def counted(reports: Sequence[WorkReport | None]) -> list[Count]:
    """Return the kinds of slip of a class, the most frequent first, unknown ones last.

    An answer that several slips explain counts for the one that most of the class made
    where only one explains the answer.

    Args:
        reports: of each student; None for who has none.
    """
    found = [
        (i, report, mark, kinds_of(mark))
        for i, report in enumerate(reports)
        if report is not None
        for mark in report.marks
    ]
    certain = Counter(kinds[0] for *_, kinds in found if len(kinds) == 1)
    students: dict[Kind, dict[int, None]] = {}
    where: dict[Kind, Counter[str]] = {}
    for i, report, mark, kinds in found:
        if not kinds:
            continue
        kind = max(kinds, key=lambda k: certain[k])  # of equals the first
        students.setdefault(kind, {})[i] = None
        symbol = name_of(report.formulas, mark.key).text()
        where.setdefault(kind, Counter())[symbol] += 1
    counts = [
        Count(kind, tuple(who), tuple(where[kind].most_common()))
        for kind, who in students.items()
    ]
    last = unknown()
    return sorted(counts, key=lambda c: (c.kind == last, -len(c.students)))
