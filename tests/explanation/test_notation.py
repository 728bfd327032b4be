"""Expressions: from LaTeX, to LaTeX, to text, and made shorter without changing."""

import re
import string

import numpy as np
import pytest

from chainrule.errors import ParseError
from chainrule.explanation.formulas import substitute
from chainrule.explanation.reading import read, template
from chainrule.explanation.tidy import tidy, without
from chainrule.graph.primitive import registered
from chainrule.notation.expressions import Atom, Number, Product, Sum
from tests.explanation.arithmetic import computed

#: Letters for the inputs; f is the name of a function.
SYMBOLS = "abcdeghijklnopqrst"


@pytest.mark.parametrize("name", sorted(registered()))
def test_every_primitive_has_a_formula_that_can_be_shown(name):
    formula = registered()[name].formula
    made = template(formula)
    text, latex = made.text(), made.latex()
    assert text.strip()
    assert not re.search(r"[\\{}]", text)
    assert latex.count("{") == latex.count("}")
    # Every input that the declaration names is shown.
    named = {name for _, name, _, _ in string.Formatter().parse(formula) if name}
    shown = substitute(made, tuple(Atom(f"<{i}>") for i in range(len(SYMBOLS)))).text()
    assert set(re.findall(r"<(\d+)>", shown)) == named
    # Substituting symbols leaves no slot behind, and reading it again changes nothing.
    filled = substitute(made, tuple(Atom(letter) for letter in SYMBOLS))
    assert "□" not in filled.text()
    assert read(filled.latex()).text() == filled.text()


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\max({0}, {1})", "max(z⁽¹⁾, b + c)"),
        (r"-\ln\operatorname{{softmax}}({0})_{{{1}}}", "−ln softmax(z⁽¹⁾)_(b + c)"),
        (r"{0} {1}", "z⁽¹⁾ (b + c)"),
        (r"{0} \odot {1}", "z⁽¹⁾ ⊙ (b + c)"),
        (r"{0} - {1}", "z⁽¹⁾ − (b + c)"),
        (r"{0} / {1}", "z⁽¹⁾/(b + c)"),
        (r"\ln {1}", "ln (b + c)"),
        (r"\sum {1}", "∑ (b + c)"),
        (r"\sum_i {0} \odot \ln {1}", "∑ᵢ z⁽¹⁾ ⊙ ln (b + c)"),
        (r"\sum_i {1} \odot {0}", "∑ᵢ (b + c) ⊙ z⁽¹⁾"),
        (r"(\sum_i {0}) \odot {1}", "(∑ᵢ z⁽¹⁾) ⊙ (b + c)"),
        (r"{0} / (\sum_i {0}) \odot {1}", "z⁽¹⁾/(∑ᵢ z⁽¹⁾) ⊙ (b + c)"),
        (r"\sqrt{{{1}}}", "√(b + c)"),
        (r"\sqrt{{{0}}}", "√(z⁽¹⁾)"),
        (r"e^{{{1}}}", "e^(b + c)"),
        (r"e^{{{0}}}", "e^z⁽¹⁾"),
        (r"|{1}|", "|b + c|"),
        (r"[{0} < {1}]", "[z⁽¹⁾ < b + c]"),
        (r"{0}^T", "(z⁽¹⁾)ᵀ"),
        (r"{1}^2", "(b + c)²"),
        (r"\lfloor {0} / 2^{{b}} \rfloor", "⌊z⁽¹⁾/2^b⌋"),
        (r"{1} \text{{ if }} {0} \text{{ else }} {1}", "b + c if z⁽¹⁾ else b + c"),
    ],
)
def test_parentheses_follow_what_is_put_into_a_formula(latex, text):
    filled = substitute(template(latex), (read("z^{(1)}"), read("b + c")))
    assert filled.text() == text


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{\partial \mathcal{L}}{\partial W^{(12)}}", "∂ℒ/∂W⁽¹²⁾"),
        (r"\hat{y}", "ŷ"),
        (r"x_{i}^{2}", "xᵢ²"),
        (r"x_{i}^{2}^{T}", "(xᵢ²)ᵀ"),
        (r"f'(z)", "f′(z)"),
        (r"\sigma(z^{(1)})", "σ(z⁽¹⁾)"),
        (r"\arg\max x", "argmax x"),
        (r"((W^{(2)})^T \delta^{(2)}) \odot a", "((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ a"),
        (r"W \leftarrow W - \eta \delta", "W ← W − η δ"),
        (r"a - (b - c)", "a − (b − c)"),
        (r"a / (b c)", "a/(b c)"),
    ],
)
def test_the_same_expression_as_text_and_as_latex(latex, text):
    made = read(latex)
    assert made.text() == text
    assert read(made.latex()) == made


@pytest.mark.parametrize("wrong", ["a +", r"\frac{a}", "(a", r"\unknown{x}", "a } b"])
def test_latex_outside_the_subset_is_refused(wrong):
    with pytest.raises(ParseError, match="cannot be read"):
        read(wrong)


@pytest.mark.parametrize(
    ("latex", "shorter"),
    [
        ("u + u", "2u"),
        ("(u - v) / 2 + (u - v) / 2", "u − v"),
        ("u - u", "0"),
        ("u + 0", "u"),
        (r"u \odot u", "u²"),
        (r"1 \odot u", "u"),
        (r"u \odot 0", "0"),
        ("-(-u)", "u"),
        ("u - (v - w)", "u − v + w"),
        ("(u / n) / 3", "u/(3n)"),
        ("u / 2 + u / 4", "0.75u"),
        ("u / 3 + u / 3", "2u/3"),
        ("u / (2 n)", "u/(2n)"),
        ("2 u / (4 n)", "u/(2n)"),
        ("u / (2 n) + u / (2 n)", "u/n"),
        ("[0 < z]", "[z > 0]"),
        ("((A)^T)^T x", "A x"),
        ("(A B^T)^T", "B Aᵀ"),
        ("2 - u - 1", "1 − u"),
    ],
)
def test_school_algebra(latex, shorter):
    assert tidy(read(latex)).text() == shorter


def test_algebra_keeps_the_value():
    # Random expressions in u, v, n: the tidied tree computes the same number.
    rng = np.random.default_rng(0)
    values = {Atom("u"): 0.7, Atom("v"): -1.3, Atom("n"): 4.0}

    def grow(depth):
        kind = rng.integers(0, 6 if depth else 2)
        if kind == 0:
            return list(values)[rng.integers(0, 3)]
        if kind == 1:
            return Number(float(rng.choice([0.5, 1, 2, 3])))
        if kind in (2, 3):
            signs = rng.choice([-1, 1], 3)
            return Sum(tuple((int(s), grow(depth - 1)) for s in signs))
        if kind == 4:
            return Product("odot", tuple(grow(depth - 1) for _ in range(2)))
        return Product("scale", (grow(depth - 1), grow(depth - 1)))

    for _ in range(500):
        e = grow(3)
        wanted = pytest.approx(computed(e, values), rel=1e-9, abs=1e-9)
        assert computed(tidy(e), values) == wanted, e


def test_a_factor_is_taken_out_only_where_it_is_one():
    g = read("g")
    scaled = Product("scale", (Number(2), Product("odot", (g, read("a")))))
    assert without(scaled, g).text() == "2a"
    assert without(read(r"g \odot [z > 0]"), g).text() == "[z > 0]"
    assert without(read("g"), g) == Number(1)
    assert without(read(r"g \odot g"), g) is None
    assert without(read("g + u"), g) is None
    assert without(read(r"y \odot (g - \sum g \odot y)"), g) is None
