"""A student's own numbers marked, and worksheets to practise on.

``written`` reads answers and their digits, ``shapes`` finds out how they lie; ``place``
has the pieces of each formula, ``forward`` and ``backward`` the slips made of them,
``slips`` the table. ``ensemble`` works numbers out as people do who round at every
step; ``marks`` marks, ``report`` shows.
"""

from __future__ import annotations

from chainrule.explanation.marking.check import check_work
from chainrule.explanation.marking.marks import Found, Mark
from chainrule.explanation.marking.report import WorkReport
from chainrule.explanation.marking.slips import SLIPS, Slip

__all__ = ["SLIPS", "Found", "Mark", "Slip", "WorkReport", "check_work"]
