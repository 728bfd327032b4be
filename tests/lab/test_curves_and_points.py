"""Curves and points of the past stay small, and say what happened."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.lab.curves import Curve, table
from chainrule.lab.points import Points


@given(st.lists(st.integers(0, 70), max_size=30), st.integers(2, 16))
def test_a_curve_is_the_mean_of_equally_many_steps(parts: list[int], most: int) -> None:
    numbers = np.random.default_rng(0).random(sum(parts)).astype(np.float32)
    curve, start = Curve(most), 0
    for part in parts:
        curve.extend(numbers[start : start + part])
        start += part
    width = curve.width
    wanted = [
        numbers[i : i + width].mean(dtype=np.float64)
        for i in range(0, len(numbers), width)
    ]
    assert len(curve.numbers()) <= most + 1
    np.testing.assert_allclose(curve.numbers(), wanted, rtol=1e-6)
    ends = [min(i + width, len(numbers)) for i in range(0, len(numbers), width)]
    assert curve.steps().tolist() == ends


def test_the_epochs_are_thinned_and_the_last_one_stays() -> None:
    rows = [{"epoch": i + 1, "train_loss": i / 2, "seconds": 1.0} for i in range(101)]
    columns = table(rows, [10 * (i + 1) for i in range(101)], most=25)
    assert columns.keys() == {"step", "train_loss"}
    assert len(columns["step"]) <= 26
    assert (columns["step"][-1], columns["train_loss"][-1]) == (1010, 50)
    np.testing.assert_array_equal(columns["train_loss"], columns["step"] / 20 - 0.5)


@given(st.lists(st.integers(1, 500), max_size=200), st.integers(4, 20))
def test_points_are_few_and_closer_at_the_beginning(gaps: list[int], most: int) -> None:
    points, steps = Points(most), np.cumsum([0, *gaps]).tolist()
    for step in steps:
        points.offer(step, lambda step=step: {"w": np.full(2, step, np.float32)})
    kept = points.steps()
    assert len(kept) <= most
    assert kept[0] == 0
    assert set(kept) <= set(steps)
    for step in steps:
        found, weights = points.at(step)
        assert weights["w"][0] == found
        assert abs(found - step) == min(abs(k - step) for k in kept)


def test_points_stay_within_their_memory() -> None:
    points = Points(most=1000, size=10 * 400)
    for step in range(100_000):
        points.offer(step, lambda: {"w": np.zeros(100, np.float32)})
    assert 2 <= len(points.steps()) <= 10
