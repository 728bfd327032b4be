"""Expressions: how they are written as text and as LaTeX, and where parentheses are."""

from __future__ import annotations

import math

import pytest

from chainrule import notation
from chainrule.notation import expressions, functions, places
from chainrule.notation.expressions import (
    Atom,
    Contracted,
    Expr,
    Number,
    Picked,
    Script,
    Span,
    as_expr,
    axis_letters,
)
from chainrule.notation.functions import (
    PI,
    absolute,
    along,
    apply,
    become,
    bracket,
    choice,
    computed,
    equals,
    exp,
    floor,
    fraction,
    greater,
    less,
    listing,
    ln,
    mean,
    operated,
    prefixed,
    root,
    scale,
    sigmoid,
    softmax,
    spread,
    symbol,
    tanh,
    total,
)
from chainrule.notation.places import at

A, U, V, W, X, Y, N = (symbol(letter) for letter in "auvWxyn")
Z = Script(symbol("z"), above=Atom("(1)"))
B = symbol("b") + symbol("c")


WRITTEN: list[tuple[Expr, str]] = [
    (apply("max", Z, B), "max(z⁽¹⁾, b + c)"),
    (-ln(Picked(softmax(Z), B)), "−ln softmax(z⁽¹⁾)_(b + c)"),
    (Z @ B, "z⁽¹⁾ (b + c)"),
    (Z * B, "z⁽¹⁾ ⊙ (b + c)"),
    (Z - B, "z⁽¹⁾ − (b + c)"),
    (Z / B, "z⁽¹⁾/(b + c)"),
    (ln(B), "ln(b + c)"),
    (ln(Z), "ln z⁽¹⁾"),
    (total(B), "∑ (b + c)"),
    (total(Z * ln(B)), "∑ z⁽¹⁾ ⊙ ln(b + c)"),
    (total(B * Z), "∑ (b + c) ⊙ z⁽¹⁾"),
    (total(Z) * B, "(∑ z⁽¹⁾) ⊙ (b + c)"),
    (B * total(Z), "(b + c) ⊙ ∑ z⁽¹⁾"),
    (Z / total(Z) * B, "z⁽¹⁾/(∑ z⁽¹⁾) ⊙ (b + c)"),
    (mean(Z) * B, "mean(z⁽¹⁾) ⊙ (b + c)"),
    (root(B), "√(b + c)"),
    (root(Z), "√(z⁽¹⁾)"),
    (root(X), "√x"),
    (root(apply("max", 0, X)), "√(max(0, x))"),
    (exp(B), "e^(b + c)"),
    (exp(Z), "e^z⁽¹⁾"),
    (exp(X), "eˣ"),
    (exp(-X), "e⁻ˣ"),
    (absolute(B), "|b + c|"),
    (bracket(less(Z, B)), "[z⁽¹⁾ < b + c]"),
    (Z.T, "(z⁽¹⁾)ᵀ"),
    (B**2, "(b + c)²"),
    ((X**2) ** 3, "(x²)³"),
    (2**X, "2ˣ"),
    (floor(Z / 2 ** symbol("b")), "⌊z⁽¹⁾/2^b⌋"),
    (choice(B, Z, B), "b + c if z⁽¹⁾ else b + c"),
    (choice(X, bracket(greater(X, 0)), 0), "x if x > 0 else 0"),
    (choice(choice(X, Y, 0), Z, 1), "(x if y else 0) if z⁽¹⁾ else 1"),
    (2 * choice(X, Y, 0), "2 (x if y else 0)"),
    (U - (V - W), "u − (v − W)"),
    (U + (V - W), "u + v − W"),
    (-(U + V), "−(u + v)"),
    (U / (V * W), "u/(v ⊙ W)"),
    (U / (2 * N), "u/(2n)"),
    (0.5 * X, "½x"),
    (0.5 * B, "½ (b + c)"),
    (X * 2, "2x"),
    (1 * X, "x"),
    (2 * (3 * X), "2 (3x)"),
    (2 * PI, "2 π"),
    (1e-5 * X, "10⁻⁵ x"),
    (X + 2.5e-8, "x + 2.5 · 10⁻⁸"),
    (X * Number(-1), "x ⊙ (−1)"),
    (Number(math.inf), "∞"),
    ((W @ X) * Y, "(W x) ⊙ y"),
    ((W.T @ X) * (1 - Y), "(Wᵀ x) ⊙ (1 − y)"),
    (scale(root(2 / PI), X), "√(2/π) x"),
    (sigmoid(B), "σ(b + c)"),
    (tanh(Z), "tanh z⁽¹⁾"),
    (prefixed("sign", B) * X, "sign(b + c) ⊙ x"),
    (operated("mod", B, X), "(b + c) mod x"),
    (operated("conv", W, X) + B, "W ∗ x + b + c"),
    (operated("up", operated("conv", W, X), 2), "(W ∗ x) ↑ 2"),
    (at(B, Span(Number(2), Number(5)), Span(None, None, 2)), "(b + c)[2:5, ::2]"),
    (listing(become(V, X), equals(U, V), X - V), "v ← x, u = v, x − v"),
    (Contracted((W, X), ("ij", "sj"), "si"), "∑ⱼ Wᵢⱼ xₛⱼ"),
    (Contracted((Z, X), ("i", "i"), "i"), "zᵢ⁽¹⁾ xᵢ"),
    (fraction(B, U) * V, "(b + c)/u ⊙ v"),
]


def test_parentheses_follow_what_stands_in_a_formula() -> None:
    assert [e.text() for e, _ in WRITTEN] == [text for _, text in WRITTEN]


@pytest.mark.parametrize(
    ("e", "text", "latex"),
    [
        (symbol("ŷ"), "ŷ", r"\hat{y}"),
        (symbol("δ̄"), "δ̄", r"\bar{\delta}"),
        (symbol("class_weight"), "class_weight", r"\text{class\_weight}"),
        (sigmoid(Z), "σ(z⁽¹⁾)", r"\sigma(z^{(1)})"),
        (along("argsort", X, 0), "argsort(x)", r"\operatorname{argsort}(x)"),
        (U / V, "u/v", "u / v"),
        (fraction(U, V), "u/v", r"\frac{u}{v}"),
        (0.5 * X, "½x", r"\frac{1}{2} x"),
        (W.T, "Wᵀ", "W^{T}"),
        (Z.T, "(z⁽¹⁾)ᵀ", "(z^{(1)})^{T}"),
        (ln(1 + X), "ln(1 + x)", r"\ln(1 + x)"),
        (ln(X), "ln x", r"\ln x"),
        (floor(X), "⌊x⌋", r"\lfloor x \rfloor"),
        (2 * as_expr(10) ** X, "2 · 10ˣ", r"2 \cdot 10^{x}"),
        (choice(X, Y, 0), "x if y else 0", r"x \text{ if } y \text{ else } 0"),
        (at(X, Span(Number(2), Number(5))), "x[2:5]", "x[2{:}5]"),
        (X + 1e-5, "x + 10⁻⁵", "x + 10^{-5}"),
        (operated("xor", X, Y), "x ⊕ y", r"x \oplus y"),
    ],
)
def test_the_same_expression_as_text_and_as_latex(
    e: Expr, text: str, latex: str
) -> None:
    assert e.text() == text
    assert e.latex() == latex


def test_letters_of_axes() -> None:
    assert [axis_letters(r) for r in range(7)] == [
        *("", "s", "si", "sti", "scpq", "scrpq", "sijklm")
    ]
    assert axis_letters(3, samples=False) == "ijk"
    x = symbol("x", index="scpq")
    assert str(total(x, over=(0, 2, 3))) == "∑_spq x"
    assert str(total(x, over=(0, 1, 2, 3))) == "∑ x"
    assert str(total(x, over=())) == "x"
    assert str(total(x**2 + 1, over=(1,))) == "∑_c (x² + 1)"
    assert str(softmax(x, 1)) == "softmax_c(x)"
    assert str(softmax(x, 3)) == "softmax(x)"
    # Where nothing is known, the axis that is named is taken for the last.
    assert str(softmax(X, 1)) == "softmax(x)"
    assert str(total(X, over=(1,))) == "∑ᵢ x"
    assert str(total(X, over=(1,), rank=3)) == "∑ₜ x"
    assert str(spread(symbol("b"), (1,), x)) == "b_c"
    assert str(spread(symbol("b"), (3,), x)) == "b"


def test_an_index_is_no_part_of_what_an_expression_is() -> None:
    assert symbol("x", index="si") == symbol("x")
    assert hash(symbol("x", index="si")) == hash(symbol("x"))
    assert X.with_index("si").index == "si"
    assert X.index is None


def test_parts_are_replaced() -> None:
    e = choice(X, greater(X, 0), 0.1 * X)
    assert e.replaced({X: B}).text() == "b + c if b + c > 0 else 0.1 (b + c)"
    assert [str(leaf) for leaf in e.leaves()] == ["x", "x", "0", "0.1", "x"]
    picked = computed(at(X, Y), X, Y, how=lambda x, i: x[i])
    assert picked.replaced({X: B}).text() == "(b + c)[y]"
    assert picked.replaced({Y: B}).parts() == [X, B]
    assert Picked(X, Y).replaced({X: U, Y: V}) == Picked(U, V)
    assert (X**Y).replaced({Y: U}) == X**U
    assert X.T.replaced({X: U}) == U.T
    # A name that is given on the way is none that others stand for.
    steps = listing(become(V, X), V + X)
    assert steps.replaced({X: U}).text() == "v ← u, v + u"


def test_what_looks_alike_may_be_two_things() -> None:
    first = computed(at(X, Y), X, how=lambda x: x[0], key=0)
    second = computed(at(X, Y), X, how=lambda x: x[1], key=1)
    assert first.text() == second.text()
    assert first != second
    assert first == computed(at(X, Y), X, how=lambda x: x, key=0)


def test_a_word_of_formulas_is_in_one_file() -> None:
    assert not {*functions.__all__} & {*places.__all__}
    assert notation.softmax is functions.softmax
    assert notation.at is places.at
    assert notation.Number is expressions.Number
    with pytest.raises(AttributeError, match="has no attribute 'sofmax'"):
        notation.sofmax  # noqa: B018
