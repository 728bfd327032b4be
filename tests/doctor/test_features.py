"""Features of one unit: columns, all pixels of a picture, the channels of a signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import Case, changes, examples
from chainrule.doctor.features import as_columns, shared_axes

RNG = np.random.default_rng


def blots(n: int = 300) -> tuple[Any, Any]:
    """Return pictures of 12 × 12, nearly always blank at their borders."""
    drawn = RNG(0)
    x = np.zeros((n, 12, 12), np.float32)
    y = drawn.integers(0, 2, n).astype(np.int32)
    for i, upright in enumerate(y):
        a, b = drawn.integers(2, 9, 2)
        if upright:
            x[i, a : a + 3, b] = drawn.uniform(0.5, 1, 3)
        else:
            x[i, a, b : b + 3] = drawn.uniform(0.5, 1, 3)
    x[0, 0, 0] = 0.01  # a pixel that is blank in all others
    return x, y


def case(x: Any, model: nn.Module, y: Any = None) -> Case:
    y = RNG(1).integers(0, 2, len(x)).astype(np.int32) if y is None else y
    trainer, data, given = examples.example(model, Dataset(x, y, classes=2), epochs=5)
    return Case(trainer, data, **given)


def test_pixels_are_one_feature_however_they_lie() -> None:
    x, y = blots()
    flat = case(x.reshape(300, 144), examples.mlp(144), y)
    plane = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2)
    )
    for made, axes in ((flat, (0, 1)), (case(x[:, None], plane, y), (0, 1, 2, 3))):
        assert made.feature_axes == axes
        assert made.features is not None
        assert made.features.rows.shape[1] == 1


def test_a_column_of_another_unit_among_pixels_is_none() -> None:
    """Nor are 64 columns of a table, or steps of a series, one of them tiny."""
    for shape in ((300, 64), (300, 20, 9), (300, 8, 8)):
        x = RNG(0).uniform(-1, 1, shape)
        assert len(shared_axes(x, None)) == len(shape)
        x[..., 3] *= 1e-4
        axes = shared_axes(x, None)
        assert axes == tuple(range(len(shape) - 1))
    assert shared_axes(RNG(0).uniform(size=(300, 64)), None, named=True) == (0,)
    assert shared_axes(np.zeros((0, 64)), None) == (0,)


@pytest.mark.parametrize("columns", [63, 64])
def test_a_tiny_column_that_tells_is_found(columns: int) -> None:
    x = RNG(0).normal(size=(400, columns)).astype(np.float32)
    y = (x[:, 3] > 0).astype(np.int32)
    x[:, 3] *= 1e-4
    trainer, data, given = examples.example(
        examples.mlp(columns), Dataset(x, y, classes=2), epochs=10
    )
    found = cr.diagnose(trainer, data, **given)
    assert found.findings[0].code == "unscaled-inputs", str(found)


def test_columns_of_different_units_are_no_pixels() -> None:
    """Although there are 64 of them."""
    x = RNG(0).normal(size=(300, 64)) * 10.0 ** RNG(1).uniform(-3, 3, 64)
    assert shared_axes(x, None) == (0,)
    x = RNG(0).normal(size=(300, 20, 9)) * 10.0 ** RNG(1).uniform(-3, 3, 9)
    assert shared_axes(x, None) == (0, 1)


@pytest.mark.parametrize("axes", [(0,), (0, 1), (0, 2), (0, 1, 2)])
def test_standardised_features_have_mean_0_and_deviation_1(
    axes: tuple[int, ...],
) -> None:
    x = RNG(0).normal(3.0, 5.0, (40, 4, 6)).astype(np.float32)
    setup = case(x, nn.Sequential(nn.Flatten(), examples.mlp(24))).setup
    changes.standardised(setup, axes).apply(setup)
    table = as_columns(
        np.asarray(setup.train.x[:]).reshape(len(setup.train), -1), (4, 6), axes
    )
    np.testing.assert_allclose(table.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(table.std(0), 1, atol=1e-4)


@pytest.mark.parametrize("axes", [(0,), (0, 1), (0, 2), (0, 1, 2)])
def test_what_is_printed_does_the_same(axes: tuple[int, ...]) -> None:
    """As code that people paste: with their x, train and model."""
    shape = (40, 24) if axes == (0,) else (40, 4, 6)
    x = RNG(0).normal(3.0, 5.0, shape).astype(np.float32)
    setup = case(x, nn.Sequential(nn.Flatten(), examples.mlp(24))).setup
    change = changes.standardised(setup, axes)
    names: dict[str, Any] = {"np": np, "nn": nn, "train": setup.train}
    names["model"] = nn.Identity()
    names["x"] = np.asarray(setup.train.x[:])
    if "x = " in change.after:
        exec(change.after, names)
        printed = names["x"]
    else:
        printed = eval(change.after, names)(cr.tensor(names["x"])).numpy()
    change.apply(setup)
    np.testing.assert_allclose(printed, setup.train.x[:], atol=2e-3)


def test_a_rate_is_not_blamed_on_blank_corners() -> None:
    x, y = blots()
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(200, 32), nn.ReLU(), nn.Linear(32, 2)),
    )
    rows = Dataset(x[:, None], y, classes=2)
    trainer, data, given = examples.example(model, rows, lr=3.0, epochs=20)
    found = cr.diagnose(trainer, data, **given)
    codes = [f.code for f in found.findings]
    assert codes[0] == "learning-rate-too-large", str(found)
    assert "unscaled-inputs" not in codes
