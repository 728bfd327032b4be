"""classical: HOG beside its definition and scikit-image, the folds, the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.recipes import Experiment, classical

from .runs import check, need

RECIPE = "classical"

need("sklearn")

IMAGES = np.random.default_rng(0).random((3, 12, 16))


def by_hand(image: np.ndarray, side: int) -> np.ndarray:
    """HOG with loops: gradients, cells, blocks."""
    height, width = image.shape
    counts = np.zeros((height // side, width // side, 9))
    for i in range(height):
        for j in range(width):
            gy = image[i + 1, j] - image[i - 1, j] if 0 < i < height - 1 else 0.0
            gx = image[i, j + 1] - image[i, j - 1] if 0 < j < width - 1 else 0.0
            angle = np.degrees(np.arctan2(gy, gx)) % 180
            size = np.hypot(gx, gy) / side**2
            counts[i // side, j // side, min(int(angle // 20), 8)] += size
    made = []
    for i in range(counts.shape[0] - 1):
        for j in range(counts.shape[1] - 1):
            v = counts[i : i + 2, j : j + 2].reshape(-1)
            v = np.minimum(v / np.sqrt((v**2).sum() + 1e-10), 0.2)
            made.append(v / np.sqrt((v**2).sum() + 1e-10))
    return np.concatenate(made)


def test_hog_by_hand() -> None:
    made = classical.hog(IMAGES, 4)
    assert made.shape == (3, 2 * 3 * 36)
    for image, row in zip(IMAGES, made):
        np.testing.assert_allclose(row, by_hand(image, 4), rtol=1e-9, atol=1e-12)


def test_hog_beside_scikit_image() -> None:
    feature = pytest.importorskip("skimage.feature")
    how = {"orientations": 9, "pixels_per_cell": (4, 4), "cells_per_block": (2, 2)}
    for image, row in zip(IMAGES, classical.hog(IMAGES, 4)):
        wanted = feature.hog(image, **how, block_norm="L2-Hys")
        np.testing.assert_allclose(row, wanted, rtol=1e-6, atol=1e-9)


def test_an_edge_lands_in_its_bin() -> None:
    """A step from left to right has its gradient at 0°, one downwards at 90°."""
    across = np.zeros((1, 8, 8))
    across[:, :, 4:] = 1
    for image, angle in ((across, 0), (across.transpose(0, 2, 1), 90)):
        counts = classical.cells(image, 4).sum((0, 1, 2))
        assert counts.argmax() == angle // 20
        assert counts.sum() == counts.max()


def test_the_folds_are_those_of_cross_val_score() -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    x, y, folds = classical.digits(Experiment())
    data: Any = load_digits()
    model = KNeighborsClassifier(3)
    wanted = cross_val_score(model, data.data / 16, data.target)
    flat = x.reshape(len(x), -1)
    found = [model.fit(flat[r], y[r]).score(flat[h], y[h]) for r, h in folds]
    assert found == wanted.tolist()
    assert sorted(np.concatenate([h for _, h in folds])) == list(range(1797))


def test_mnist_is_split_as_it_came() -> None:
    x, _, [(rest, held)] = classical.mnist(Experiment(quick=True))
    assert x.shape == (900, 28, 28)
    assert (len(rest), len(held)) == (600, 300)
    assert not set(rest) & set(held)


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
