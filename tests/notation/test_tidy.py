"""School algebra: shorter, and the same number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.notation import functions as f
from chainrule.notation.arithmetic import Quantity, computed
from chainrule.notation.expressions import Atom, Expr, Number, Product, Script, Sum
from chainrule.notation.tidy import tidy, without

A, B, C, G = map(Atom, "abcg")
W = Script(Atom("W"), Atom("(1)"))
NUMBERS = {
    e: Quantity(v)
    for e, v in zip((A, B, C, G), np.random.default_rng(0).uniform(0.5, 2, (4, 3)))
}


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]),
        pairs.map(lambda p: p[0] - p[1]),
        pairs.map(lambda p: p[0] * p[1]),
        pairs.map(lambda p: p[0] / (1 + p[1] * p[1])),
        st.tuples(st.sampled_from([0.5, 2, -1, 3, 0, 0.1, 1 / 3]), inner).map(
            lambda p: Product("scale", (Number(p[0]), p[1]))
        ),
        inner.map(lambda e: -e),
        inner.map(f.tanh),
        inner.map(lambda e: e**2),
        pairs.map(lambda p: f.larger(*p)),
        pairs.map(lambda p: f.choice(p[0], f.less(p[0], p[1]), p[1])),
    )


EXPRESSIONS = st.recursive(st.sampled_from([A, B, C, Number(1), Number(2)]), grown)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS)
def test_it_stays_the_same_number(e: Expr) -> None:
    before, after = computed(e, NUMBERS), computed(tidy(e), NUMBERS)
    scale = max(1.0, float(np.max(np.abs(before))))
    np.testing.assert_allclose(*np.broadcast_arrays(before, after), atol=1e-12 * scale)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS)
def test_a_factor_taken_out_and_put_back(e: Expr) -> None:
    whole = tidy(G * e)
    rest = without(whole, G)
    if rest is not None and np.isfinite(computed(whole, NUMBERS)).all():
        again = computed(Product("odot", (G, rest)), NUMBERS)
        pair = np.broadcast_arrays(again, computed(whole, NUMBERS))
        np.testing.assert_allclose(*pair, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("e", "text"),
    [
        ((A - B) / 2 + (A - B) / 2, "a − b"),
        (0.5 * (A - B), "½ (a − b)"),
        (A * A * A, "a³"),
        (Sum(((1, A), (-1, A))), "0"),
        (A / Number(2) / B, "a/(2b)"),
        (f.choice(A, f.bracket(f.less(0, A)), B), "a if a > 0 else b"),
        ((W @ A).T, "aᵀ (W⁽¹⁾)ᵀ"),
        (f.ln(f.picked(f.softmax(A), B)), "ln softmax(a)_b"),
        (f.root(A + B) / C, "√(a + b)/c"),
        (f.exp(-A), "e^(−a)"),
        (f.absolute(A - 1), "|a − 1|"),
        (G * (A + B), "g ⊙ (a + b)"),
        (f.total(A * B), "∑ a ⊙ b"),
        (f.mean((A - B) ** 2), "mean (a − b)²"),
    ],
)
def test_how_it_is_written(e: Expr, text: str) -> None:
    assert tidy(e).text() == text


def test_what_says_no_number_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="says no number"):
        computed(f.convolution(A, B), NUMBERS)
    with pytest.raises(ArithmeticError, match="says no number"):
        computed(Atom("q"), NUMBERS)
    assert math.isclose(
        float(computed(f.wave(Number(1.0)), {})), math.sqrt(2 / math.pi)
    )
