"""MathML: well-formed, and the same symbols in the same order as the text."""

from __future__ import annotations

import re
import unicodedata
from xml.etree import ElementTree

import pytest

from chainrule.graph.primitive import registered
from chainrule.graph.types import DType
from chainrule.notation.expressions import Atom, Expr, Number, Picked, Script
from chainrule.notation.functions import (
    absolute,
    choice,
    exp,
    floor,
    fraction,
    less,
    ln,
    mean,
    root,
    softmax,
    symbol,
    total,
)
from chainrule.notation.mathml import equation, mathml
from tests.conformance.cases import examples
from tests.conformance.test_formulas import formula_of

X, Y, W = symbol("x"), symbol("y"), symbol("W")
Z = Script(symbol("z"), above=symbol("(1)"))
#: What each element takes: so many children, or text alone.
CHILDREN = {"mfrac": 2, "msup": 2, "msub": 2, "munder": 2, "mover": 2, "msubsup": 3}
CHILDREN |= {"mspace": 0}
TEXT = {"mi", "mn", "mo", "mtext"}


def read(e: Expr, name: str = "") -> ElementTree.Element:
    """The element of an expression, in which every part has what it takes."""
    made = ElementTree.fromstring(mathml(e))
    assert made.tag == "math", name
    for part in made.iter():
        if part.tag in TEXT:
            assert not list(part), name
            assert part.text, name
        elif part.tag in CHILDREN:
            assert len(part) == CHILDREN[part.tag], name
        else:
            assert part.tag in ("math", "mrow", "msqrt"), name
            assert len(part) >= 1, name
            assert not (part.text or "").strip(), name
    return made


def symbols(text: str) -> str:
    """Letters, digits and signs alone: without marks, brackets and what is unseen."""
    text = text.replace("½", "0.5").replace("⊤", "T").replace("¯", "").replace("ᵀ", "T")
    text = unicodedata.normalize("NFKC", text)
    text = "".join(
        c for c in unicodedata.normalize("NFD", text) if c < "\u0300" or c > "\u036f"
    )
    return re.sub(r"[\s()^_/√·\u2061\u2062~˙]", "", text)


def test_every_formula_is_written_with_the_symbols_of_its_text() -> None:
    names, wrong = set(registered()), []
    for example in examples((DType.float64,)):
        e, name = formula_of(example), example.primitive.name
        if name not in names:
            continue
        written = symbols("".join(read(e, name).itertext()))
        wrong += [(name, written, e.text())] if written != symbols(e.text()) else []
    assert not wrong


@pytest.mark.parametrize(
    ("e", "inner"),
    [
        (X, "<mi>x</mi>"),
        (Number(-1.5), "<mrow><mo>−</mo><mn>1.5</mn></mrow>"),
        (
            Number(1e-5),
            "<msup><mn>10</mn><mrow><mo>−</mo><mn>5</mn></mrow></msup>",
        ),
        (symbol("ŷ"), "<mover><mi>y</mi><mo>^</mo></mover>"),
        (W.T, "<msup><mi>W</mi><mo>⊤</mo></msup>"),
        (Z, "<msup><mi>z</mi><mtext>(1)</mtext></msup>"),
        (W @ X, "<mrow><mi>W</mi><mo>&#x2062;</mo><mi>x</mi></mrow>"),
        (X * Y, "<mrow><mi>x</mi><mo>⊙</mo><mi>y</mi></mrow>"),
        (exp(X), "<msup><mi>e</mi><mi>x</mi></msup>"),
        (fraction(X, Y), "<mfrac><mi>x</mi><mi>y</mi></mfrac>"),
        (root(X), "<msqrt><mi>x</mi></msqrt>"),
        (
            ln(X),
            '<mrow><mi>ln</mi><mo>&#x2061;</mo><mspace width=".17em"></mspace>'
            "<mi>x</mi></mrow>",
        ),
        (
            Atom(r"\nabla_{\hat{y}} \mathcal{L}", "∇_ŷ ℒ"),
            "<mrow><msub><mo>∇</mo><mover><mi>y</mi><mo>^</mo></mover></msub>"
            "<mi>ℒ</mi></mrow>",
        ),
        (total(X), "<mrow><mo>∑</mo><mi>x</mi></mrow>"),
        (
            total(X, (1,), rank=2),
            "<mrow><munder><mo>∑</mo><mi>i</mi></munder><mi>x</mi></mrow>",
        ),
    ],
)
def test_elements(e: Expr, inner: str) -> None:
    assert mathml(e) == f"<math>{inner}</math>"
    assert read(e) is not None


OPEN, CLOSE = "<mo>(</mo>", "<mo>)</mo>"


@pytest.mark.parametrize(
    "e",
    [
        2 * (X + Y),
        (X + Y) ** 2,
        X / (Y * X),
        (total(X) * Y),
        ln(X + Y),
        mean(X),
        (W @ X) * Y,
        Picked(softmax(Z), X + Y),
        choice(choice(X, Y, 0), less(X, Y), 1),
        X * Number(-1),
    ],
    ids=str,
)
def test_parentheses_are_those_of_latex(e: Expr) -> None:
    # A subscript, as an exponent, needs none of its own.
    wanted = e.latex().replace("(1)", "").count("(")
    made = mathml(e)
    assert made.count(OPEN) == made.count(CLOSE) == wanted
    read(e)


def test_fences_and_angle_brackets() -> None:
    assert "&lt;" in mathml(less(X, Y))
    for e in (absolute(X), floor(X)):
        left, right = (mo.text for mo in read(e).iter("mo"))
        assert (left, right) == (e.left.text(), e.right.text())


def test_an_equation_stands_on_a_line_of_its_own() -> None:
    made = equation((symbol("z"), W @ X, X))
    assert made.startswith('<math display="block"><mrow><mi>z</mi><mo>=</mo>')
    assert made.count("<mo>=</mo>") == 2
    assert mathml(X, display=True) == '<math display="block"><mi>x</mi></math>'
