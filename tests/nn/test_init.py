"""Initialisers: distributions, seeds, shapes, mistakes; and normal random numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.nn import init
from tests.mistakes import explained

FANS = {"xavier": 2 / (400 + 200), "lecun": 1 / 400, "kaiming": 2 / 400}


def weights(out=200, inside=400, dtype="float64"):
    return cr.tensor(np.full((out, inside), np.nan), dtype=dtype)


def distance(sample: np.ndarray, distribution) -> float:
    """Kolmogorov and Smirnov's distance: the largest gap to the distribution."""
    sample = np.sort(sample.ravel())
    wanted = np.array([distribution(v) for v in sample.tolist()])
    steps = np.arange(len(sample) + 1) / len(sample)
    return float(max((steps[1:] - wanted).max(), (wanted - steps[:-1]).max()))


def normal_distribution(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


#: The distance that one sample in 1,000 exceeds (Smirnov 1948), for 20,000 numbers.
KS = 1.95 / math.sqrt(20_000)


# -- random.randn ---------------------------------------------------------------------


@pytest.mark.parametrize(("drawn", "size"), [(0, 6.76), (2**32 - 1, 1.6e-5)])
def test_the_ends_of_the_random_bits_are_finite_numbers(drawn, size, monkeypatch):
    def ends(shape):
        return cr.tensor(np.full(shape, drawn, np.uint32))

    monkeypatch.setattr(cr.random.distributions, "bits", ends)
    x = cr.randn(2, dtype="float64").numpy()
    assert abs(x).max() == pytest.approx(size, rel=0.1)


def test_mean_deviation_and_dtype():
    cr.manual_seed(0)
    x = cr.randn(100, 100, mean=3.0, std=0.5)
    assert x.dtype.name == "float32"
    assert x.numpy().mean() == pytest.approx(3, abs=0.02)
    assert x.numpy().std() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (2, 3, 5)])
def test_normal_numbers_of_every_shape(shape):
    cr.manual_seed(0)
    x = cr.randn(*shape)
    assert x.shape == shape
    assert np.isfinite(x.numpy()).all()


@pytest.mark.parametrize("draw", [cr.uniform, cr.randn])
def test_a_shape_may_be_a_tuple(draw):
    made = []
    for shape in [(2, 3), ((2, 3),), ([2, np.int64(3)],)]:
        cr.manual_seed(0)
        made.append(draw(*shape).tolist())
    assert made[0] == made[1] == made[2]
    for wrong in (-1, 2.5, "3", (2, None)):
        with pytest.raises(ShapeError, match="integers ≥ 0"):
            draw(wrong)


def test_uniform_numbers_for_any_number_of_samples():
    shapes = []

    def noisy(x):
        shapes.append(cr.uniform(*x.shape).shape)
        return x

    trace_entry(
        "main", noisy, [Input("x", ArrayType((SymbolicDim("N"), 2), DType.float32))]
    )
    assert shapes == [(SymbolicDim("N"), 2)]


# -- initialisers ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", FANS)
def test_variances_follow_from_the_fans(kind):
    """3.8: Var W = 2/(in + out) (Xavier), 2/in (He, for ReLU), uniform or normal."""
    for shape in ("uniform", "normal"):
        cr.manual_seed(0)
        w = getattr(init, f"{kind}_{shape}_")(weights()).numpy()
        assert w.var() == pytest.approx(FANS[kind], rel=0.02), shape
        assert abs(w.mean()) < 4 * math.sqrt(FANS[kind] / w.size)
    uniform = getattr(init, f"{kind}_uniform_")(weights()).numpy()
    bound = math.sqrt(3 * FANS[kind])
    assert bound * 0.999 < abs(uniform).max() <= bound
    assert distance(uniform.ravel()[:20_000], lambda v: (v / bound + 1) / 2) < KS


def test_signals_keep_their_size_through_ten_layers_of_relu():
    """He's gain is what ReLU takes away; with LeCun's the signal fades by 2⁻⁵."""
    x = np.random.default_rng(0).normal(size=(200, 100)).astype(np.float32)
    sizes = {}
    for name in ("kaiming_normal", "lecun_normal"):
        cr.manual_seed(0)
        layers = [nn.Linear(100, 100, init=name) for _ in range(10)]
        model = nn.Sequential(*(m for layer in layers for m in (layer, nn.ReLU())))
        made = model(cr.tensor(x)).numpy()
        sizes[name] = float(np.sqrt((made**2).mean()))
    assert 0.4 < sizes["kaiming_normal"] < 1.6
    ratio = sizes["kaiming_normal"] / sizes["lecun_normal"]
    assert ratio == pytest.approx(2**5, rel=0.01)


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (25, 25), (6, 2, 3)])
def test_orthogonal(shape):
    cr.manual_seed(0)
    made = init.orthogonal_(cr.tensor(np.zeros(shape)), gain=2.0).numpy()
    w = made.reshape(shape[0], -1)
    small = min(w.shape)
    product = w @ w.T if len(w) == small else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(small), atol=1e-12)


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0, 1, -2, 2), (1, 0.5, 0, 1.2), (0, 1, 2, 4), (0, 1, -6, -3), (0, 0.02, -2, 2)],
)
def test_truncated_normal(mean, std, a, b):
    cr.manual_seed(0)
    w = init.trunc_normal_(weights(100, 200), mean, std, a, b).numpy()
    assert a <= w.min() <= w.max() <= b

    def above(x):  # in the tail that the interval is in, nothing is lost to rounding
        sign = 1 if a + b > 2 * mean else -1
        return normal_distribution(-sign * (x - mean) / std)

    whole = abs(above(a) - above(b))
    assert distance(w, lambda v: abs(above(v) - above(a)) / whole) < KS


def test_both_tails_of_the_truncated_normal_are_alike():
    """Far out too, where 1 − Φ has hardly a digit left."""
    made = []
    for ends in ((6.0, 6.5), (-6.5, -6.0)):
        cr.manual_seed(0)
        made.append(init.trunc_normal_(weights(10, 20), 0.0, 1.0, *ends).numpy())
    np.testing.assert_array_equal(made[0], -made[1])


def test_the_inverse_of_the_distribution_function():
    x = np.linspace(-6, 6, 241)
    p = np.array([normal_distribution(v) for v in x.tolist()])
    lower = x < 0
    made = init._quantile(p)
    # The step of p itself, 2⁻⁵³ near 1 and near ½ of erf, decides how far x is known.
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    allowed = 1e-14 + 4e-16 / density
    assert (abs(made - x) <= allowed)[lower].all()
    assert (abs(made - x) <= allowed)[~lower].all()


def test_a_parameter_stays_a_parameter():
    layer = nn.Linear(3, 4)
    version = layer.weight.version
    made = init.xavier_normal_(layer.weight)
    assert made is layer.weight
    assert isinstance(made, nn.Parameter)
    assert made.requires_grad
    assert made.version > version
    assert made.dtype.name == "float32"


@pytest.mark.parametrize("name", init.BY_NAME)
def test_every_name_fills_a_layer(name):
    w = nn.Linear(6, 5, init=name).weight.numpy()
    assert np.isfinite(w).all()
    assert init.by_name(name + "_") is init.by_name(name)


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "init.calculate_gain('rellu')": "did you mean 'relu'",
        "init.calculate_gain('?')": "for example 'linear'",
        "init.by_name('kaimin_normal')": "'kaiming_normal'",
        "init.kaiming_normal_(weights(), mode='fan_inn')": "did you mean 'fan_in'",
        "init.normal_(weights(), std=-1.0)": "not negative",
        "init.trunc_normal_(weights(), a=1, b=1)": "a < b",
        "init.trunc_normal_(weights(), std=0)": "std > 0",
        "init.trunc_normal_(weights(), a=9, b=10)": "finds nothing",
    },
    ShapeError: {
        "init.xavier_normal_(cr.tensor(np.zeros(3)))": r"\(out, in, …\).*\(3,\)",
        "init.orthogonal_(cr.tensor(np.zeros(3)))": "matrix",
    },
}


test_mistakes_are_explained = explained(MISTAKES, globals())
