"""Numbers for people: one way to write them, whatever they are."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.text.numbers import measure, number, percent

FINITE = st.floats(-1e300, 1e300)
PLAIN = st.floats(1e-4, 999_999) | st.floats(-999_999, -1e-4)


def read(text: str) -> float:
    return float(text.replace(",", ""))


@given(FINITE | PLAIN, st.integers(2, 17))
def test_a_number_keeps_its_digits(value: float, digits: int) -> None:
    text = number(value, digits)
    exact = Fraction(value)
    error = abs(Fraction(text.replace(",", "")) - exact)  # a float would round again
    most = abs(exact) * Fraction(1, 2) / 10 ** (digits - 1)
    assert error <= most or abs(value) < 1e-300
    assert number(read(text), digits) == text, "what was read is written the same"
    assert not text.endswith((".", "e0"))
    assert "." not in text or not text.split("e")[0].endswith("0")


@given(PLAIN)
def test_an_exponent_is_for_the_very_large_and_small(value: float) -> None:
    assert "e" not in number(value)
    assert abs(read(number(value)) - value) < 0.5001, (
        "no digit before the point is lost"
    )
    for scale in (1e7, 1e-12):
        assert ("e" in number(value * scale)) == (
            not 1e-4 <= abs(read(number(value * scale))) < 1e6
        )


@given(FINITE, FINITE)
def test_order_is_kept(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert read(number(low)) <= read(number(high))


@given(st.integers(-(10**12), 10**12))
def test_counts_keep_all_digits(value: int) -> None:
    assert number(value) == number(np.int64(value)) == f"{value:,}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.99996, "1"),
        (999_999.6, "1e6"),
        (9.99996e-5, "0.0001"),
        (-0.0, "0"),
        (np.float32(0.1), "0.1"),
        (340_000.0, "340,000"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_at_the_edges(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(0, 1), st.integers(0, 4))
def test_only_all_is_a_hundred_per_cent(share: float, decimals: int) -> None:
    text = percent(share, decimals)
    assert (text == f"{1:.{decimals}%}") == (share == 1)
    assert (text == f"{0:.{decimals}%}") == (share == 0)
    shown = float(text.strip("<>%")) / 100
    assert abs(shown - share) <= 1.0001 * 10.0 ** -(decimals + 2)


def test_shares_are_told_by_name() -> None:
    for name in ("accuracy", "balanced_accuracy", "top5", "f1"):
        assert measure(name, 0.5) == "50.00%"
    for name in ("loss", "topology", "roc_auc"):
        assert measure(name, 0.5) == "0.5"
