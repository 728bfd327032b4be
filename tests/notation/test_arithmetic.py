"""What expressions come to, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.notation.arithmetic import (
    ALL_COLUMNS,
    COLUMNS,
    MATRIX,
    Quantity,
    computed,
    results,
    steps,
)
from chainrule.notation.expressions import (
    Atom,
    Call,
    Contracted,
    Expr,
    Fence,
    Number,
    Part,
    Picked,
    Reduced,
    Relation,
    Spread,
)
from chainrule.notation.functions import (
    absolute,
    along,
    apply,
    become,
    bracket,
    choice,
    equals,
    exp,
    floor,
    greater,
    listing,
    ln,
    mean,
    operated,
    reduced,
    root,
    sigmoid,
    softmax,
    symbol,
    total,
    variance,
)
from chainrule.notation.functions import computed as shown
from chainrule.notation.places import at
from tests.rows import table

RNG = np.random.default_rng(5)
W, X, B, Y, D = (symbol(letter) for letter in "Wxbyδ")
#: W: 2 × 3; four samples of three numbers; two biases; four labels; errors of outputs.
ARRAYS = {
    W: RNG.normal(size=(2, 3)),
    X: RNG.normal(size=(4, 3)),
    B: RNG.normal(size=2),
    Y: np.array([1, 0, 0, 1]),
    D: RNG.normal(size=(4, 2)),
}
KINDS = {W: MATRIX, X: COLUMNS, B: MATRIX, Y: COLUMNS, D: COLUMNS}
PAPER: dict[Expr, Quantity] = {e: Quantity(a, KINDS[e]) for e, a in ARRAYS.items()}
PLAIN: dict[Expr, Quantity] = {e: Quantity(a) for e, a in ARRAYS.items()}
w, x, b, y, d = ARRAYS.values()


@pytest.mark.parametrize(
    ("e", "wanted"),
    [
        (W @ X + B, x @ w.T + b),
        (W.T @ D, d @ w),
        (D @ X.T, d.T @ x),
        (X.T @ W.T, x @ w.T),
        (X.T @ X, np.sum(x * x, 1, keepdims=True)),
        (X.T.T, x),
        (W @ (2 * X), 2 * x @ w.T),
        (-ln(Picked(softmax(W @ X), Y)), None),
        (Reduced(Atom("∑"), D, "wide", ALL_COLUMNS, keep=False), d.sum(0)),
        (total(D, (1,), keep=False), d.sum(1)),
        (mean(D, (0,)), d.mean(0, keepdims=True)),
        (Picked(B, Y), b[y]),
    ],
    ids=str,
)
def test_samples_are_columns_on_paper(e: Expr, wanted: np.ndarray | None) -> None:
    if wanted is None:
        z = x @ w.T
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        wanted = -np.log(p[np.arange(4), y])
    np.testing.assert_allclose(computed(e, PAPER), wanted, rtol=1e-14)


@table(
    ("e", "wanted"),
    [
        (X @ W.T, x @ w.T),
        (D.T @ X, d.T @ x),
        (W.T @ B, w.T @ b),
        (B.T @ B, [b @ b]),
        (B @ B.T, np.outer(b, b)),
        (Contracted((X, W), ("si", "oi"), "so"), x @ w.T),
        (Contracted((X, X), ("si", "si"), "s"), (x * x).sum(1)),
        (softmax(X, 0), np.exp(x) / np.exp(x).sum(0)),
        (variance(X, (1,)), x.var(1, keepdims=True)),
        (reduced("argmax", X, (1,), keep=False), x.argmax(1)),
        (X + Spread(Y, axes=(0,), rank=2), x + y[:, None]),
        (operated("mod", X, 2), np.mod(x, 2)),
        (bracket(greater(X, 0)) * X, np.maximum(x, 0)),
        (1 - bracket(greater(X, 0)), 1.0 * (x <= 0)),
        (choice(X, greater(X, 0), 0), np.maximum(x, 0)),
        (floor(X) + absolute(X), np.floor(x) + abs(x)),
        (root(absolute(X)), np.sqrt(abs(x))),
        (exp(X) ** 2, np.exp(2 * x)),
        ((1 + Y) ** -1, 1 / (1 + y)),
        (sigmoid(X), 1 / (1 + np.exp(-x))),
        (apply("max", X, 0), np.maximum(x, 0)),
        (shown(at(X, Y), X, Y, how=lambda a, i: a[i]), x[y]),
        (listing(become(W, 2 * X), W + X), 3 * x),
        (Number(3), 3.0),
    ],
    ids=str,
)
def test_arrays_as_they_stand(e: Expr, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(computed(e, PLAIN), wanted, rtol=1e-14)


def test_short_floats_are_widened_and_integers_are_handed_on() -> None:
    third = Quantity(np.float32(1) / np.float32(3) * np.ones(2, np.float32))
    assert computed(3 * X, {X: third}).dtype == np.float64
    seen = []
    picked = shown(at(X, Y), X, Y, how=lambda a, i: seen.append((a.dtype, i.dtype)))
    results(picked, {X: third, Y: Quantity(np.array([1], np.int32))})
    assert seen == [(np.float64, np.int32)]
    # A sum of truth values counts.
    truths = Quantity(np.array([True, True]))
    assert computed(X + X, {X: truths}).tolist() == [2, 2]
    assert computed(total(X), {X: truths}).tolist() == [2]


def test_logarithms_of_softmax_do_not_underflow() -> None:
    z = Quantity(np.array([[0.0, -1000.0]]))
    assert computed(ln(softmax(X)), {X: z}).tolist() == [[0, -1000]]
    labels = Quantity(np.array([1]))
    made = computed(-ln(Picked(softmax(X), Y)), {X: z, Y: labels})
    assert made.tolist() == [1000]


def test_any_expression_may_have_a_number() -> None:
    known = {X + 1: Quantity(np.array([5.0]))}
    assert computed(2 * (X + 1), known).tolist() == [10]
    softmaxes = {softmax(X): Quantity(np.array([[1.0, np.e]]))}
    assert computed(ln(softmax(X)), softmaxes).tolist() == [[0, 1]]


def test_steps_are_known_to_those_behind_them() -> None:
    e = listing(become(B, X + 1), equals(D, 2 * B), B * D)
    made = steps(e, {X: Quantity(np.array(2.0))})
    assert [float(a) for a in made] == [3, 6, 18]
    # A relation alone is a question.
    assert not computed(equals(X, 3), {X: Quantity(np.array(2.0))})


def test_several_results() -> None:
    both = shown(apply("divmod", X), X, how=lambda a: (a // 2, a % 2))
    numbers = {X: Quantity(np.array([5.0]))}
    assert [a.tolist() for a in results(both, numbers)] == [[2], [1]]
    assert computed(Part(both, 2), numbers).tolist() == [1]
    assert [a.tolist() for a in results(X + 1, numbers)] == [[6]]
    with pytest.raises(ArithmeticError, match="say which"):
        computed(both, numbers)
    with pytest.raises(ArithmeticError, match="2 results"):
        computed(Part(both, 3), numbers)


@pytest.mark.parametrize(
    "e",
    [
        symbol("q"),
        apply("unheard", X),
        operated("conv", W, X),
        at(X, Y),
        along("sort", X, 0),
        reduced("median", X),
        Fence(Atom("<"), X, Atom(">")),
        Relation((X, X), (Atom("~"),)),
        X @ X,
        X.T @ X.T,
        Call(Atom("f"), (X,), "[]"),
    ],
    ids=str,
)
def test_what_says_no_number_is_refused(e: Expr) -> None:
    with pytest.raises(ArithmeticError, match="says no number"):
        computed(e, PAPER)
