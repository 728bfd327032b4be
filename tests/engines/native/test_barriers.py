"""Where a barrier must stand: two accesses whose order matters, on several threads.

A race shows only now and then; the rule that prevents it is a function, and is held
here against what it means, byte by byte and thread by thread.
"""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("llvmlite")

from chainrule.engines.schedule.sharing import ONE, Access, AccessPattern, Pending
from tests.rows import table

ROWS: AccessPattern = ("rows", 4)
SPANS = ((0, 8), (8, 16), (4, 12))
ACCESSES = [
    Access(space, start, stop, write, key)
    for space, (start, stop), write, key in itertools.product(
        ("arena", "state"), SPANS, (False, True), (ONE, ROWS, None)
    )
]


def matters(one: Access, other: Access) -> bool:
    """Whether two threads may touch one byte, and one of them writes it."""
    bytes_of = [{(a.space, i) for i in range(a.start, a.stop)} for a in (one, other)]
    apart = one.key is None or other.key is None or one.key != other.key
    return bool(bytes_of[0] & bytes_of[1]) and (one.write or other.write) and apart


@table("one", ACCESSES, ids=str)
def test_what_may_race_conflicts_and_nothing_else(one: Access) -> None:
    for other in ACCESSES:
        assert one.conflicts(other) == matters(one, other), other


@table("one", ACCESSES, ids=str)
def test_every_access_since_the_last_barrier_counts(one: Access) -> None:
    pending = Pending()
    for other in ACCESSES:
        pending.clear()
        pending.add(Access("elsewhere", 0, 64, True, None))
        pending.add(other)
        assert pending.conflict(one) == matters(one, other), other
    pending.clear()
    assert not pending
    assert not pending.conflict(one)
