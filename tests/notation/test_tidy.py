"""School algebra: shorter, and of the same value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chainrule.notation.arithmetic import Quantity, computed
from chainrule.notation.expressions import (
    Choice,
    Expr,
    Number,
    Picked,
    Power,
    Product,
    Quotient,
    Relation,
    Sum,
)
from chainrule.notation.functions import (
    absolute,
    apply,
    bracket,
    choice,
    exp,
    fraction,
    greater,
    less,
    ln,
    mean,
    softmax,
    spread,
    symbol,
    tanh,
    total,
    variance,
)
from chainrule.notation.functions import computed as shown
from chainrule.notation.places import at
from chainrule.notation.tidy import tidy, without
from tests.rows import table

A, B, G, U, V, W, X, Y, Z, N = (symbol(letter) for letter in "ABguvWxyzn")


@table(
    ("e", "shorter"),
    [
        (U + U, "2u"),
        ((U - V) / 2 + (U - V) / 2, "u − v"),
        (U - U, "0"),
        (U + 0, "u"),
        (U * U, "u²"),
        (U * U * U, "u³"),
        (U**2 * U, "u³"),
        (U**0.5 * U, "u^½ ⊙ u"),
        (Number(1) * U, "u"),
        (U * Number(0), "0"),
        (0 - (-U), "u"),
        (U - (V - Z), "u − v + z"),
        ((U / N) / 3, "u/(3n)"),
        (U / 2 + U / 4, "0.75u"),
        (U / 3 + U / 3, "2u/3"),
        (U / (2 * N), "u/(2n)"),
        ((2 * U) / (4 * N), "u/(2n)"),
        (U / (2 * N) + U / (2 * N), "u/n"),
        (bracket(less(0, Z)), "[z > 0]"),
        (W.T.T @ X, "W x"),
        ((A @ B.T).T, "B Aᵀ"),
        (2 - U - 1, "1 − u"),
        (2 * (3 * U), "6u"),
        (0.1 * U + 0.2 * U, "0.3u"),
        (total(U - U), "0"),
        (total(Z + U - U), "∑ (z + u − u)"),
        (total(U + U), "∑ 2u"),
        (W @ (X - X), "0"),
        ((Number(1) * X).T, "xᵀ"),
        (choice(U + U, greater(X, 0), V - V), "2u if x > 0 else 0"),
        (shown(at(U + U, Y), U + U, Y, how=max), "(2u)[y]"),
        (fraction(U + U, V * V), "2u/v²"),
        (1e-5 * X + 2e-5 * X, "3 · 10⁻⁵ x"),
    ],
)
def test_school_algebra(e: Expr, shorter: str) -> None:
    assert tidy(e).text() == shorter
    assert tidy(tidy(e)) == tidy(e)


def test_numbers_that_are_no_ratio_stay() -> None:
    near = 1 / 3 + 1e-11
    assert tidy(near * U) == Product("scale", (Number(near), U))
    assert tidy((1 / 3) * U).text() == "u/3"


def test_a_factor_is_taken_out_only_where_it_is_one() -> None:
    def taken(e: Expr) -> str:
        return str(without(e, G))

    assert taken(2 * (G * A)) == "2A"
    assert taken(G * bracket(greater(Z, 0))) == "[z > 0]"
    assert taken(G) == "1"
    assert taken(-(G * A) / 3) == "−A/3"
    assert without(G * G, G) is None
    assert without(G + U, G) is None
    assert without(Y * (G - total(G * Y)), G) is None
    assert without(G * tanh(G), G) is None


# -- of random expressions -------------------------------------------------------------

#: Matrices and a row and a number, none of them near 0.
RNG = np.random.default_rng(3)
NUMBERS: dict[Expr, Quantity] = {
    e: Quantity(RNG.uniform(0.5, 2.0, shape) * RNG.choice((-1.0, 1.0), shape))
    for e, shape in ((A, (3, 3)), (B, (3, 3)), (U, (3, 3)), (X, (3,)), (N, ()))
}
NUMBERS[Y] = Quantity(np.array([2, 0, 1]))
LEAVES = st.sampled_from([A, B, U, X, N]) | st.sampled_from(
    [Number(value) for value in (0, 1, 2, 3, 0.5, -1, 1 / 3, 0.1)]
)


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    signs = st.sampled_from([-1, 1])
    one = st.sampled_from(
        [
            lambda e: -e,
            lambda e: e**2,
            lambda e: Power(absolute(e) + 1, Number(-0.5)),
            lambda e: (A * e).T,
            lambda e: ln(absolute(e) + 1),
            tanh,
            lambda e: apply("max", e, 0),
            lambda e: bracket(greater(0.5, e)),
            lambda e: exp(tanh(e)),
            lambda e: softmax(A * tanh(e), 0),
            lambda e: softmax(A * tanh(e)),
            lambda e: Picked(A + e, Y),
            lambda e: spread(Picked(A + e, Y), (0,), A, rank=2),
            lambda e: spread((A * e) @ X, (0,), A, rank=2),
            lambda e: shown(at(A * e, Y), A * e, Y, how=lambda a, i: a[i]),
            lambda e: (A + e) @ (B * e),
        ]
    )
    reduced = st.builds(
        lambda reduce, e, over: reduce(A + e, over),
        st.sampled_from([total, mean, variance]),
        inner,
        st.sampled_from([(0,), (1,), None]),
    )
    return (
        st.builds(lambda f, e: f(e), one, inner)
        | st.builds(
            lambda terms: Sum(tuple(terms)),
            st.lists(st.tuples(signs, inner), min_size=1, max_size=4),
        )
        | st.builds(
            lambda kind, parts: Product(kind, tuple(parts)),
            st.sampled_from(["odot", "scale"]),
            st.lists(inner, min_size=2, max_size=3),
        )
        | st.builds(Quotient, inner, inner)
        | st.builds(lambda a, c, b: choice(a, less(c, 0.7), b), inner, inner, inner)
        | reduced
    )


EXPRESSIONS = st.recursive(LEAVES, grown, max_leaves=12)


class UnfitError(Exception):
    """Numbers that say nothing: too large, divided by nearly 0, nearly equal."""


def need(fits: Any) -> None:
    if not np.all(fits):
        raise UnfitError


def largest(e: Expr) -> float:
    """The largest number on the way to the value of ``e``: what rounding is of."""
    own = np.abs(computed(e, NUMBERS))
    need(np.isfinite(own) & (own < 300))
    if isinstance(e, Quotient):
        need(np.abs(computed(e.bottom, NUMBERS)) > 0.1)
    if isinstance(e, Relation) and not isinstance(e, Choice):
        left, right = (computed(item, NUMBERS) for item in e.items)
        need(np.abs(left - right) > 1e-9)
    parts = () if e in NUMBERS else e.parts()
    return max([float(np.max(own)), *map(largest, parts)])


def check_same(e: Expr, other: Expr, numbers: Mapping[Expr, Quantity]) -> None:
    """``other`` comes to what ``e`` does, but that zeros may have lost their shape."""
    try:
        scale, wanted = max(1.0, largest(e)), computed(e, numbers)
    except ArithmeticError:  # columns of no matrix: it came to nothing before
        raise UnfitError from None
    found = computed(other, numbers)
    if found.size <= wanted.size:
        found = np.broadcast_to(found, wanted.shape)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 * scale)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS)
def test_the_value_stays(e: Expr) -> None:
    try:
        check_same(e, tidy(e), NUMBERS)
    except UnfitError:
        assume(False)


@settings(max_examples=50, deadline=None)
@given(EXPRESSIONS)
def test_what_a_factor_multiplies(e: Expr) -> None:
    rest = without(tidy(G * e), G)
    assume(rest is not None)
    assert rest is not None
    try:
        check_same(e, rest, NUMBERS | {G: Quantity(np.array(1.0))})
    except UnfitError:
        assume(False)


def test_a_small_change_of_the_value_is_found() -> None:
    e = (A @ B) * X + N
    check_same(e, tidy(e), NUMBERS)
    with pytest.raises(AssertionError):
        check_same(e, tidy((1 + 1e-10) * e), NUMBERS)
    with pytest.raises(AssertionError):
        check_same(e, e.T, NUMBERS)
