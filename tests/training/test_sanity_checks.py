"""What trains and is hardly what was meant is warned of before the run begins."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 3))
SUMS = ROWS.sum(axis=1, keepdims=True)
#: Flats: their areas and prices.
LARGE, PRICES = ROWS * 50 + 5000, SUMS * 60_000 + 450_000


def said(x: Any, y: Any, *layers: nn.Module, loss: Any = None) -> list[str]:
    """What one epoch warns of."""
    trainer = cr.Trainer(
        nn.Sequential(*layers),
        loss=loss or nn.MSELoss(),
        optimizer=optim.SGD(lr=1e-30),
        engine="numpy",
    )
    data = x if isinstance(x, cr.data.Dataset) else cr.data.Dataset(x, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", errors.ChainruleWarning)
        trainer.fit(data, epochs=1, progress=False)
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


def test_large_features_and_targets_are_warned_of_once() -> None:
    (text,) = said(LARGE, PRICES, nn.Linear(3, 1))
    for part in (
        "feature 0 with mean ",
        "the target with mean ",
        "nn.Standardize.of(train.x) as the first layer; "
        "nn.Unstandardize.of(train.y) as the last layer",
        "within ±100",
    ):
        assert part in text


def test_large_features_alone_and_large_targets_alone() -> None:
    (text,) = said(LARGE, SUMS, nn.Linear(3, 1))
    assert "Unstandardize" not in text
    assert "nn.Standardize" in text
    (text,) = said(ROWS, PRICES, nn.Linear(3, 1), loss=nn.L1Loss())
    assert "nn.Unstandardize" in text
    assert "nn.Standardize" not in text
    (text,) = said(
        LARGE, np.arange(40) % 2, nn.Linear(3, 2), loss=nn.CrossEntropyLoss()
    )
    assert "nn.Standardize" in text


def test_a_far_mean_and_a_wide_column_are_both_large() -> None:
    for column in (ROWS[:, :1] + 101, ROWS[:, :1] * 200):
        x = np.concatenate([ROWS[:, :2], column], axis=1)
        (text,) = said(x, SUMS, nn.Linear(3, 1))
        assert "feature 2 with mean" in text
    assert not said(ROWS * 20 + 50, SUMS * 20 + 50, nn.Linear(3, 1))


class Own(nn.Module):
    """A network that scales by itself."""

    def __init__(self) -> None:
        self.inner = nn.Linear(3, 1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x / 5000) * 1e5


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Standardize.of(LARGE), nn.Linear(3, 1), nn.Unstandardize.of(PRICES)],
        [nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 1)), nn.Unstandardize.of(PRICES)],
        [nn.BatchNorm1d(3), nn.Linear(3, 1), nn.Unstandardize.of(PRICES)],
        [Own()],
    ],
)
def test_networks_that_scale(layers: list[nn.Module]) -> None:
    assert not said(LARGE, PRICES, *layers)


def test_data_with_a_scale_and_indices() -> None:
    data = cr.data.Dataset(LARGE, SUMS, scale=1 / 5000)
    assert not said(data, None, nn.Linear(3, 1))
    rows = np.full((40, 3), 900)
    table = [nn.Embedding(901, 2), nn.Flatten(), nn.Linear(6, 1)]
    assert not said(rows, SUMS, *table)


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax()])
@pytest.mark.parametrize(("factor", "far"), [(10, "20"), (-10, "-10")])
def test_targets_that_cannot_be_reached(last: nn.Module, factor: int, far: str) -> None:
    y = factor * (np.arange(80).reshape(40, 2) % (3 if factor > 0 else 2))
    (text,) = said(ROWS, y, nn.Linear(3, 2), last)
    assert f"Targets as far as {far} cannot be reached by outputs between 0" in text
    assert f"remove the {type(last).__name__}" in text
    assert not said(ROWS, y.clip(0, 1), nn.Linear(3, 2), last)


def test_a_softmax_over_one_output() -> None:
    for layer, value in ((nn.Softmax(), "1"), (nn.LogSoftmax(), "0")):
        with pytest.warns(errors.ChainruleWarning) as warned:
            layer(cr.tensor([[3.0], [4.0]]))
        text = str(warned[0].message)
        assert f"{type(layer).__name__} of one output is always {value}" in text
        layer(cr.tensor([[3.0, 4.0]]))
    unit = np.arange(40).reshape(40, 1) / 40
    assert any(
        "'1' of one output" in t
        for t in said(ROWS, unit, nn.Linear(3, 1), nn.Softmax())
    )


def test_a_standardize_that_nobody_measured() -> None:
    for layers, part in (
        ([nn.Standardize(3), nn.Linear(3, 1)], "nn.Standardize.of(train.x)"),
        ([nn.Linear(3, 1), nn.Unstandardize(1)], "nn.Unstandardize.of(train.y)"),
    ):
        (text,) = said(ROWS * 5, SUMS * 5, *layers)
        assert "never measured" in text
        assert part in text
    signs = np.where(np.arange(120).reshape(40, 3) % 2, 1.0, -1.0)
    assert not said(signs, SUMS, nn.Standardize.of(signs), nn.Linear(3, 1))
    for kind in (nn.Standardize, nn.Unstandardize):
        with pytest.raises(errors.ArgumentError, match=rf"{kind.__name__}\.of\(train"):
            kind()


# -- metrics, arguments ---------------------------------------------------------------


def regression(**options: Any) -> cr.Trainer:
    return cr.Trainer(
        nn.Sequential(nn.Linear(3, 1)),
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=0.01),
        engine="numpy",
        **options,
    )


@pytest.mark.parametrize("name", ["accuracy", "confusion_matrix"])
def test_decisions_about_quantities(name: str) -> None:
    trainer = regression(metrics=[name])
    for call in (
        lambda: trainer.fit((ROWS, SUMS), epochs=1, progress=False),
        lambda: trainer.evaluate((ROWS, SUMS)),
    ):
        with pytest.raises(errors.ArgumentError) as error:
            call()
        assert "quantities" in str(error.value)
        assert "r2, mae, mse or rmse" in str(error.value)
    for labels in (SUMS > 0, np.sign(SUMS)):
        trainer.evaluate((ROWS, labels.astype(float)))


def test_arguments_without_a_name() -> None:
    trainer = regression()
    with pytest.raises(errors.ArgumentError, match=r"evaluate\(\(x, y\)"):
        trainer.evaluate(ROWS, SUMS)  # type: ignore[arg-type]
    with pytest.raises(errors.ArgumentError, match=r"fit\(\(x, y\), epochs=…\)"):
        trainer.fit(ROWS, SUMS, epochs=3)
    with pytest.raises(errors.ArgumentError, match=r"fit\(train, epochs=3\)"):
        trainer.fit((ROWS, SUMS), 3, epochs=3)


def test_values_are_what_predict_gives() -> None:
    with pytest.raises(errors.ArgumentError) as error:
        regression().predict(ROWS, output="values")
    assert "predict(x) gives the values" in str(error.value)
    assert "classes" not in str(error.value)


@pytest.mark.parametrize(
    ("inputs", "fix"),
    [(12, r"rows of length 12;"), (4, r"rows of length 12, for nn.Linear\(12, 2\)")],
)
def test_images_in_front_of_a_linear(inputs: int, fix: str) -> None:
    with pytest.raises(errors.ShapeError, match=rf"nn.Flatten\(\).*{fix}"):
        nn.Linear(inputs, 2)(cr.tensor(np.zeros((5, 4, 3), np.float32)))


@pytest.mark.parametrize("first", [False, True])
def test_samples_that_would_look_at_one_another(first: bool) -> None:
    x = cr.data.Dataset(RNG.normal(size=(40, 3, 4)), SUMS)
    block = nn.TransformerEncoderLayer(4, 2, 5, 0.0, batch_first=first)
    for layer in (block, nn.TransformerEncoder(block, 2)):
        texts = said(x, None, nn.Tanh(), layer, nn.Flatten(), nn.Linear(12, 1))
        assert [("batch_first=True" in text) for text in texts] == [True] * (not first)
