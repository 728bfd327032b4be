"""What quotients tell of a slope, and that they never tell more than they know."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.gradient_check.quotients import LADDER, Question, limit


def asked(function, derivative, *, noise=1e-16, **more):
    def line(t):
        return np.array([function(t)])

    given = {"reach": 1.0, "scale": 1.0, "tolerance": 1e-6} | more
    return Question(derivative, line, noise, **given).answer()


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda t: math.sin(1 + t), math.cos(1)),
        (lambda t: math.exp(50 * (1 + t)), 50 * math.exp(50)),
        (lambda t: (0.5 + t) ** 7, 7 * 0.5**6),
        (lambda t: 3.0 + t * t, 0.0),
        (lambda t: t**5, 0.0),
        (lambda t: abs(t + 1e-3), 1.0),
        (lambda t: max(t - 1e-5, 0.0) + t, 1.0),
        (lambda t: max(t - 1e-6, 0.0) + t, 1.0),
    ],
)
def test_a_right_slope_agrees_and_a_wrong_one_differs(function, slope):
    made = asked(function, slope)
    assert made.kind == "agrees"
    assert made.quotient == pytest.approx(slope, rel=1e-6, abs=1e-9)
    for wrong in (slope * (1 + 1e-4) + 1e-5, -slope - 1.0):
        assert asked(function, wrong, scale=abs(slope) or 1.0).kind == "differs"


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (abs, "kink"),
        (lambda t: max(t, 0.0), "kink"),
        (lambda t: math.sin(t) + 1e-4 * abs(t), "kink"),
        (lambda t: t if t < 0 else t + 1.0, "jump"),
        (lambda t: math.floor(t), "jump"),
        (lambda t: math.sqrt(abs(t)), "edge"),
        (lambda t: math.sqrt(t) if t >= 0 else math.nan, "edge"),
    ],
)
def test_where_there_is_no_slope(function, kind):
    assert asked(function, 0.5).kind == kind


@pytest.mark.parametrize("frequency", [1e4, 1e6, 1e7, 1e8, 1e10, 1e13])
def test_what_bends_within_all_steps_is_not_called_wrong(frequency):
    """A right slope is never accused, however sharply the function bends."""

    def function(t):
        return math.sin(frequency * t + 0.4)

    slope = frequency * math.cos(0.4)
    noise = 1e-16 * (1 + frequency * 1e-16)
    assert asked(function, slope, noise=noise, scale=slope).kind != "differs"


@pytest.mark.parametrize("unit", [1e-7, 1e-9, 1e-12])
def test_the_end_of_the_domain_may_be_near(unit):
    def function(t):
        return math.log(unit + t) if unit + t > 0 else math.nan

    made = asked(function, 1 / unit, scale=1 / unit, near=unit)
    assert made.kind == "agrees"
    assert asked(function, 2 / unit, scale=1 / unit, near=unit).kind == "differs"


@pytest.mark.parametrize("digits", [5, 6, 7])
def test_what_rounding_hides_is_known_to_be_hidden(digits):
    """A sine rounded to some digits, with its own slope and with a wrong one."""
    noise = 10.0**-digits

    def function(t):
        return round(math.sin(0.3 + t), digits)

    made = asked(function, math.cos(0.3), noise=noise)
    assert made.kind == "precision"
    assert abs(made.quotient - math.cos(0.3)) < 10 * made.known < 1
    assert asked(function, 3 * math.cos(0.3), noise=noise).kind == "differs"


def test_the_limit_and_how_well_it_is_known():
    steps = np.array(LADDER)
    q = (np.exp(steps) - np.exp(-steps)) / (2 * steps)
    value, known = limit(q, steps, 2, 1e-16)
    assert abs(value - 1.0) < known < 1e-11
    one_sided = (np.exp(steps) - 1.0) / steps
    value, known = limit(one_sided, steps, 1, 1e-16)
    assert abs(value - 1.0) < 10 * known < 1e-7


def test_functions_that_bend_sharply():
    """None of them is accused: neither a derivative nor the rule of a node alone."""
    for function in (
        lambda x: (x * 1e8).sin().sum(),
        lambda x: (-((x * 1e5) ** 2)).exp().sum(),
        lambda x: (x * 1e7).sigmoid().sum(),
        lambda x: (x * x + 1e-20).sqrt().sum(),
        lambda x: (x + 1e5).sin().sum(),
    ):
        for at in ([3e-6], [3e-8], [0.0]):
            assert cr.check_gradients(function, at).ok
