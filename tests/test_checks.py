"""The checks of arguments that layers, losses, optimisers and schedules share."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from chainrule.errors import ArgumentError
from chainrule.util import validation


def test_numbers_of_many_kinds_are_floats() -> None:
    for value in (np.float32(0.5), Fraction(1, 2), 0.5):
        assert validation.number("p", value) == 0.5
        assert type(validation.number("p", value)) is float
    assert validation.real(-(10**400)) == -math.inf
    assert validation.number("p", math.inf, above=0, infinite=True) == math.inf


@pytest.mark.parametrize("value", [True, "1", None, math.nan, 10**400, 1j, [1.0]])
def test_what_is_no_number_is_refused(value) -> None:
    with pytest.raises(ArgumentError, match="p must be a finite number"):
        validation.number("p", value, least=0)


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "expected"),
    [
        ({"least": 0}, 0, -1e-9, "p ≥ 0"),
        ({"above": 0}, 1e-9, 0, "p > 0"),
        ({"most": 1}, 1, 1.5, "p ≤ 1"),
        ({"below": 1}, 0.5, 1, "p < 1"),
        ({"least": 0, "below": 1}, 0, 1, "0 ≤ p < 1"),
        ({"above": 0, "most": 1}, 1, 0, "0 < p ≤ 1"),
        ({}, -5, math.inf, "p = 0.1"),
        ({"above": 0, "infinite": True}, math.inf, -math.inf, "p > 0"),
    ],
)
def test_limits_hold_and_are_said(limits, inside, outside, expected) -> None:
    assert validation.number("p", inside, **limits) == inside
    with pytest.raises(ArgumentError) as error:
        validation.number("p", outside, what="{name} is wrong.", **limits)
    assert (error.value.what, error.value.expected) == ("p is wrong.", expected)
    assert error.value.got == f"p={outside!r}"


def test_whole_numbers() -> None:
    assert validation.whole("n", np.int8(3)) == 3
    assert type(validation.whole("n", np.int8(3))) is int
    assert validation.whole("n", -3, least=None) == -3
    assert validation.count("n", 0) == 0
    for value in (0, 1.0, True, "1", None):
        with pytest.raises(ArgumentError, match="an integer, n ≥ 1"):
            validation.whole("n", value)


def test_truth_values_texts_and_choices() -> None:
    assert validation.truth("on", np.bool_(True)) is True
    with pytest.raises(ArgumentError, match="on=True or on=False"):
        validation.truth("on", 1)
    with pytest.raises(ArgumentError, match="must be a text"):
        validation.text("key", 3)
    mode = validation.maybe(validation.choice("min", "max"))
    assert (mode("mode", "min"), mode("mode", None)) == ("min", None)
    with pytest.raises(ArgumentError, match=r"mode='min' or [\s\S]*mean 'max'"):
        mode("mode", "maxi")


def test_names_that_are_not_known() -> None:
    validation.known_names("An option", ["lr"], ["lr", "eps"])
    with pytest.raises(ArgumentError, match="did you mean 'eps'"):
        validation.known_names("An option", ["lr", "epss"], ["lr", "eps"])
    assert validation.did_you_mean(3, ["lr"], "leave it out") == "leave it out"
