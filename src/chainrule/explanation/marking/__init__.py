"""Marking of numbers worked out by hand, and worksheets to practise on.

``written`` reads answers and their digits, ``shapes`` finds out how they lie; ``steps``
asks ``cr.explain`` what an optimiser does. ``place`` has the pieces of each formula,
``forward``, ``backward`` and ``updating`` the slips made of them, ``slips`` the table.
``ensemble`` works numbers out as people do who round at every step; ``marks`` marks,
``report`` shows.
"""

from __future__ import annotations

from chainrule.explanation.marking.check import check_work
from chainrule.explanation.marking.marks import Found, Mark
from chainrule.explanation.marking.report import WorkReport
from chainrule.explanation.marking.slip import Slip
from chainrule.explanation.marking.slips import SLIPS

__all__ = ["SLIPS", "Found", "Mark", "Slip", "WorkReport", "check_work"]
