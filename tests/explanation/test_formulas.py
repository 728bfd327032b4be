"""Formulas: what they say, and that they compute the number beside them."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.explanation import example
from chainrule.notation.expressions import Atom
from chainrule.tensor import count_of
from tests.explanation.arithmetic import computed
from tests.explanation.networks import MSE, NETWORKS, Tied, linear, rng

#: The weights of two classes, as they stand on paper.
WEIGHT = np.array([[1.0], [3.0]])
KNOWN = {Atom("e"): np.e, Atom(r"\text{class\_weight}", "class_weight"): WEIGHT}


def explained():
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    for name in NETWORKS:
        if name != "dropout":
            yield name, cr.explain(NETWORKS[name], x, y, MSE)
    a, b = linear(3, 4, 2)
    relu = nn.Sequential(a, nn.ReLU(), b)
    cross_entropy = nn.CrossEntropyLoss()
    yield "classes", cr.explain(relu, x, [0, 1, 1, 0], cross_entropy)
    yield "one sample", cr.explain(relu, x[:1], [1], cross_entropy)
    ends = nn.Sequential(a, nn.ReLU(), b, nn.Softmax())
    for kind, truth in (("labels", [0, 1, 1, 0]), ("rows", np.eye(2)[[0, 1, 1, 0]])):
        for name, options in (
            ("plain", {}),
            ("smoothed", {"label_smoothing": 0.25}),
            ("weighted", {"weight": WEIGHT[:, 0]}),
        ):
            loss = nn.CrossEntropyLoss(from_logits=False, **options)
            yield f"softmax, {kind}, {name}", cr.explain(ends, x, truth, loss)
    sigmoid_end = nn.Sequential(*linear(3, 1), nn.Sigmoid())
    halves = [[0.0], [1.0], [0.5], [1.0]]
    yield "sigmoid and BCE", cr.explain(sigmoid_end, x, halves, nn.BCELoss())
    rows = cr.explain(relu, x, y, lambda p, t: ((p - t) ** 2).sum(dim=1).mean())
    yield "sum, then mean", rows
    yield "tied", cr.explain(Tied(), x, rng.normal(size=(4, 3)), MSE)
    yield "2-2-1", example()


EXPLAINED = dict(explained())


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_formula_computes_the_number_beside_it(name):
    e = EXPLAINED[name]
    seen = 0
    for equations in (e.equations, *(layer.equations for layer in e.layers)):
        for part, formula in equations.items():
            if part in ("slope", "recursion"):  # they name f′ and J, not numbers
                continue
            shown = e.loss if part == "loss" else e.numbers[formula.name]
            found = computed(formula.sides[-1], {**KNOWN, **e.numbers}, np.matmul)
            np.testing.assert_allclose(
                found, shown, rtol=1e-9, atol=1e-12, err_msg=formula.text()
            )
            seen += 1
    assert seen >= 4 * len(e.layers)


@pytest.mark.parametrize(
    ("name", "number", "part", "text"),
    [
        ("softmax", 1, "gradient", "∂ℒ/∂a⁽¹⁾ = (W⁽²⁾)ᵀ δ⁽²⁾"),
        ("softmax", 1, "recursion", "δ⁽¹⁾ = Jᵀ ((W⁽²⁾)ᵀ δ⁽²⁾)"),
        (
            "softmax",
            2,
            "delta",
            "δ⁽²⁾ = ŷ ⊙ (∇_ŷ ℒ − ∑ᵢ ∇_ŷ ℒ ⊙ ŷ)",
        ),
        ("no bias, no activation", 1, "a", "a⁽¹⁾ = z⁽¹⁾"),
        ("no bias, no activation", 1, "delta", "δ⁽¹⁾ = (W⁽²⁾)ᵀ δ⁽²⁾"),
        ("no bias, no activation", 2, "z", "z⁽²⁾ = W⁽²⁾ a⁽¹⁾"),
        ("residual", 2, "a", "a⁽²⁾ = a⁽¹⁾ + max(z⁽²⁾, 0)"),
        (
            "residual",
            1,
            "recursion",
            "δ⁽¹⁾ = ((W⁽³⁾)ᵀ δ⁽³⁾ + (W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾)",
        ),
        ("own layer", 1, "z", "z⁽¹⁾ = W⁽¹⁾ a⁽⁰⁾ + b⁽¹⁾"),
        ("own layer", 1, "dW", "∂ℒ/∂W⁽¹⁾ = δ⁽¹⁾ (a⁽⁰⁾)ᵀ"),
        (
            "own layer",
            1,
            "slope",
            "f′(z⁽¹⁾) = σ(z⁽¹⁾) + z⁽¹⁾ ⊙ σ(z⁽¹⁾) ⊙ (1 − σ(z⁽¹⁾))",
        ),
    ],
)
def test_formulas_of_other_networks(name, number, part, text):
    e = cr.explain(NETWORKS[name], rng.normal(size=(4, 3)), np.ones((4, 2)), MSE)
    assert e.layer(number).texts[part] == text


def test_two_samples_have_a_mean_and_one_has_none():
    model, loss = nn.Sequential(*linear(3, 2)), nn.CrossEntropyLoss()
    two, one = (cr.explain(model, np.ones((n, 3)), [1] * n, loss) for n in (2, 1))
    assert two.texts["loss"] == "ℒ = mean(−ln softmax(z⁽¹⁾)_y)"
    assert one.texts["loss"] == "ℒ = −ln softmax(z⁽¹⁾)_y"


@pytest.mark.parametrize(
    ("loss", "text", "delta"),
    [
        (lambda e: e.mean(), "mean((ŷ − y)²)", "(ŷ − y)/n"),
        (lambda e: e.sum(dim=1).mean(), "mean(∑ᵢ (ŷ − y)²)", "2 (ŷ − y)/n"),
        (lambda e: e.sum(dim=1).mean() * 0.5, "½ mean(∑ᵢ (ŷ − y)²)", "(ŷ − y)/n"),
        (lambda e: e.sum() * 0.5, "½ ∑ (ŷ − y)²", "ŷ − y"),
        (lambda e: e.sum() / 5, "∑ (ŷ − y)²/5", "0.4 (ŷ − y)"),
        (
            lambda e: e.sum() / count_of(e.shape[0], e.dtype),
            "∑ (ŷ − y)²/n",
            "2 (ŷ − y)/n",
        ),
        (lambda e: -e.sum(), "−∑ (ŷ − y)²", "−2 (ŷ − y)"),
    ],
)
def test_the_squared_losses_are_told_apart(loss, text, delta):
    model = nn.Sequential(*linear(3, 2))
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    e = cr.explain(model, x, y, lambda p, t: loss((p - t) * (p - t)))
    assert e.texts["loss"] == f"ℒ = {text}"
    assert e.layer(1).texts["delta"] == f"δ⁽¹⁾ = ∇_ŷ ℒ = {delta}"
    np.testing.assert_allclose(
        computed(e.equations["loss"].sides[-1], e.numbers, np.matmul), e.loss, 1e-12
    )
    mean = "mean" in text or "/n" in text
    assert ("1/n of the mean" in " ".join(str(e).split())) == mean
