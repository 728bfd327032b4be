"""classical: the folds, the quick run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.recipes import classical

from .runs import check, need

RECIPE = "classical"

need("sklearn")


def test_the_folds_are_those_of_cross_val_score() -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    x, y, folds = classical.digits()
    data: Any = load_digits()
    model = KNeighborsClassifier(3)
    wanted = cross_val_score(model, data.data / 16, data.target)
    flat = x.reshape(len(x), -1)
    found = [model.fit(flat[r], y[r]).score(flat[h], y[h]) for r, h in folds]
    assert found == wanted.tolist()
    assert sorted(np.concatenate([h for _, h in folds])) == list(range(1797))


def test_mnist_is_split_as_it_came() -> None:
    x, _, [(train, test)] = classical.mnist(quick=True)
    assert x.shape == (900, 28, 28)
    assert (len(train), len(test)) == (600, 300)
    assert not set(train) & set(test)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    text = whole["text"]
    for name, asked in (("digits", 360), ("mnist", 300)):
        result = whole["result"][name]
        assert f"{name}, " in text
        for machine in ("tree", "kNN", "SVM", "forest"):
            cells = "".join(f"{result[k][machine]:14.1%}" for k in ("pixels", "HOG"))
            assert f"   {machine:9}{cells}\n" in text
        confusion = np.array(result["confusion"])
        assert confusion.sum() == asked
        best = result["best"].split()
        score = result[best[0]][best[1]] if best[1:] else result["network"]
        assert np.trace(confusion) / asked == pytest.approx(score)
        scores = [result["network"], *result["pixels"].values()]
        assert score == max(*scores, *result["HOG"].values())
        assert result["pixels"]["SVM"] > 0.85
    kinds = ("hog", "filters", "confusion")
    check(whole, *(f"{n}-{k}" for n in ("digits", "mnist") for k in kinds))
