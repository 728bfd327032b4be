"""Measures by hand, and linear models on texts that words decide."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.recipes.datasets.labelled_texts import Texts
from chainrule.recipes.evaluation import splits, text_classifiers

from ..runs import need

need("sklearn")


def test_measures() -> None:
    y, s = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.6, 0.5, 0.7, 0.9])
    auc, f1, accuracy = text_classifiers.measures(y, s, s > 0.55)
    assert auc == pytest.approx(5 / 6)  # one of the six pairs is the wrong way round
    assert f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert accuracy == pytest.approx(3 / 5)


def test_linear_models() -> None:
    """They read the words of the tokenizer, and nothing of the test's labels."""
    y = np.arange(60) % 2
    texts = [f"{'good' if label else 'bad'} word{i % 7}" for i, label in enumerate(y)]
    train = Texts("t", texts, y, ("blame", "praise"))
    test = Texts(
        "t", ["good day", "bad day", "Good", "bad"], np.array([1, 0, 1, 1]), ("", "")
    )
    results = text_classifiers.linear_models(str.split, train, test)
    assert set(results) == {"naive Bayes", "logistic", "linear SVM"}
    for auc, _, accuracy in results.values():
        assert auc < 1
        assert accuracy <= 0.75
    known = Texts("t", test.texts[:2], test.y[:2], ("", ""))
    results = text_classifiers.linear_models(str.split, train, known)
    assert {tuple(figures) for figures in results.values()} == {(1.0, 1.0, 1.0)}


def test_the_best_rival_of_all_splits() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {k: rng.random(2).tolist() for k in ("network", "a", "b")} for _ in range(4)
    ]
    summary = splits.compare(rows, {"x": "x", "y": "y"})
    table = {k: np.array([row[k] for row in rows]) for k in rows[0]}
    assert summary["splits"] == {k: v.tolist() for k, v in table.items()}
    for i, measure in enumerate(("x", "y")):
        means = {k: v[:, i].mean() for k, v in table.items()}
        found = summary[measure]
        assert found["network"] == pytest.approx(means.pop("network"))
        assert found["rival"] == max(means.values()) == means[found["best"]]
        gains = table["network"][:, i] - table[found["best"]][:, i]
        assert found["gain"] == pytest.approx(gains.mean())
        assert found["error"] == pytest.approx(gains.std(ddof=1) / 2)
    assert splits.compare(rows[:1], {"x": "x", "y": "y"})["x"]["error"] == 0
