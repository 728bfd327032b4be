"""Layer and batch normalisation, and scaling by statistics of the data."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import (
    ArgumentError,
    ChainruleWarning,
    DTypeError,
    NonFiniteError,
    ShapeError,
)
from tests.mistakes import explained
from tests.ways import WAYS


def by_hand(x, axes, eps=1e-5):
    x = np.asarray(x, np.float64)
    mean = x.mean(axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps)


# -- batch normalisation --------------------------------------------------------------


def test_prediction_uses_the_running_statistics_and_leaves_them():
    layer = nn.BatchNorm1d(2, eps=0.0, dtype="float64").eval()
    layer.load_state_dict(
        layer.state_dict() | {"running_mean": [1.0, 2.0], "running_var": [4.0, 9.0]}
    )
    before = layer.state_dict()
    made = layer(cr.tensor(np.array([[3.0, 2.0], [1.0, -1.0], [7.0, 5.0]])))
    assert made.tolist() == [[1.0, 0.0], [0.0, -1.0], [3.0, 1.0]]
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_single_row_gives_beta_and_a_warning():
    layer = nn.BatchNorm1d(2)
    layer.bias.copy_([0.5, -1.0])
    before = layer.state_dict()
    x = cr.tensor([[3.0, 4.0]], requires_grad=True)
    with pytest.warns(ChainruleWarning, match=r"no variance[\s\S]*\(1, 2\)"):
        y = layer(x)
    assert y.tolist() == [[0.5, -1.0]]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0]]
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    layer(cr.tensor(np.ones((1, 2, 3), np.float32)))  # L = 3: three numbers a feature


def test_an_empty_batch_can_be_predicted():
    layer = nn.BatchNorm1d(2).eval()
    assert layer(cr.tensor(np.ones((0, 2), np.float32))).shape == (0, 2)


def test_a_last_batch_of_one_row_changes_no_statistics(engine):
    """One graph over N; what it gives for more rows is tested in test_engines.py."""
    layer = nn.BatchNorm1d(2)
    run = cr.compile(lambda x: layer(x), engine=engine, shapes={"x": ("N", 2)})
    slope = cr.grad(lambda x: run(x).sum())
    run(np.array([[1.0, 2.0], [3.0, 5.0], [8.0, 1.0]], np.float32))
    before, row = layer.state_dict(), cr.tensor([[3.0, 4.0]])
    assert run(row).tolist() == slope(row).tolist() == [[0, 0]]
    for name, wanted in layer.state_dict().items():
        np.testing.assert_array_equal(wanted, before[name])


@pytest.mark.parametrize("engine", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["layer", "batch"])
def test_far_out(kind, dtype, engine):
    """Numbers of ±10⁴, and rows or columns that are constant, in value and gradient."""
    x = np.array([[1e4, -1e4, 1e4], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]])
    g = np.array([[1.0, -2.0, 3.0], [0.5, 1.0, -1.0], [1.0, 2.0, 4.0]])
    if kind == "layer":
        layer, axes = nn.LayerNorm(3, dtype=dtype), (1,)
    else:
        layer, axes = nn.BatchNorm1d(3, dtype=dtype), (0,)

    def both(x, g):
        return layer(x), cr.grad(lambda t: (layer(t) * g).sum())(x)

    run = both if engine == "eager" else cr.compile(both, engine=engine)
    value, slope = run(cr.tensor(x, dtype=dtype), cr.tensor(g, dtype=dtype))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(value.numpy(), by_hand(x, axes), rtol=0, atol=8 * eps)
    # δ = (g − mean g − x̂ mean(g x̂)) / √(σ² + ε), worked out in float64.
    hat = by_hand(x, axes)
    deviation = np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    turn = (g * hat).mean(axes, keepdims=True)
    wanted = (g - g.mean(axes, keepdims=True) - hat * turn) / deviation
    atol = 32 * eps * max(1, abs(wanted).max())
    np.testing.assert_allclose(slope.numpy(), wanted, rtol=0, atol=atol)


# -- scaling by the data --------------------------------------------------------------


def test_standardize_makes_mean_0_and_deviation_1():
    x = np.random.default_rng(0).normal([5.0, -3.0, 1e6], [2.0, 0.1, 1e3], (500, 3))
    x[:, 1] = 7.0  # constant
    layer = nn.Standardize.of(x, dtype="float64")
    made = layer(cr.tensor(x)).numpy()
    np.testing.assert_allclose(made.mean(0), 0, rtol=0, atol=1e-11)
    np.testing.assert_allclose(made.std(0), [1, 0, 1], rtol=0, atol=1e-12)
    assert list(layer.state_dict()) == ["mean", "std"]
    assert not list(layer.parameters())


def test_a_constant_column_becomes_exactly_0():
    """Although the mean of three times 0.1 is not 0.1."""
    x = np.full((3, 1), 0.1)
    assert x.mean() != 0.1
    assert nn.Standardize.of(x, dtype="float64")(cr.tensor(x)).tolist() == [[0.0]] * 3


def test_columns_of_a_table():
    """A frame's column may be called x; it is no data set for that."""
    frame = pandas.DataFrame({"x": [1.0, 3.0], "y": [5.0, 5.0]})
    assert nn.Standardize.of(frame).mean.tolist() == [2.0, 5.0]


def test_unstandardize_is_the_inverse():
    y = np.random.default_rng(0).normal(300.0, 40.0, 50)
    there, back = (
        kind.of(y, dtype="float64") for kind in (nn.Standardize, nn.Unstandardize)
    )
    again = back(there(cr.tensor(y[:, None]))).numpy()
    np.testing.assert_allclose(again[:, 0], y, rtol=1e-13)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8, np.int64])
def test_data_of_any_dtype_come_out_in_the_models(kind):
    x = np.array([[10, 200], [30, 100], [20, 0]], kind)
    for dtype in ("float32", "float64"):
        layer = nn.Standardize.of(x, dtype=dtype)
        made = layer(cr.tensor(x))
        assert made.dtype.name == dtype
        wide = x.astype(np.float64)
        wanted = (wide - wide.mean(0)) / wide.std(0)
        np.testing.assert_allclose(made.numpy(), wanted, atol=1e-6)
        nn.Linear(2, 1, dtype=dtype)(made)  # the next layer takes it


def test_wide_data_keep_their_digits_until_they_are_standardised():
    """10⁹ + k in float64 is not rounded to float32 first, which would leave nothing."""
    x = 1e9 + np.arange(8.0)[:, None]
    made = nn.Standardize.of(x)(cr.tensor(x)).numpy()[:, 0]
    np.testing.assert_allclose(np.diff(made), 1 / np.arange(8).std(), rtol=1e-3)


def test_scaling_on_engines(engine):
    x = np.random.default_rng(0).normal(5.0, 2.0, (20, 3)).astype(np.float32)
    model = nn.Sequential(nn.Standardize.of(x), nn.Unstandardize.of(x))
    np.testing.assert_allclose(
        cr.compile(model, engine=engine)(cr.tensor(x)).numpy(), x, rtol=1e-5
    )


# -- settings and mistakes ------------------------------------------------------------


def ones(*shape, dtype="float32"):
    return cr.tensor(np.ones(shape, dtype))


#: What is written, by its error, and words of the message.
MISTAKES = {
    ShapeError: {
        "nn.LayerNorm(4)(ones(2, 3))": r"\(2, 3\).*nn\.LayerNorm\(3\)",
        "nn.Sequential(nn.BatchNorm1d(4))(ones(2, 3))": r"nn\.BatchNorm1d\(3\)",
        "nn.BatchNorm1d(4)(ones(4))": r"\(N, 4, L\)",
        "nn.functional.batch_norm(ones(3), None, None)": "features over samples",
        "nn.Standardize.of(np.ones((2, 3)))(ones(2, 2))": r"nn\.Standardize\.of",
        "nn.Standardize.of(np.zeros((0, 3)))": "at least one row",
        "nn.Unstandardize.of(np.zeros((2, 2, 2)))": "columns",
    },
    ArgumentError: {
        "nn.LayerNorm(())": "one integer or more",
        "nn.LayerNorm(0)": "normalized_shape ≥ 1",
        "nn.BatchNorm1d(-1)": "num_features",
        "nn.BatchNorm1d(4)(ones(0, 4))": r"empty input has none.*\(0, 4\).*eval",
        "nn.BatchNorm1d(2, momentum=1.5)": "≤ momentum ≤ 1",
        "nn.Standardize(0)": "positive num_features",
        "nn.Standardize.of(cr.data.xor())": r"Standardize\.of\(train\.x\)",
        "nn.Unstandardize.of(cr.data.xor())": r"train\.y",
    },
    DTypeError: {
        "nn.LayerNorm(3)(ones(2, 3, dtype='float64'))": r"float32.*float64.*astype",
        "nn.BatchNorm1d(3)(ones(2, 3, dtype='float64'))": "different dtypes",
    },
    NonFiniteError: {
        "nn.Standardize.of([[1.0, 2.0], [3.0, np.nan]])": "nan in row 1, column 1",
    },
}


test_mistakes_are_explained = explained(MISTAKES, globals())
