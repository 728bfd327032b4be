"""Linear, Embedding, Flatten and Dropout: numbers, settings, mistakes."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.nn import functional

ENGINES = ["numpy"]
if importlib.util.find_spec("llvmlite") is not None:
    ENGINES.append("native")


# -- Linear ---------------------------------------------------------------------------


def test_init_by_name_starts_the_bias_from_zero():
    cr.manual_seed(0)
    layer = nn.Linear(50, 30, init="orthogonal")
    w = layer.weight.numpy()
    np.testing.assert_allclose(w @ w.T, np.eye(30), atol=1e-6)
    assert not layer.bias.numpy().any()
    assert layer.settings()["init"] == "orthogonal"
    assert layer.weight.requires_grad


def test_the_default_is_uniform_for_both():
    cr.manual_seed(0)
    layer = nn.Linear(400, 300)
    assert layer.settings()["init"] is None
    for p in layer.parameters():
        assert abs(p.numpy()).max() <= 1 / 20
        assert p.numpy().std() == pytest.approx(1 / 20 / np.sqrt(3), rel=0.1)


def test_functional_linear_is_the_layer():
    layer = nn.Linear(3, 2)
    x = cr.tensor(np.random.default_rng(0).random((2, 4, 3)), dtype="float32")
    made = functional.linear(x, layer.weight, layer.bias)
    np.testing.assert_array_equal(made.numpy(), layer(x).numpy())
    bare = functional.linear([1.0, 2.0, 3.0], layer.weight)
    np.testing.assert_allclose(
        bare.numpy(), layer.weight.numpy() @ np.array([1, 2, 3.0]), rtol=1e-6
    )


# -- Embedding ------------------------------------------------------------------------


def test_embedding_is_a_linear_layer_on_one_hot_rows():
    cr.manual_seed(0)
    table = nn.Embedding(5, 3, dtype="float64")
    index = np.array([[4, 0, 4], [1, 1, 1]])
    y = table(cr.tensor(index))
    one_hot = np.eye(5)[index]
    np.testing.assert_array_equal(y.numpy(), one_hot @ table.weight.numpy())
    g = np.random.default_rng(0).normal(size=(2, 3, 3))
    y.backward(g)
    wanted = np.einsum("nkv,nkd->vd", one_hot, g)
    np.testing.assert_allclose(table.weight.grad.numpy(), wanted, rtol=1e-14)
    assert not table.weight.grad.numpy()[[2, 3]].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_embedding_on_engines(engine):
    table = nn.Embedding(7, 4)
    index = cr.tensor([6, 2, 6])

    def both(i):
        loss = (table(i) * table(i)).sum()
        loss.backward()
        return loss, table.weight.grad

    loss, slope = cr.compile(both, engine=engine)(index)
    rows = table.weight.numpy()[[6, 2, 6]]
    assert float(loss) == pytest.approx(float((rows**2).sum()), rel=1e-5)
    wanted = np.zeros((7, 4), np.float32)
    np.add.at(wanted, [6, 2, 6], 2 * rows)
    np.testing.assert_allclose(slope.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", ["uint8", "int32", "int64"])
def test_any_integers_index(kind):
    table = nn.Embedding(3, 2)
    made = table(cr.tensor(np.array([2, 0], kind))).numpy()
    np.testing.assert_array_equal(made, table.weight.numpy()[[2, 0]])


def test_embedding_starts_from_normal_numbers():
    cr.manual_seed(0)
    w = nn.Embedding(300, 100).weight.numpy()
    assert abs(w.mean()) < 0.02
    assert w.std() == pytest.approx(1, abs=0.02)


def test_who_takes_indices():
    assert nn.Embedding(2, 2).takes_indices()
    assert nn.Sequential(
        nn.Sequential(nn.Embedding(2, 2)), nn.Flatten()
    ).takes_indices()
    assert not nn.Sequential(nn.Linear(2, 2), nn.ReLU()).takes_indices()
    assert not nn.Sequential().takes_indices()


# -- Flatten --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [((), (2, 60)), ((0,), (120,)), ((1, 2), (2, 12, 5)), ((-2, -1), (2, 3, 20))],
)
def test_flatten(arguments, wanted):
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    made = nn.Flatten(*arguments)(cr.tensor(x))
    assert made.shape == wanted
    np.testing.assert_array_equal(made.numpy().ravel(), x.ravel())


def test_flatten_over_any_number_of_samples():
    n = SymbolicDim("N")
    traced = []

    def function(x):
        traced.append(nn.Flatten()(x).shape)
        traced.append(nn.Flatten(0)(x).shape)
        return x

    from chainrule.tracing import Input, trace_entry

    trace_entry("main", function, [Input("x", ArrayType((n, 28, 28), DType.float32))])
    assert traced == [(n, 784), (784 * n,)]


# -- Dropout --------------------------------------------------------------------------


def test_dropout_in_prediction_is_nothing():
    x = cr.tensor([1.0, 2.0])
    assert nn.Dropout(0.5).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x


def test_dropout_of_hardly_any_and_of_nearly_all():
    x = cr.tensor(np.ones(100))
    np.testing.assert_allclose(nn.Dropout(1e-12)(x).numpy(), 1)
    assert not nn.Dropout(1 - 1e-12)(x).numpy().any()


def test_gradient_of_dropout_has_the_same_mask():
    cr.manual_seed(0)
    x = cr.tensor(np.ones(1000), requires_grad=True)
    y = nn.Dropout(0.3)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert 200 < (y.numpy() == 0).sum() < 400


# -- settings and mistakes ------------------------------------------------------------


def test_sizes_may_be_numpys_integers():
    """nn.Linear(64, y.max() + 1) is how many write it."""
    three = np.int64(3)
    for module in (
        nn.Linear(three, np.uint8(2)),
        nn.Embedding(three, three),
        nn.BatchNorm1d(three),
        nn.LayerNorm((three, 2)),
        nn.Standardize(three),
        nn.Perceptron(three),
    ):
        json.dumps(module.settings())


@pytest.mark.parametrize(
    "make",
    [
        lambda **o: nn.Linear(2, 2, **o),
        lambda **o: nn.Embedding(2, 2, **o),
        lambda **o: nn.Perceptron(2, **o),
        lambda **o: nn.LayerNorm(2, **o),
        lambda **o: nn.BatchNorm1d(2, **o),
        lambda **o: nn.Standardize(2, **o),
    ],
)
def test_dtypes_of_layers(make):
    for dtype in (cr.float64, "float64", np.float64):
        (first, *_) = make(dtype=dtype).state_dict().values()
        assert first.dtype == np.float64
    with pytest.raises(DTypeError, match=r"floating-point[\s\S]*float64[\s\S]*int32"):
        make(dtype="int32")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.Linear(2.0, 3), ArgumentError, "in_features"),
        (lambda: nn.Dropout("0.5"), ArgumentError, r"0 ≤ p < 1[\s\S]*'0.5'"),
        (lambda: functional.dropout([1.0], 1.0), ArgumentError, "0 ≤ p < 1"),
        (lambda: functional.dropout([1.0], -0.5, False), ArgumentError, "-0.5"),
        (lambda: nn.LeakyReLU("a"), ArgumentError, "finite negative_slope"),
        (lambda: nn.ELU(float("inf")), ArgumentError, "finite alpha"),
        (lambda: nn.LayerNorm(2, eps=-1e-5), ArgumentError, r"eps ≥ 0[\s\S]*-1e-05"),
        (lambda: nn.BatchNorm1d(2, eps=None), ArgumentError, "finite eps"),
        (lambda: nn.LayerNorm((True, 2)), ArgumentError, "normalized_shape ≥ 1"),
        (
            lambda: nn.Linear(2, 2, init="xavier_unifrom"),
            ArgumentError,
            r"orthogonal[\s\S]*did you mean 'xavier_uniform'",
        ),
        (lambda: nn.Linear(True, 3), ArgumentError, "in_features"),
        (lambda: nn.Embedding(0, 3), ArgumentError, "num_embeddings"),
        (lambda: nn.Embedding(3, 2.5), ArgumentError, "embedding_dim"),
        (
            lambda: nn.Sequential(nn.Embedding(3, 2))([[0, 1], [3, 0]]),
            ArgumentError,
            r"Embedding '0'[\s\S]*from 0 to 2[\s\S]*from 0 to 3",
        ),
        (lambda: nn.Embedding(3, 2)([-1]), ArgumentError, "from -1 to -1"),
        (
            lambda: nn.Embedding(3, 2)([1.0, 2.0]),
            DTypeError,
            r"integers[\s\S]*float32[\s\S]*astype\('int64'\)",
        ),
        (
            lambda: nn.Flatten()(cr.tensor([1.0])),
            ShapeError,
            r"at least 2 axes[\s\S]*\(1,\)",
        ),
        (lambda: nn.Flatten(3)(cr.tensor([[1.0]])), ShapeError, "at least 4 axes"),
        (lambda: nn.Flatten(1, 0)(cr.tensor([[1.0]])), ShapeError, "merges axes 1"),
        (lambda: nn.Dropout(-0.1), ArgumentError, "0 ≤ p < 1"),
    ],
)
def test_mistakes_are_explained(call, error, words):
    with pytest.raises(error, match=words):
        call()
