"""Targets transformed in the loss alone: exact inverses, on every engine, kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import errors, nn, optim
from tests.mistakes import explained

RNG = np.random.default_rng(0)
SKEWED = np.exp(1.5 * RNG.normal(size=(500, 2)) + [3, -2])
LAYERS = {
    "log": lambda dtype: nn.LogTarget.of(SKEWED, dtype=dtype),
    "symmetric": lambda dtype: nn.LogTarget.of(SKEWED - 1, dtype=dtype),
    "quantile": lambda dtype: nn.QuantileTarget.of(SKEWED, dtype=dtype),
    "few": lambda dtype: nn.QuantileTarget.of(SKEWED, n_quantiles=2, dtype=dtype),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_there_and_back(layer: str) -> None:
    """Within the data and far beyond them."""
    made = LAYERS[layer]("float64")
    z = np.linspace(-6, 6, 241).repeat(2).reshape(-1, 2)
    y = made(cr.tensor(z)).numpy()
    assert (np.diff(y, axis=0) > 0).all(), "T⁻¹ is increasing"
    np.testing.assert_allclose(made.transform(y).numpy(), z, rtol=1e-9, atol=1e-9)
    assert not list(made.parameters())
    own = made.transform(SKEWED).numpy()
    if layer == "log":
        np.testing.assert_allclose(own.mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(own.std(0), 1, rtol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_values_and_slopes_on_engines(layer: str, engine: str) -> None:
    """In float32; the slope is that of the function, and T′(T⁻¹(z)) is 1 over it."""
    wide, narrow = (LAYERS[layer](dtype) for dtype in ("float64", "float32"))
    z = RNG.normal(size=(40, 2)) * 1.5
    y = wide(cr.tensor(z)).numpy()
    for function, x, exact in (
        (lambda m: m, z, y),
        (lambda m: m.transform, y, z),
    ):
        here, there = function(narrow), function(wide)
        run = cr.compile(lambda a, f=here: f(a), engine=engine)
        made = run(cr.tensor(x, dtype="float32")).numpy()
        np.testing.assert_allclose(made, exact, rtol=1e-4, atol=1e-4)
        step = 1e-7 * np.maximum(abs(x), 1e-3)
        t = cr.tensor(x, requires_grad=True)
        there(t).sum().backward()
        sides = [there(cr.tensor(x + s)).numpy() for s in (-step, step)]
        slope = (sides[1] - sides[0]) / (2 * step)
        assert t.grad is not None
        np.testing.assert_allclose(t.grad.numpy(), slope, rtol=1e-4)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(-20, 20), min_size=1, max_size=40),
    st.integers(2, 12),
)
def test_any_column(column: list[int], count: int) -> None:
    """Ties, constants and few rows: T is increasing, and T⁻¹ its inverse."""
    y = np.array(column, np.float64)[:, None]
    for made in (
        nn.QuantileTarget.of(y, n_quantiles=count, dtype="float64"),
        nn.LogTarget.of(y, dtype="float64"),
    ):
        z = made.transform(y).numpy()
        assert np.isfinite(z).all()
        order = np.argsort(y[:, 0])
        assert (np.diff(z[order, 0]) >= 0).all()
        assert len(np.unique(z)) == len(np.unique(y))
        back = made(cr.tensor(z)).numpy()
        np.testing.assert_allclose(back, y, rtol=1e-9, atol=1e-9)


def test_as_scikit_learn_between_the_knots() -> None:
    from sklearn.preprocessing import QuantileTransformer  # seconds, at each start

    y = SKEWED[:, :1]
    theirs = QuantileTransformer(n_quantiles=500, output_distribution="normal").fit(y)
    ours = nn.QuantileTarget.of(y, n_quantiles=500, dtype="float64")
    middle = np.quantile(y, np.linspace(0.05, 0.95, 50))[:, None]
    made = ours.transform(middle).numpy()
    wanted = np.asarray(theirs.transform(middle))
    np.testing.assert_allclose(made, wanted, atol=0.02)


@pytest.mark.parametrize(
    ("y", "positive"), [([1.0, 1e-30], True), ([0.0, 3.0], False), ([-1.0, 1.0], False)]
)
def test_which_logarithm(y: list[float], positive: bool) -> None:
    made = nn.LogTarget.of(y, dtype="float64")
    assert made.positive is positive
    logs = np.log(y) if positive else np.sign(y) * np.log1p(np.abs(y))
    z = made.transform(np.array(y)[:, None]).numpy()[:, 0]
    np.testing.assert_allclose(z, (logs - logs.mean()) / logs.std(), atol=1e-12)


def test_the_slope_at_zero() -> None:
    made = nn.LogTarget(1, positive=False, dtype="float64")
    for function in (made, made.transform):
        t = cr.tensor([[0.0]], dtype="float64", requires_grad=True)
        function(t).sum().backward()
        assert t.grad is not None
        assert t.grad.item() == 1.0


# -- the loss --------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    "inner",
    [
        nn.MSELoss(),
        nn.L1Loss(),
        nn.HuberLoss(),
        nn.HalfSquaredErrorLoss(),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_the_loss_is_that_of_the_transformed(layer: str, inner: Any) -> None:
    last = LAYERS[layer]("float64")
    loss = nn.TransformedTargetLoss(inner, last)
    y, p = SKEWED[:30], SKEWED[30:60]
    weights = RNG.random(30)
    for options in ({}, {"sample_weight": weights}):
        made = loss(cr.tensor(p), y, **options).item()
        wanted = inner(last.transform(p), last.transform(y), **options).item()
        assert made == pytest.approx(wanted, rel=1e-12)


of = nn.TransformedTargetLoss
#: What is written, by its error, and words of the message.
MISTAKES = {
    errors.ArgumentError: {
        "nn.LogTarget.of([1.0, 0.0], positive=True)": "positive numbers",
        "of(nn.MSELoss(), nn.LogTarget.of([1.0, 2.0]))([[1.0]], [[-1.0]])": "positive",
        "nn.QuantileTarget(1, 1)": "n_quantiles",
        "nn.QuantileTarget.of([1.0, 2.0], n_quantiles='5')": "n_quantiles",
        "nn.QuantileTarget()": "QuantileTarget.of",
        "nn.QuantileTarget.of(1e9 + np.arange(50.0))": "neighbouring targets apart",
        "of(nn.CrossEntropyLoss(), nn.LogTarget(1))": r"loss=nn\.MSELoss",
        "of(nn.BCELoss(), nn.LogTarget(1))": "measures quantities",
        "of(nn.MSELoss(reduction='sum'), nn.LogTarget(1))": "reduces the losses itself",
        "of(nn.MSELoss(), nn.Linear(1, 1))": r"target=nn\.LogTarget\.of",
        "of(nn.MSELoss(), nn.LogTarget)": "with parentheses",
    },
}
test_mistakes = explained(MISTAKES, globals())


# -- a network -------------------------------------------------------------------------


def skewed(rows: int = 900) -> tuple[cr.data.Dataset, cr.data.Dataset]:
    """A quantity that is log-normal given its features."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    spread = 1.5 * x[:, 0] + x[:, 1] * x[:, 2]
    y = np.exp(4 + spread + 0.3 * rng.normal(size=rows))[:, None]
    data = cr.data.Dataset(x, y.astype(np.float32))
    return data[: rows * 2 // 3], data[rows * 2 // 3 :]


def trained(kind: Any, train: cr.data.Dataset) -> cr.Trainer:
    cr.manual_seed(0)
    last, loss = kind.of(train.y), nn.MSELoss()
    if kind is not nn.Unstandardize:
        loss = nn.TransformedTargetLoss(nn.L1Loss(), last)
    layers = [nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1), last]
    trainer = cr.Trainer(
        nn.Sequential(*layers), loss=loss, optimizer=optim.Adam(lr=1e-2), engine="numpy"
    )
    trainer.fit(train, epochs=60, progress=False)
    return trainer


@pytest.mark.one_in(2)
@pytest.mark.parametrize("kind", [nn.LogTarget, nn.QuantileTarget])
def test_a_skewed_target_is_learnt_better(kind: Any, tmp_path: Path) -> None:
    train, test = skewed()

    def off(trainer: cr.Trainer) -> float:
        return float(np.median(abs(trainer.predict(test.x[:]) / test.y - 1)))

    plain, better = trained(nn.Unstandardize, train), trained(kind, train)
    assert off(better) < 0.35 < 0.7 < off(plain)
    # Predictions and metrics are in the unit of the target; the loss is not.
    measured = better.evaluate(test)
    error = abs(better.predict(test.x[:]).astype(np.float64) - test.y)
    assert measured["mae"] == pytest.approx(error.mean(), rel=1e-5)
    assert measured["loss"] < 1 < 10 < measured["mae"]
    # The transform is part of the model, and of the loss that a run goes on with.
    better.save(tmp_path / "run.ckpt")
    again = cr.Trainer.load(tmp_path / "run.ckpt")
    assert again.evaluate(test) == measured
    for t in (better, again):
        t.fit(train, epochs=1, progress=False)
    assert again.evaluate(test) == better.evaluate(test)


def test_it_is_explained() -> None:
    train, _ = skewed(60)
    for kind in (nn.LogTarget, nn.QuantileTarget):
        last = kind.of(train.y)
        loss = nn.TransformedTargetLoss(nn.MSELoss(), last)
        model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1), last)
        said = str(cr.explain(model, train.x[:1], train.y[:1], loss))
        assert "checked: " in said


def test_a_loss_whose_network_does_not_transform_back() -> None:
    train, _ = skewed(60)
    loss = nn.TransformedTargetLoss(
        nn.MSELoss(), nn.LogTarget.of(train.y, positive=False)
    )
    model = nn.Sequential(nn.Linear(4, 1))
    trainer = cr.Trainer(model, loss=loss, optimizer=optim.SGD(lr=1e-6), engine="numpy")
    with pytest.warns(errors.ChainruleWarning, match="The loss transforms"):
        trainer.fit(train, epochs=1, progress=False)
