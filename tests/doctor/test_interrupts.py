"""Ctrl-C wherever it comes: what was found is kept, and nothing is left half done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import chainrule as cr
from chainrule import optim
from chainrule.doctor import examples
from chainrule.graph.context import context
from chainrule.graph.emit import tracing
from chainrule.util.blocks import opened


def sick() -> examples.Made:
    return examples.example(optimizer=optim.SGD(lr=100.0), epochs=2)


def found() -> bool:
    trainer, data, given = sick()
    return cr.diagnose(trainer, data, **given).interrupted


def fixed() -> bool:
    trainer, data, given = sick()
    diagnosis = cr.diagnose(trainer, data, **given)
    diagnosis.interrupted = False
    arm()
    diagnosis.fix()
    return diagnosis.interrupted


def rated() -> bool:
    trainer, data, __ = sick()
    return cr.lr_find(trainer, data).interrupted


def arm() -> None:
    ARMED[0] = True


#: Whether the next blocks are interrupted.
ARMED = [True]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("work", [found, fixed, rated])
@pytest.mark.parametrize("end", [1, 4, 15, 60])
def test_an_interrupt_at_the_end_of_a_block_leaves_no_trace(
    work: Callable[[], bool], end: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python looks for signals where ``__exit__`` begins: nothing is restored yet."""
    usual, ends = tracing.__exit__, 0
    ARMED[0] = work is not fixed

    def interrupted(self: tracing, *error: Any) -> None:
        nonlocal ends
        ends += ARMED[0]
        if ends == end:
            ends += 1
            raise KeyboardInterrupt
        usual(self, *error)

    monkeypatch.setattr(tracing, "__exit__", interrupted)
    was = opened.top
    assert work()
    monkeypatch.undo()
    assert context.trace is None
    assert opened.top is was
    assert (cr.ones(2) + 1).tolist() == [2.0, 2.0]
