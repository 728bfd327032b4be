"""hierarchy: the ascent, worked out another way, and the quick run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.recipes import Experiment, hierarchy
from chainrule.recipes.evaluation.patches import receptive_field
from tests.ways import ENGINES

from .runs import check

RECIPE = "hierarchy"


@pytest.fixture
def model() -> nn.Sequential:
    cr.manual_seed(0)
    return hierarchy.network()


def test_an_input_of_the_receptive_field_is_one_unit(model: nn.Sequential) -> None:
    for end, _ in hierarchy.LAYERS.values():
        side = receptive_field(model[1:end], 28)[0]
        z = model[1:end](cr.zeros(1, 1, side, side))
        assert z.flatten(1).shape == (1, z.shape[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_ascent_ends_at_the_top(engine: str, model: nn.Sequential) -> None:
    """Layer 1 is linear: without μ the best input is w/(s λ), cut to 0 … 1."""
    experiment = Experiment(engine=engine, threads=1)
    scale = np.linspace(0.2, 0.5, 8)
    step = hierarchy.ascent(experiment, model[1:2], scale)
    x, small, smooth = cr.full((8, 1, 5, 5), 0.1), cr.tensor(0.7), cr.tensor(0.0)
    for _ in range(60):
        x = step(x, small, smooth)
    w = model[1].weight.numpy()[:, 0] / scale[:, None, None]
    np.testing.assert_allclose(x.numpy()[:, 0], np.clip(w / 0.7, 0, 1), atol=1e-5)


def test_neighbours_are_joined(model: nn.Sequential) -> None:
    """With μ the top is where the derivative that NumPy makes of the formula is 0."""
    scale = np.full(8, 0.3)
    step = hierarchy.ascent(Experiment(engine="numpy"), model[1:2], scale)
    x, small, smooth = cr.full((8, 1, 5, 5), 0.1), cr.tensor(0.3), cr.tensor(0.2)
    for _ in range(300):
        x = step(x, small, smooth)
    found = x.numpy()[:, 0].astype("f8")
    w = model[1].weight.numpy()[:, 0] / 0.3
    apart = np.zeros_like(found)
    for axis in (1, 2):
        steps = np.diff(found, axis=axis)
        before, behind = [(0, 0)] * 3, [(0, 0)] * 3
        before[axis], behind[axis] = (0, 1), (1, 0)
        apart += np.pad(steps, behind) - np.pad(steps, before)
    slope = w - 0.3 * found - 0.2 * apart
    inside = (found > 1e-3) & (found < 1 - 1e-3)
    assert inside.sum() > 20
    np.testing.assert_allclose(slope[inside], 0, atol=1e-4)
    assert (slope[found == 0] <= 1e-6).all()
    assert (slope[found == 1] >= -1e-6).all()


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result = whole["result"]
    assert result["accuracy"] > 0.9
    assert [layer["receptive_field"] for layer in result["layers"]] == [5, 14, 24, 28]
    train, test = (part.take(1000) for part in cr.data.mnist())
    means = np.stack([train.x[:][train.y == d].mean(0) for d in range(10)])
    nearest = ((test.x[:][:, None] - means) ** 2).sum(2).argmin(1)
    accuracies = result["nearest_mean"]
    assert accuracies[0] == pytest.approx((nearest == test.y).mean())
    assert accuracies == sorted(accuracies)  # they rise layer by layer
    assert result["gain"] == pytest.approx(accuracies[3] - accuracies[0])
    assert f"{result['accuracy']:.2%}" in whole["text"]
    check(whole, "filters", "maps", "layer-1", "layer-2", "layer-3", "scores")
