"""Marking of a student's hand-computed back-propagation, and worksheets.

``written`` reads answers and their digits, ``shapes`` finds out how they lie; ``steps``
asks ``cr.explain`` what an optimiser does. ``place`` has the pieces of each formula,
``changes`` changes them, and ``misconceptions`` is the table of the usual mistakes;
``rounding`` works numbers out, with the errors of people who round at every step;
``marks`` marks, ``report`` shows.
"""

from __future__ import annotations

from chainrule.book.marking.check import check_work
from chainrule.book.marking.marks import Mark
from chainrule.book.marking.misconceptions import (
    MISCONCEPTIONS,
    Misconception,
    Slip,
)
from chainrule.book.marking.report import WorkReport

__all__ = [
    "MISCONCEPTIONS",
    "Mark",
    "Misconception",
    "Slip",
    "WorkReport",
    "check_work",
]
