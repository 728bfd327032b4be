"""Networks with other layers than neurons: normalisation, dropout, tables, scaling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.explanation.derivation import (
    BIAS_IN_VAIN,
    DROPOUT_NOTE,
    NORMALISED_NOTE,
)
from tests.explanation.networks import MSE

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])


def network(*between, bias=True):
    cr.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4, bias=bias, dtype="float64"),
        *between,
        nn.Linear(4, 2, dtype="float64"),
    )


def explained(*between, **options):
    return cr.explain(network(*between, **options), X, Y, nn.CrossEntropyLoss())


SLOPES = {
    nn.LeakyReLU(): "1 if z⁽¹⁾ > 0 else 0.01",
    nn.GELU(): "Φ(z⁽¹⁾) + z⁽¹⁾ ⊙ φ(z⁽¹⁾)",
    nn.SiLU(): "σ(z⁽¹⁾) + z⁽¹⁾ ⊙ σ(z⁽¹⁾) ⊙ (1 − σ(z⁽¹⁾))",
    nn.Softplus(): "σ(z⁽¹⁾)",
    nn.ELU(0.5): "1 if z⁽¹⁾ > 0 else ½ e^(−max(−z⁽¹⁾, 0))",
    nn.Heaviside(): "0",
}


@pytest.mark.parametrize("activation", SLOPES, ids=repr)
def test_slopes_of_activations(activation):
    e = explained(activation)
    texts = e.layer(1).texts
    assert texts["slope"] == f"f′(z⁽¹⁾) = {SLOPES[activation]}"
    assert texts["recursion"] == "δ⁽¹⁾ = ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾)"
    assert e.check().ok
    assert e.text()


@pytest.mark.parametrize("activation", [nn.GELU("tanh"), nn.SELU(), nn.LogSoftmax()])
def test_other_activations_are_explained_and_check(activation):
    e = explained(activation)
    assert e.check().ok
    assert "…" not in e.layer(1).texts["a"]


def test_numbers_of_attributes_stand_in_the_formula():
    assert "else 0.3 z⁽¹⁾" in explained(nn.LeakyReLU(0.3)).layer(1).texts["a"]
    assert "½ (e^z⁽¹⁾ − 1)" in explained(nn.ELU(0.5)).layer(1).texts["a"]


@pytest.mark.parametrize("kind", ["Batch", "Layer"])
def test_normalisation_has_a_jacobian_and_no_slope(kind):
    layer = nn.BatchNorm1d if kind == "Batch" else nn.LayerNorm
    norm = layer(4, dtype="float64")
    rng = np.random.default_rng(1)
    for p in norm.parameters():
        p.copy_(rng.normal(size=4))
    e = explained(norm, nn.ReLU())
    first, i = e.layer(1), "ₛ" if kind == "Batch" else "ᵢ"
    centred = f"(z⁽¹⁾ − mean{i}(z⁽¹⁾))/√(var{i}(z⁽¹⁾) + 10⁻⁵)"
    assert first.texts == first.texts | {
        "normalised": f"ẑ⁽¹⁾ = γ⁽¹⁾ ⊙ {centred} + β⁽¹⁾",
        "a": "a⁽¹⁾ = max(ẑ⁽¹⁾, 0)",
        "slope": "f′(ẑ⁽¹⁾) = [ẑ⁽¹⁾ > 0]",
        "normalised_recursion": "∂ℒ/∂ẑ⁽¹⁾ = ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(ẑ⁽¹⁾)",
        "normalised_gradient": "∂ℒ/∂ẑ⁽¹⁾ = ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ [ẑ⁽¹⁾ > 0]",
        "recursion": "δ⁽¹⁾ = Jᵀ (∂ℒ/∂ẑ⁽¹⁾)",
        "delta": "δ⁽¹⁾ = J_x̂ᵀ (γ⁽¹⁾ ⊙ ∂ℒ/∂ẑ⁽¹⁾)",
    }
    what = "the samples" if kind == "Batch" else "the features"
    assert NORMALISED_NOTE.format(kind=kind, what=what) in first.notes
    assert e.check().ok
    # By hand, with samples as columns: what the note says about J.
    axis = 1 if kind == "Batch" else 0
    z, second = first.z, e.layer(2)
    deviation = np.sqrt(z.var(axis, keepdims=True) + 1e-5)
    hat = (z - z.mean(axis, keepdims=True)) / deviation
    gamma, beta = (p.numpy()[:, None] for p in norm.parameters())
    z_hat = gamma * hat + beta
    np.testing.assert_allclose(first.a, np.maximum(z_hat, 0), rtol=1e-13, atol=1e-14)
    g = gamma * (second.W.T @ second.delta) * (z_hat > 0)
    turn = (g * hat).mean(axis, keepdims=True)
    wanted = (g - g.mean(axis, keepdims=True) - hat * turn) / deviation
    np.testing.assert_allclose(first.delta, wanted, rtol=1e-12, atol=1e-14)


def test_a_bias_in_front_of_batch_normalisation_is_in_vain():
    e = explained(nn.BatchNorm1d(4, dtype="float64"))
    assert BIAS_IN_VAIN in e.layer(1).notes
    np.testing.assert_allclose(e.layer(1).db, 0, rtol=0, atol=1e-16)
    assert e.check().ok  # although nothing but rounding is left of it
    without = explained(nn.BatchNorm1d(4, dtype="float64"), bias=False)
    assert BIAS_IN_VAIN not in without.layer(1).notes
    by_layer = explained(nn.LayerNorm(4, dtype="float64"))
    assert BIAS_IN_VAIN not in by_layer.layer(1).notes


def test_normalisation_behind_the_activation():
    e = explained(nn.Tanh(), nn.LayerNorm(4, dtype="float64"))
    texts = e.layer(1).texts
    centred = "(tanh z⁽¹⁾ − meanᵢ(tanh z⁽¹⁾))/√(varᵢ(tanh z⁽¹⁾) + 10⁻⁵)"
    assert texts["a"] == f"a⁽¹⁾ = γ⁽¹⁾ ⊙ {centred} + β⁽¹⁾"
    assert texts["recursion"] == "δ⁽¹⁾ = Jᵀ ((W⁽²⁾)ᵀ δ⁽²⁾)"
    assert "J_x̂ᵀ (γ⁽¹⁾ ⊙ ∂ℒ/∂a⁽¹⁾)" in texts["delta"]
    assert e.check().ok


def test_explaining_leaves_the_running_statistics():
    model = network(nn.BatchNorm1d(4, dtype="float64"), nn.ReLU())
    before = model.state_dict()
    cr.explain(model, X, Y, nn.CrossEntropyLoss())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_batch_normalisation_as_it_predicts_is_elementwise():
    model = network(nn.BatchNorm1d(4, dtype="float64"), nn.ReLU())
    model.eval()
    e = cr.explain(model, X, Y, nn.CrossEntropyLoss())
    assert "f′(z⁽¹⁾)" in e.layer(1).texts["recursion"]
    assert "1.running_var" in e.layer(1).texts["a"]
    assert e.check().ok


def test_dropout_shows_its_mask():
    e = explained(nn.ReLU(), nn.Dropout(0.5))
    first = e.layer(1)
    assert first.texts["a"] == "a⁽¹⁾ = 2 max(z⁽¹⁾, 0) ⊙ m⁽¹⁾"
    assert DROPOUT_NOTE in first.notes
    (mask,) = (a for s, a in e.numbers.items() if s.text() == "m⁽¹⁾")
    np.testing.assert_array_equal(first.a, 2 * np.maximum(first.z, 0) * mask)
    assert e.check().ok
    model = network(nn.ReLU(), nn.Dropout(0.5))
    model.eval()
    assert not cr.explain(model, X, Y, nn.CrossEntropyLoss()).layer(1).notes


def test_notes_are_printed_once():
    cr.manual_seed(0)
    model = nn.Sequential(
        *(
            module
            for n in (3, 4, 4)
            for module in (nn.Linear(n, 4), nn.LayerNorm(4), nn.ReLU(), nn.Dropout(0.1))
        ),
        nn.Linear(4, 2),
    )
    page = cr.explain(model, X, Y, nn.CrossEntropyLoss()).text(4000)
    assert page.count(DROPOUT_NOTE) == 1
    assert page.count("Layer normalisation mixes") == 1


def test_a_table_of_rows_is_the_input_of_the_first_layer():
    model = nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Linear(6, 2))
    index = np.array([[0, 1, 2], [3, 4, 0]])
    e = cr.explain(model, index, [0, 1], nn.CrossEntropyLoss())
    assert e.texts["input"] == "a⁽⁰⁾ = 0.weight[x]"
    rows = model[0].weight.numpy()[index].reshape(2, 6)
    np.testing.assert_array_equal(e.layer(1).input, rows.T)
    assert e.check().ok


def test_scaling_at_both_ends():
    y = rng.normal(100.0, 20.0, (6, 1))
    cr.manual_seed(0)
    model = nn.Sequential(
        nn.Standardize.of(X, dtype="float64"),
        nn.Linear(3, 1, dtype="float64"),
        nn.Unstandardize.of(y, dtype="float64"),
    )
    e = cr.explain(model, X, y, MSE)
    assert e.texts["input"] == "a⁽⁰⁾ = (x − 0.mean)/0.std"
    assert e.layer(1).texts["a"] == "ŷ = a⁽¹⁾ = z⁽¹⁾ ⊙ 2.std + 2.mean"
    assert e.check().ok


def test_a_deep_network_with_everything():
    cr.manual_seed(0)
    sizes = [20, 16, 16, 8, 8, 5]
    layers = []
    for n, m in itertools.pairwise(sizes):
        layers.append(nn.Linear(n, m, init="he_normal"))
        if m != 5:
            layers += [nn.BatchNorm1d(m), nn.GELU(), nn.Dropout(0.2)]
    model = nn.Sequential(*layers)
    x = rng.normal(size=(12, 20))
    e = cr.explain(model, x, np.arange(12) % 5, nn.CrossEntropyLoss())
    assert len(e.layers) == 5
    for k in range(1, 5):
        texts = e.layer(k).texts
        assert "Φ(ẑ" in texts["a"]
        assert "J_x̂ᵀ" in texts["delta"]
        assert "…" not in "".join(texts.values())
    assert e.check().ok
    assert "ẑ⁽⁴⁾" in e.text()
