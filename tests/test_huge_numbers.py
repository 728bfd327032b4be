"""Numbers that float32 cannot hold are refused wherever one is given, not made ∞."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError

HUGE = 3.4028235677973366e38  # rounds to ∞

GIVEN: dict[str, Callable[[], Any]] = {
    "operator": lambda: cr.zeros(2) + HUGE,
    "full": lambda: cr.full((2,), HUGE),
    "fill_": lambda: cr.zeros(2).fill_(HUGE),
    "masked_fill_": lambda: cr.zeros(2).masked_fill_(cr.tensor([True, False]), HUGE),
    "where": lambda: cr.where(cr.tensor([True]), cr.zeros(1), HUGE),
    "clamp": lambda: cr.zeros(2).clamp(max=HUGE),
    "constant_": lambda: nn.init.constant_(cr.zeros(2), HUGE),
    "PReLU": lambda: nn.PReLU(1, HUGE),
    "two numbers": lambda: cr.add(HUGE, 1),
    "an integer of two": lambda: cr.mul(10**39, 2.5),
    "LeakyReLU": lambda: nn.LeakyReLU(HUGE)(cr.ones(2)),
}


@pytest.mark.parametrize("name", GIVEN)
def test_it_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="does not fit float32"):
        GIVEN[name]()


def test_integers_beyond_int64_meet_floats_and_are_refused_otherwise() -> None:
    huge = 10**30
    assert cr.gt(huge, 2.5).item() is True
    assert cr.lt(2.5, huge).item() is True
    assert cr.eq(huge, 1e30).item() is True
    assert cr.div(huge, 2).item() == pytest.approx(5e29)
    assert cr.where(True, huge, 2.5).item() == pytest.approx(1e30)
    assert cr.sub(3, 2.5).dtype is cr.float32
    for refused in (
        lambda: cr.gt(huge, 2),
        lambda: cr.where(True, huge, 2),
        lambda: cr.tensor([1, huge]),
    ):
        with pytest.raises(ArgumentError, match=r"(?s)does not fit int64.*100 bits"):
            refused()
