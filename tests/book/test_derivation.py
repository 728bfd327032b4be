"""Derivations: the book's line by line; every formula against autodiff."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn
from chainrule.book.derivation import Derivation, Network, derive
from chainrule.book.derivation.activations import ACTIVATIONS
from chainrule.book.derivation.elements import Elements
from chainrule.book.derivation.formulas import name_of, slope_of
from chainrule.book.derivation.network import network_of, parse
from chainrule.errors import ArgumentError, ChainruleError, ParseError, ShapeError
from chainrule.notation.arithmetic import COLUMNS, Quantity, computed
from chainrule.notation.expressions import Atom
from chainrule.text.languages import language
from tests.explanation.feedforward import LOSSES, Drawn
from tests.explanation.oracle import Layer, work

# -- the book ------------------------------------------------------------------------


def test_3_7_line_by_line() -> None:
    """ŷ = f₂(W₂ f₁(W₁ x + b₁) + b₂), ℒ = ½ (ŷ − y)², and the four steps."""
    d = cr.derive("2-2sigmoid-1sigmoid", loss="half_squared")
    sides = [side.text() for e in d.equations() for side in e.sides]
    equations = [e.text() for e in d.equations()]
    assert "ŷ = f₂(W⁽²⁾ f₁(W⁽¹⁾ x + b⁽¹⁾) + b⁽²⁾)" in equations
    assert "ℒ = ½ (ŷ − y)²" in equations
    book = [
        "(ŷ − y) ⊙ f₂′(z⁽²⁾)",  # 1️⃣
        "((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f₁′(z⁽¹⁾)",  # 2️⃣, where the book leaves ⊙ out
        "δ⁽²⁾ (a⁽¹⁾)ᵀ",  # 3️⃣
        "δ⁽¹⁾ xᵀ",
    ]
    places = [sides.index(line) for line in book]
    assert places == sorted(places)
    assert equations[-4:] == [  # 4️⃣
        "W⁽¹⁾ ← W⁽¹⁾ − η ∂ℒ/∂W⁽¹⁾",
        "b⁽¹⁾ ← b⁽¹⁾ − η ∂ℒ/∂b⁽¹⁾",
        "W⁽²⁾ ← W⁽²⁾ − η ∂ℒ/∂W⁽²⁾",
        "b⁽²⁾ ← b⁽²⁾ − η ∂ℒ/∂b⁽²⁾",
    ]
    assert d["delta2"].text().endswith("= (ŷ − y) ⊙ ŷ ⊙ (1 − ŷ)")
    assert "Layers counted as the book does in 3.7: 2; with the input, as in" in str(d)


def test_3_11_three_layers() -> None:
    """Exercise 1: the recursion of 3.4.2 for each hidden layer."""
    d = derive("3-3tanh-2relu-2")
    for k, name in ((1, "f₁′(z⁽¹⁾)"), (2, "f₂′(z⁽²⁾)")):
        above = "⁰¹²³"[k + 1]
        wanted = f"((W⁽{above}⁾)ᵀ δ⁽{above}⁾) ⊙ {name}"
        assert wanted in [side.text() for side in d[f"delta{k}"].sides]
    keys = [step.key for step in d.steps if step.key in ("error", "weights")]
    assert keys == ["error"] * 3 + ["weights"] * 3


@pytest.mark.parametrize(
    ("loss", "one", "several"),
    [
        ("half_squared", "½ (ŷ − y)²", "(ŷ − y)/n"),
        ("mse", "(ŷ − y)²", "2 (ŷ − y)/(3n)"),
        ("half_mse", "½ (ŷ − y)²", "(ŷ − y)/(3n)"),
    ],
)
def test_three_squared_losses(loss: str, one: str, several: str) -> None:
    """½ (3.7), 1/n (2.5.1) and 1/2n (3.3) stay apart."""
    assert derive("2-1", loss)["loss"].sides[-1].text() == one
    assert derive("2-3", loss, batch=True)["delta1"].sides[-1].text() == several


def test_softmax_goes_through_its_jacobian() -> None:
    sides = [s.text() for s in derive("2-3softmax", "cross_entropy")["delta1"].sides]
    assert sides == [
        "δ⁽¹⁾",
        "∂ℒ/∂z⁽¹⁾",
        "(J⁽¹⁾)ᵀ ∂ℒ/∂ŷ",
        "ŷ ⊙ (∂ℒ/∂ŷ − ŷᵀ ∂ℒ/∂ŷ)",
        "ŷ − y",
    ]
    d = derive("1-3softmax", "cross_entropy")
    found = d.evaluate({"W1": [1.0, 2.0, 0.5], "b1": [0, 0, 0]}, [1.0], 1)
    assert np.allclose(found["δ⁽¹⁾"].ravel(), [0.231, -0.371, 0.140], atol=5e-4)


# -- against autodiff ----------------------------------------------------------------


def close(found: Any, wanted: Any) -> None:
    """Within 1e-10 of the largest number, or of 10⁻³ where all are smaller."""
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    if found.size != wanted.size:
        found = np.broadcast_to(found, wanted.shape)
    gap = np.max(np.abs(found.reshape(wanted.shape) - wanted))
    assert gap <= 1e-10 * max(np.max(np.abs(wanted)), 1e-3)


def seeds(few: int, many: int) -> list[Any]:
    """Seeds of random networks: a few of them, and many with the slow tests."""
    slow = pytest.mark.slow
    return [*range(few), *(pytest.param(n, marks=slow) for n in range(few, many))]


@pytest.mark.parametrize("seed", seeds(30, 200))
def test_every_formula_comes_to_what_autodiff_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = (1, 1, 2, 3, 7)[seed % 5]
    drawn = Drawn(rng, n=n)
    d = derive(drawn.spec, drawn.loss, batch=n > 1)
    numbers = d.worked(drawn.parameters, drawn.x, drawn.y, lr=0.3)
    for key, wanted in drawn.by_autodiff(0.3).items():
        close(numbers[name_of(d.formulas, key)].array, wanted)
    lossy = drawn.loss == "binary_cross_entropy"  # 1 − ŷ where ŷ is near 1
    for key, equation in d.formulas.all.items():
        if key in d.formulas.updates or (lossy and key == "loss"):
            continue
        for side in equation.sides[1:]:
            close(computed(side, numbers), numbers[equation.name].array)


@pytest.mark.parametrize("seed", seeds(12, 60))
def test_every_path_adds_up(seed: int) -> None:
    drawn = Drawn(np.random.default_rng(seed), widest=3, layers=1 + seed % 3)
    d = derive(drawn.spec, drawn.loss, elements=True)
    numbers = d.worked(drawn.parameters, drawn.x, drawn.y)
    wanted, e = drawn.by_autodiff(0.0), Elements(d.formulas)
    for k, (before, size) in enumerate(pairwise(drawn.sizes), 1):
        for i in range(1, size + 1):
            close(numbers[e.z(k, i)].array, wanted[f"z{k}"][0, i - 1])
            close(numbers[e.delta(k, i)].array, wanted[f"delta{k}"][0, i - 1])
            close(numbers[slope_of(e.b(k, i))].array, wanted[f"db{k}"][i - 1])
            for j in range(1, before + 1):
                name = slope_of(e.w(k, i, j))
                close(numbers[name].array, wanted[f"dW{k}"][i - 1, j - 1])
    for equation in e.equations():
        for side in equation.sides[1:]:
            close(computed(side, numbers), numbers[equation.name].array)


def test_against_fractions() -> None:
    """Two ReLU layers, exact."""
    layers = [
        Layer([["0.5", -1], [2, "0.25"]], [1, "-0.5"], "relu"),
        Layer([[1, "-0.5"]], ["0.25"], "linear"),
    ]
    exact = work(layers, [["0.5", 1]], [[2]], rate="0.5")
    d = derive("2-2relu-1")
    weights = {
        "W1": [[0.5, -1], [2, 0.25]],
        "b1": [1, -0.5],
        "W2": [1, -0.5],
        "b2": 0.25,
    }
    found = d.evaluate(weights, [0.5, 1], [2], lr=0.5)
    assert found["δ⁽¹⁾"].ravel().tolist() == exact.delta[1][0]
    assert found["∂ℒ/∂W⁽¹⁾"].tolist() == exact.dW[1]
    assert found["(W⁽¹⁾)′"].tolist() == exact.updated[0].W
    assert found["(b⁽²⁾)′"].ravel().tolist() == exact.updated[1].b


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n != "softmax"])
def test_slopes_are_derivatives(name: str) -> None:
    """Every way of writing f′ is the derivative that autodiff gives."""
    row, z, a = ACTIVATIONS[name], Atom("z"), Atom("a")
    points = np.array([-2.0, -0.3, 0.0, 0.7, 3.0])
    numbers = {z: Quantity(points[None], COLUMNS)}
    numbers[a] = Quantity(computed(row.of(z), numbers), COLUMNS)
    if row.meaning is not None:
        close(computed(row.meaning(z), numbers), numbers[a].array)
    module = getattr(nn, row.module)()
    slope = cr.grad(lambda t: module(t).sum())(cr.tensor(points[None])).numpy()
    for side in (*row.derived(z, a), row.slope(z)):
        close(computed(side, numbers), slope)


# -- what is given -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "what", "mark", "fix"),
    [
        ("2-3tnah-1", "no activation 'tnah'", "   ^^^^", "2-3tanh-1"),
        ("2--1", "size is missing", "  ^", "2-1"),
        ("2,3,1", "its activation behind it", "^^^^^", "2-3-1"),
        ("2sigmoid-1", "input has no activation", " ^^^^^^^", "2-1"),
        ("2-1softmax", "always 1", "  ^^^^^^^^", "2-1sigmoid"),
        ("2-0-1", "cannot have this size", "  ^", "2-1-1"),
        ("2-leaky3-1", "its activation behind it", "  ^^^^^^", "2-3-1"),
        ("3", "at least one layer", "^", "2-3tanh-1sigmoid"),
        ("", "size is missing", "^", "2-3tanh-1sigmoid"),
        ("2-" * 30 + "1", "too deep", "^", "2-3tanh-1sigmoid"),
    ],
)
def test_a_description_that_cannot_be_read(
    spec: str, what: str, mark: str, fix: str
) -> None:
    with pytest.raises(ParseError) as error:
        derive(spec)
    message = str(error.value)
    assert what in message
    assert f"{fix}" in (error.value.fix or "")
    assert error.value.got is not None
    assert error.value.got.split("\n")[1].startswith(mark)
    parse(fix)


@given(st.text(alphabet="0123456789-abtnhsigmoidreluσ _,→\n", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    network, fix = None, None
    try:
        network = parse(text)
    except ParseError as error:
        fix = error.fix
    assert fix or (network is not None and parse(str(network)) == network)


@pytest.mark.parametrize(
    ("spec", "loss", "what"),
    [
        ("2-2", "cross_entropy", "softmax gives"),
        ("2-1softmax", "cross_entropy", "always 1"),
        ("2-1", "binary_cross_entropy", "from sigmoid"),
        ("2-1sigmoid", "hinge", "raw score"),
        ("2-1", "msee", "no such loss"),
        ("2-1", 3, "not known here"),
        ("2-1", nn.MSELoss(reduction="sum"), "without their options"),
        ("2-2softmax", nn.CrossEntropyLoss(), "takes scores"),
        (3, "mse", "described in words"),
        (nn.Sequential(nn.Conv2d(1, 1, 1)), "mse", "z = W a"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.ReLU()), "mse", "z = W a"),
    ],
)
def test_what_does_not_fit_is_refused(spec: Any, loss: Any, what: str) -> None:
    with pytest.raises(ChainruleError, match=what):
        derive(spec, loss)


def test_elements_of_a_large_network_are_refused() -> None:
    with pytest.raises(ArgumentError, match="too long to read"):
        derive("9-9-9", elements=True)
    with pytest.raises(ArgumentError, match="one sample"):
        derive("2-2-1", batch=True, elements=True)


@pytest.mark.parametrize(
    ("weights", "x", "y", "what"),
    [
        ({"W1": [[1, 2]]}, [1, 2], [0], "needs its weights"),
        ({"W1": [[1, 2]], "b1": [0], "z1": [0]}, [1, 2], [0], "needs its weights"),
        ({"W1": [[1], [2]], "b2": [0]}, [1, 2], [0], "Nothing of this network"),
        ({"W1": [[1, 2, 3]], "b1": [0]}, [1, 2], [0], "another shape"),
        ({"W1": [[1, 2]], "b1": [0]}, [1, 2, 3], [0], "x does not fit"),
        ({"W1": [[1, 2]], "b1": [0]}, [1, 2], [0, 1], "y does not fit"),
        ({"W1": [[1, 2]], "b1": [0]}, [1, float("nan")], [0], "none"),
        ({"W1": [[1, 2]], "b1": [0]}, [[1, 2], [3, 4]], [0, 1], "one sample"),
        ({"W1": [[1], [2, 3]], "b1": [0]}, [1, 2], [0], "must be numbers"),
    ],
)
def test_numbers_that_do_not_fit(weights: Any, x: Any, y: Any, what: str) -> None:
    with pytest.raises(ChainruleError, match=what):
        derive("2-1").evaluate(weights, x, y)


def test_labels_that_are_none() -> None:
    weights = {"W1": np.ones((2, 1)), "b1": [0, 0]}
    with pytest.raises(ArgumentError, match="no such class"):
        derive("1-2softmax", "cross_entropy").evaluate(weights, [1], 2)
    with pytest.raises(ArgumentError, match="sum to 1"):
        derive("1-2softmax", "cross_entropy").evaluate(weights, [1], [1, 1])
    with pytest.raises(ArgumentError, match="y = 1 or −1") as error:
        derive("1-2", "hinge").evaluate(weights, [1], [0, 1])
    assert error.value.fix == "y = 2*y - 1"
    with pytest.raises(ArgumentError, match="0 to 1"):
        derive("1-2sigmoid", "bce").evaluate(weights, [1], [0, 2])
    with pytest.raises(ShapeError, match="y does not fit"):
        derive("1-2", batch=True).evaluate(weights, [[1], [2]], [1, 2, 3, 4])


def test_from_a_model() -> None:
    """A loss of scores applies the last activation itself."""
    inner = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Tanh())
    model = nn.Sequential(inner, nn.Identity(), nn.Linear(2, 2))
    network = network_of(model)
    assert network.paths == ("0.0", "2")
    assert network == Network((3, 2, 2), ("tanh", "identity"), (False, True))
    d = derive(model, nn.CrossEntropyLoss())
    assert str(d.network) == "3-2tanh-2softmax"
    assert "b1" not in d.formulas.all
    cr.manual_seed(0)
    x, y = np.random.default_rng(0).normal(size=3), 1
    e = cr.explain(model, x, y, nn.CrossEntropyLoss())
    found = d.evaluate(model, x, y)
    assert np.allclose(found["δ⁽¹⁾"], e.layer(1).delta, rtol=1e-5)
    assert d["0.0.weight"].sign == "←"
    assert d["2.bias.grad"].text() == "∂ℒ/∂b⁽²⁾ = δ⁽²⁾"


def test_every_spec_makes_its_module() -> None:
    for seed in range(20):
        network = parse(Drawn(np.random.default_rng(seed)).spec)
        assert network_of(network.module()) == network
        assert network_of(network.module()).paths == network.paths


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_by_their_modules(loss: str) -> None:
    drawn = Drawn(np.random.default_rng(3), loss=loss)
    assert derive(drawn.spec, LOSSES[loss]).loss == loss


# -- how it is shown -----------------------------------------------------------------


@pytest.fixture(scope="module")
def shown() -> Derivation:
    return derive("2-2tanh-2softmax", "cross_entropy", elements=True)


def test_every_step_has_a_reason_and_equations(shown: Derivation) -> None:
    assert [step.number for step in shown.steps] == [*range(1, len(shown.steps) + 1)]
    assert all(step.why and step.title and step.equations for step in shown.steps)
    remarks = [e.remark for e in shown.equations() if e.key.startswith("db")]
    assert remarks == ["added to Algorithm 1"] * 2


def test_all_forms(shown: Derivation, capsys: Any) -> None:
    page = shown.text(80)
    assert max(map(len, page.splitlines())) <= 100  # paths are not broken apart
    assert shown.to_html().count("<math") >= len(list(shown.equations()))
    assert "<h2>1. the network</h2>" in shown._repr_html_()
    assert shown.to_markdown().count("$$") == 2 * len(list(shown.equations()))
    latex = shown.to_latex()
    assert latex.isascii()
    assert latex.count(r"\begin{align*}") == len(list(shown.equations()))
    shown.show()
    assert capsys.readouterr().out.startswith("Back-propagation through 2 → 2 → 2")
    told = shown.to_json()
    assert told["layers"] == {"3.7": 2, "3.2.1": 3}
    assert told["steps"][0]["equations"][0]["latex"].startswith(r"\hat{y} = f_{2}(")
    assert repr(shown).startswith("<derivation of 2-2tanh-2softmax, cross_entropy: ")


def test_in_chinese() -> None:
    with language("zh"):
        d = derive("2-3relu-1sigmoid", "binary_cross_entropy")
    page = d.text(60)
    assert "2 → 3 → 1 的反向傳播" in page
    assert "鏈式法則" in page
    from chainrule.text.numbers import width

    assert max(width(line) for line in page.splitlines()) <= 60
    words = [s.title + s.why for s in d.steps]
    assert all(any("一" <= c <= "鿿" for c in text) for text in words)
