"""The textbook's networks, against numbers worked out without Chainrule."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.explanation import example

# -- 3.2.2 and 3.7: two inputs, two sigmoid neurons, one output, ½(ŷ − y)² ------------
# tests/textbook has its numbers.


@pytest.fixture(scope="module")
def small():
    return example()


def test_its_formulas(small):
    assert small.texts == {"loss": "ℒ = ½ (ŷ − y)²"}
    assert small.layer(1).texts == {
        "z": "z⁽¹⁾ = W⁽¹⁾ x + b⁽¹⁾",
        "a": "a⁽¹⁾ = σ(z⁽¹⁾)",
        "gradient": "∂ℒ/∂a⁽¹⁾ = (W⁽²⁾)ᵀ δ⁽²⁾",
        "slope": "f′(z⁽¹⁾) = a⁽¹⁾ ⊙ (1 − a⁽¹⁾)",
        "delta": "δ⁽¹⁾ = ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾) = ∂ℒ/∂a⁽¹⁾ ⊙ a⁽¹⁾ ⊙ (1 − a⁽¹⁾)",
        "dW": "∂ℒ/∂W⁽¹⁾ = δ⁽¹⁾ xᵀ",
        "db": "∂ℒ/∂b⁽¹⁾ = δ⁽¹⁾",
    }
    assert small.layer(2).texts == {
        "z": "z⁽²⁾ = W⁽²⁾ a⁽¹⁾ + b⁽²⁾",
        "a": "ŷ = a⁽²⁾ = σ(z⁽²⁾)",
        "gradient": "∇_ŷ ℒ = ŷ − y",
        "slope": "f′(z⁽²⁾) = ŷ ⊙ (1 − ŷ)",
        "delta": "δ⁽²⁾ = ∇_ŷ ℒ ⊙ f′(z⁽²⁾) = ∇_ŷ ℒ ⊙ ŷ ⊙ (1 − ŷ)",
        "dW": "∂ℒ/∂W⁽²⁾ = δ⁽²⁾ (a⁽¹⁾)ᵀ",
        "db": "∂ℒ/∂b⁽²⁾ = δ⁽²⁾",
    }
    assert small.layer(2).formulas["dW"] == (
        r"\frac{\partial \mathcal{L}}{\partial W^{(2)}}"
        r" = \delta^{(2)} (a^{(1)})^{T}"
    )
    assert small.formulas["loss"] == r"\mathcal{L} = \frac{1}{2} (\hat{y} - y)^{2}"


def test_its_page(small):
    page = small.text(width=88)
    worked = [
        "Network 2 → 2 → 1",
        "Layers counted as the book does in 3.7: 2; with the input, as in 3.2.1: 3.",
        "  z⁽¹⁾ = W⁽¹⁾ x + b⁽¹⁾",
        "       = ⎡ 0.1  0.4⎤ ⎡1.0⎤ + ⎡ 0.1⎤ = ⎡ 0.40⎤",
        "         ⎣-0.2  0.3⎦ ⎣0.5⎦   ⎣-0.1⎦   ⎣-0.15⎦",
        "           = -0.1098 [0.5987  0.4626] = [-0.06576  -0.05081]",
        "       = ⎡-0.05492⎤ ⊙ ⎡0.5987⎤ ⊙ ⎛1 − ⎡0.5987⎤⎞ = ⎡-0.01319⎤",
        "(added to Algorithm 1)",
        "layer 1 of 2 · 0.weight, 0.bias",
        "One sample, a column",
    ]
    for line in worked:
        assert line in page
    assert page.splitlines()[-1].strip().startswith("checked: ")
    assert "\x1b" not in page
    assert not any("\\" in line for line in page.splitlines())


# -- 3.2.3: 784-128-64-10 with cross-entropy -------------------------------------------


@pytest.fixture(scope="module")
def digits():
    cr.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    rng = np.random.default_rng(0)
    x = rng.random((5, 784), np.float32) * (rng.random((5, 784)) < 0.2)
    y = np.array([7, 2, 1, 0, 4])
    e = cr.explain(model, x, y, nn.CrossEntropyLoss())
    return e, model.state_dict(), x.astype(np.float64), y


def test_the_formulas_of_the_digits_network(digits):
    e, *_ = digits
    assert e.texts == {"loss": "ℒ = mean(−ln softmax(z⁽³⁾)_y)"}
    assert e.layer(1).texts == {
        "z": "z⁽¹⁾ = W⁽¹⁾ x + b⁽¹⁾",
        "a": "a⁽¹⁾ = max(z⁽¹⁾, 0)",
        "gradient": "∂ℒ/∂a⁽¹⁾ = (W⁽²⁾)ᵀ δ⁽²⁾",
        "slope": "f′(z⁽¹⁾) = [z⁽¹⁾ > 0]",
        "delta": "δ⁽¹⁾ = ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾) = ∂ℒ/∂a⁽¹⁾ ⊙ [z⁽¹⁾ > 0]",
        "dW": "∂ℒ/∂W⁽¹⁾ = δ⁽¹⁾ xᵀ",
        "db": "∂ℒ/∂b⁽¹⁾ = ∑ₛ δ⁽¹⁾",
    }
    assert e.layer(2).texts["slope"] == "f′(z⁽²⁾) = [z⁽²⁾ > 0]"
    assert e.layer(2).texts["dW"] == "∂ℒ/∂W⁽²⁾ = δ⁽²⁾ (a⁽¹⁾)ᵀ"
    assert e.layer(3).texts == {
        "z": "z⁽³⁾ = W⁽³⁾ a⁽²⁾ + b⁽³⁾",
        "a": "a⁽³⁾ = z⁽³⁾",
        "prediction": "ŷ = softmax(z⁽³⁾)",
        "delta": "δ⁽³⁾ = Jᵀ ∇_ŷ ℒ = (ŷ − y)/n",
        "dW": "∂ℒ/∂W⁽³⁾ = δ⁽³⁾ (a⁽²⁾)ᵀ",
        "db": "∂ℒ/∂b⁽³⁾ = ∑ₛ δ⁽³⁾",
    }
    assert e.formulas["loss"] == (
        r"\mathcal{L} = \operatorname{mean}(-\ln"
        r" \operatorname{softmax}(z^{(3)})_{y})"
    )
    delta = r"\delta^{(3)} = J^{T} \nabla_{\hat{y}} \mathcal{L} = (\hat{y} - y) / n"
    assert e.layer(3).formulas["delta"] == delta


def test_softmax_is_explained_as_no_elementwise_function(digits):
    e, *_ = digits
    (note,) = e.layer(3).section.notes
    assert "Jᵀ ∇_ŷ ℒ" in note
    assert "ŷ − y" in note


@pytest.mark.parametrize("truth", [1, [0.0, 1.0, 0.0], [0, 1, 0]])
def test_the_books_network_ends_in_softmax(truth):
    """3.2.3: δ = Jᵀ ∇_ŷ ℒ, which comes to ŷ − y, from probabilities too."""
    model = nn.Sequential(nn.Linear(1, 3, dtype="float64"), nn.Softmax())
    model.load_state_dict({"0.weight": [[1.0], [2.0], [0.5]], "0.bias": [0, 0, 0]})
    one = cr.explain(model[:1], [1.0], 1, nn.CrossEntropyLoss())
    assert one.texts["loss"] == "ℒ = −ln softmax(z⁽¹⁾)_y"
    assert one.layer(1).texts["delta"] == "δ⁽¹⁾ = Jᵀ ∇_ŷ ℒ = ŷ − y"
    e = cr.explain(model, [1.0], truth, nn.CrossEntropyLoss(from_logits=False))
    layer = e.layer(1)
    np.testing.assert_allclose(layer.delta, [[0.231], [-0.371], [0.140]], atol=5e-4)
    np.testing.assert_allclose(layer.a.sum(), 1)
    assert layer.texts["a"] == "ŷ = a⁽¹⁾ = softmax(z⁽¹⁾)"
    assert layer.texts["delta"] == "δ⁽¹⁾ = Jᵀ ∇_ŷ ℒ = ŷ − y"
    assert "comes to ŷ − y" in layer.section.notes[0]
    assert "from the scores" in e.text()
    (gradient,) = (q.array for s, q in e.numbers.items() if str(s) == "∇_ŷ ℒ")
    np.testing.assert_allclose(gradient[0, 1], -1 / layer.a[1, 0])
    assert e.check().ok


def test_a_sigmoid_in_front_of_binary_cross_entropy():
    model = nn.Sequential(nn.Linear(1, 1, dtype="float64"), nn.Sigmoid())
    e = cr.explain(model, [[1.0], [2.0]], [[1.0], [0.0]], nn.BCELoss())
    assert e.layer(1).texts["delta"] == "δ⁽¹⁾ = (ŷ − y)/n"
    assert len(e.layer(1).section.notes) == 1  # the bias
    assert e.check().ok


def test_a_normalisation_in_front_of_the_softmax_of_the_book():
    """∇_ŷ ℒ comes through both: first to ẑ, then to z."""
    cr.manual_seed(0)
    norm = nn.LayerNorm(3, dtype="float64")
    model = nn.Sequential(nn.Linear(2, 3, dtype="float64"), norm, nn.Softmax())
    x, y = [[1.0, 2.0], [0.5, -1.0]], [2, 0]
    e = cr.explain(model, x, y, nn.CrossEntropyLoss(from_logits=False))
    texts = e.layer(1).texts
    assert texts["normalised_gradient"] == "∂ℒ/∂ẑ⁽¹⁾ = (ŷ − y)/n"
    assert texts["delta"] == "δ⁽¹⁾ = J_x̂ᵀ (γ⁽¹⁾ ⊙ ∂ℒ/∂ẑ⁽¹⁾)"
    assert e.check().ok


def test_large_arrays_are_summed_up(digits):
    e, *_ = digits
    page = e.text(width=88)
    assert "128 × 784" in page
    assert "⋱" in page
    assert "5 samples, a column each" in page
    assert "The 1/n of the mean is inside δ" in page
    assert "Layers counted as the book does in 3.7: 3; with the input" in page
    zeros = np.mean(e.layer(1).a == 0)
    assert f"zeros {zeros:.1%}" in page
