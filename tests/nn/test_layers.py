"""Linear, Embedding, Flatten and Dropout: numbers, settings, mistakes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.nn.first_use import Use, first_use
from tests.mistakes import explained

# -- Linear ---------------------------------------------------------------------------


def test_init_by_name_starts_the_bias_from_zero():
    cr.manual_seed(0)
    layer = nn.Linear(50, 30, init="orthogonal")
    w = layer.weight.numpy()
    np.testing.assert_allclose(w @ w.T, np.eye(30), atol=1e-6)
    assert not layer.bias.numpy().any()
    assert layer.settings()["init"] == "orthogonal"
    assert layer.weight.requires_grad


# -- Embedding ------------------------------------------------------------------------


def test_embedding_starts_from_normal_numbers():
    cr.manual_seed(0)
    w = nn.Embedding(300, 100).weight.numpy()
    assert abs(w.mean()) < 0.02
    assert w.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("module", "row", "use"),
    [
        (nn.Embedding(2, 2), (3,), Use.INDICES),
        (nn.Sequential(nn.Sequential(nn.Embedding(2, 2)), nn.Flatten()), (3,), "same"),
        (nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Embedding(2, 2)), (3,), "same"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), (2,), Use.FLOATS),
        (nn.Sequential(nn.Conv2d(1, 2, 3)), (1, 5, 5), Use.FLOATS),
        (nn.GRU(2, 2, batch_first=True), (4, 2), Use.FLOATS),
        (nn.Standardize.of([1.0, 2.0]), (1,), Use.CONVERTS),
        (nn.Sequential(), (2,), Use.ANY),
        (nn.Linear(2, 2), (3,), Use.REFUSES),
    ],
)
def test_what_reads_the_input_first(module: nn.Module, row: tuple, use: object):
    assert first_use(module, row) is (Use.INDICES if use == "same" else use)


# -- Flatten --------------------------------------------------------------------------


def test_flatten_over_any_number_of_samples():
    n = SymbolicDim("N")
    traced = []

    def function(x):
        traced.append(nn.Flatten()(x).shape)
        traced.append(nn.Flatten(0)(x).shape)
        return x

    from chainrule.compilation.tracing import Input, trace_entry

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


def test_a_padding_row_may_be_counted_from_the_end():
    """In the function as in the layer: without a gradient, and not in silence."""
    rows = [0, 2, 2]
    for padding, wanted in ((-1, [1, 0, 0]), (2, [1, 0, 0]), (-3, [0, 0, 2])):
        table = cr.tensor(np.ones((3, 1)), requires_grad=True)
        nn.functional.embedding(rows, table, padding).sum().backward()
        assert table.grad[:, 0].tolist() == wanted
        assert nn.Embedding(3, 1, padding).weight[padding].item() == 0


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


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "nn.Linear(2.0, 3)": "in_features",
        "nn.Dropout('0.5')": r"0 ≤ p ≤ 1.*'0.5'",
        "nn.functional.dropout([1.0], 1.5)": "0 ≤ p ≤ 1",
        "nn.functional.dropout([1.0], -0.5, False)": "-0.5",
        "nn.LeakyReLU('a')": "finite negative_slope",
        "nn.ELU(float('inf'))": "finite alpha",
        "nn.LayerNorm(2, eps=-1e-05)": r"eps ≥ 0.*-1e-05",
        "nn.BatchNorm1d(2, eps=None)": "finite eps",
        "nn.LayerNorm((True, 2))": "normalized_shape ≥ 1",
        "nn.Linear(2, 2, init='xavier_unifrom')": r"did you mean 'xavier_uniform'",
        "nn.Linear(True, 3)": "in_features",
        "nn.Embedding(0, 3)": "num_embeddings",
        "nn.Embedding(3, 2.5)": "embedding_dim",
        "nn.Sequential(nn.Embedding(3, 2))([[0, 1], [3, 0]])": r"from 0 to 3",
        "nn.Embedding(3, 2)([-1])": "from -1 to -1",
        "nn.Embedding(3, 2, padding_idx=-4)": "from -3 to 2.*padding_idx=-4",
        "nn.Embedding(3, 2, padding_idx=3)": "from -3 to 2.*padding_idx=3",
        "nn.Embedding(1, 2, padding_idx=1)": "from -1 to 0.*padding_idx=1",
        "nn.Embedding(3, 2, padding_idx=1.0)": "padding_idx=1.0",
        "nn.functional.embedding([0], np.ones((3, 2)), 17)": "padding_idx=17",
        "nn.Dropout(-0.1)": "0 ≤ p ≤ 1",
    },
    DTypeError: {
        "nn.Linear(2, 3)(cr.tensor(np.ones((1, 2))))": "float32",
        "nn.Embedding(3, 2)([1.0, 2.0])": r"integers.*float32.*astype\('int64'\)",
    },
    ShapeError: {
        "nn.Sequential(nn.Linear(4, 3))(cr.tensor([[1.0, 2.0]]))": r"Linear '0'",
        "nn.Flatten()(cr.tensor([1.0]))": r"at least 2 axes.*\(1,\)",
        "nn.functional.embedding([0], np.ones(3))": r"\(V, d\).*\(3,\)",
        "nn.functional.embedding([0], np.ones((3, 2, 2)))": r"\(V, d\).*\(3, 2, 2\)",
        "nn.Flatten(3)(cr.tensor([[1.0]]))": "at least 4 axes",
        "nn.Flatten(1, 0)(cr.tensor([[1.0]]))": "merges axes 1",
    },
}


test_mistakes_are_explained = explained(MISTAKES, globals())
