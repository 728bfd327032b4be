"""Random functions, each with one planted fault: the cause named is that one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from tests.gradient_check.faults import applied, crooked, folded

Step = Callable[[cr.Tensor], cr.Tensor]

#: Smooth, and neither flat nor steep for numbers of about 1.
STEPS: dict[str, Step] = {
    "sin": lambda h: h.sin() + h * 0.3,
    "tanh": lambda h: h.tanh() + h,
    "sigmoid": lambda h: 3.0 * h.sigmoid() + 0.2 * h,
    "exp": lambda h: (h * 0.3).tanh().exp() + 0.2 * h,
    "swish": lambda h: h * h.sigmoid() + 0.2 * h,
    "shift": lambda h: h - 0.4,
    "product": lambda h: h @ MIXED,
    "softmax": lambda h: 2.0 * h.softmax(-1) + h,
    "root": lambda h: (1.0 + h * h).sqrt() + 0.5 * h,
    "turn": lambda h: h.T.T.reshape(-1).reshape(h.shape),
    "mean": lambda h: h - 0.5 * h.mean(dim=1, keepdim=True),
    "gelu": lambda h: cr.nn.functional.gelu(h) + 0.5 * h,
}
MIXED = cr.tensor([[0.9, 0.2, 0.0], [-0.3, 1.1, 0.4], [0.1, -0.2, 0.8]])

names = st.lists(st.sampled_from(sorted(STEPS)), max_size=3)
points = st.lists(
    st.floats(0.25, 1.25).map(lambda x: round(x, 6)), min_size=6, max_size=6
)


#: More of them are among the slow tests.
FEW = settings(deadline=None, max_examples=8)


def run(steps: list[str], h: cr.Tensor) -> cr.Tensor:
    for name in steps:
        h = STEPS[name](h)
    return h


def check(
    before: list[str], fault: Step, after: list[str], numbers: list[float]
) -> cr.check_gradients:
    def function(x: cr.Tensor) -> cr.Tensor:
        return run(after, fault(run(before, x)))

    x = np.array(numbers).reshape(2, 3)
    return cr.check_gradients(function, x, raises=False)


def value_before(before: list[str], numbers: list[float]) -> Any:
    return run(before, cr.tensor(np.array(numbers).reshape(2, 3))).numpy()


@FEW
@given(names, names, points)
def test_nothing_is_found_where_nothing_is_wrong(before, after, numbers) -> None:
    report = check(before, lambda h: h, after, numbers)
    assert report.counts() == {"agrees": 6}, report
    assert report.ok


@FEW
@given(names, names, points)
def test_a_wrong_rule_is_named(before, after, numbers) -> None:
    report = check(before, lambda h: applied(crooked, h), after, numbers)
    assert not report.ok
    assert [rule.primitive for rule in report.rules] == ["crooked"], report
    (rule,) = report.rules
    wrong = [row for row in report.rows if row.kind != "agrees"]
    # Of a slope that is too small to be seen, the rule alone still tells.
    assert {(row.kind, row.why) for row in wrong} <= {("rule", rule)}, report
    assert rule.derivative / rule.quotient == pytest.approx(1.01, rel=1e-6)
    assert rule.source.startswith("faults.py:")


@FEW
@given(names, names, points, st.integers(0, 5))
def test_a_kink_is_named(before, after, numbers, place) -> None:
    index = np.unravel_index(place, (2, 3))
    there = value_before(before, numbers) - 0.5
    there[index] += 0.5

    report = check(before, lambda h: applied(folded, h - there), after, numbers)
    assert report.ok, report
    kinked = [row for row in report.rows if row.kind != "agrees"]
    assert kinked, report
    assert {row.kind for row in kinked} == {"kink"}
    for row in kinked[:3]:
        assert row.why.primitive == "folded"
        assert row.why.index == index
        assert row.why.values == pytest.approx((0.0,), abs=1e-15)
        assert row.why.declared.startswith("x = 0")
    if not before:
        assert [row.index for row in kinked] == [index]


@FEW
@given(names, names, points)
def test_a_cast_to_float32_is_named(before, after, numbers) -> None:
    numbers = [0.9 * n + 0.03 for n in numbers]  # 1.0 would lose nothing

    def fault(h: cr.Tensor) -> cr.Tensor:
        return h.astype("float32").astype("float64")

    report = check(before, fault, after, numbers)
    assert report.ok, report
    vague = [row for row in report.rows if row.kind == "precision"]
    assert len(vague) == 6, report
    for row in vague:
        assert row.why.primitive == "convert"
        assert row.why.detail == "float32"
        # float32's spacing in the quotient of the smallest slopes; a wrong rule is
        # off by as much as the slope.
        assert row.error < 5e-2


@FEW
@given(names, names, points)
def test_what_is_hidden_from_derivatives_is_named(before, after, numbers) -> None:
    report = check(before, lambda h: h * h.detach(), after, numbers)
    assert not report.ok
    wrong = [row for row in report.rows if row.kind != "agrees"]
    assert {row.kind for row in wrong} == {"cut"}, report
    (place,) = {row.why.source for row in wrong}
    assert place.startswith("test_random_functions.py:")


@FEW
@given(names, names, points)
def test_cancellation_is_named(before, after, numbers) -> None:
    report = check(before, lambda h: (h + 1e11) - 1e11, after, numbers)
    assert report.ok, report
    assert {row.kind for row in report.rows} == {"precision"}, report
    assert {row.why.primitive for row in report.rows} == {"add"}
    assert {row.why.detail for row in report.rows} == {"1e11"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "test",
    [
        test_nothing_is_found_where_nothing_is_wrong,
        test_a_wrong_rule_is_named,
        test_a_kink_is_named,
        test_a_cast_to_float32_is_named,
        test_what_is_hidden_from_derivatives_is_named,
        test_cancellation_is_named,
    ],
)
def test_many(test: Any) -> None:
    strategies = [names, names, points]
    if test is test_a_kink_is_named:
        strategies.append(st.integers(0, 5))
    many = settings(deadline=None, max_examples=100)
    many(given(*strategies)(test.hypothesis.inner_test))()
