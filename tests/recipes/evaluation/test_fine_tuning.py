"""The network that is fine-tuned, by hand; the labels that it gets."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment
from chainrule.recipes.evaluation.fine_tuning import (
    fine_tuning_errors,
    sigmoid_classifier,
)


def layers(rng: np.random.Generator, *sizes: int) -> list[Any]:
    shapes = [(m, n) for n, m in itertools.pairwise(sizes)]
    return [(rng.standard_normal(s) / 9, rng.standard_normal(s[0])) for s in shapes]


def test_a_classifier_begins_with_the_features(rng: np.random.Generator) -> None:
    features = layers(rng, 784, 6, 5, 4)
    model = sigmoid_classifier((784, 6, 5, 4, 10), features).eval()
    x = rng.random((7, 784))
    h = x
    for weight, bias in features:
        h = 1 / (1 + np.exp(-(h @ weight.T + bias)))
    found = model[:10](cr.tensor(x, dtype="float32")).numpy()
    np.testing.assert_allclose(found, h, rtol=1e-4)
    shapes = [tuple(p.shape) for p in model.parameters()]
    assert shapes[-2:] == [(10, 4), (10,)]


def test_few_labels_are_as_many_of_each_class(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = (part.take(3000) for part in cr.data.mnist())
    stages: dict[str, Any] = {}

    def fit(experiment: Any, name: str, trainer: Any, data: Any, **budget: Any) -> Any:
        stages[name] = data
        return trainer

    monkeypatch.setattr(Experiment, "fit", fit)
    budget = {"epochs": 1, "batch_size": 10, "lr": 0.1}
    features = layers(rng, 784, 3)
    errors = fine_tuning_errors(Experiment(), train, test, features, 100, **budget)
    assert set(errors) == {"random", "pretrained"}
    assert set(stages) == {"100-random", "100-pretrained"}
    for few in stages.values():
        assert np.bincount(few.y).tolist() == [10] * 10
        first = np.flatnonzero(train.y == 7)[:10]
        np.testing.assert_array_equal(few.x[few.y == 7], train.x[first])
