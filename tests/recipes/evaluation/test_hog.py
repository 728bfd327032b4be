"""hog: beside its definition and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.recipes.evaluation import hog

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
    found = []
    for i in range(counts.shape[0] - 1):
        for j in range(counts.shape[1] - 1):
            v = counts[i : i + 2, j : j + 2].reshape(-1)
            v = np.minimum(v / np.sqrt((v**2).sum() + 1e-10), 0.2)
            found.append(v / np.sqrt((v**2).sum() + 1e-10))
    return np.concatenate(found)


def test_hog_by_hand() -> None:
    found = hog.histograms(IMAGES, 4)
    assert found.shape == (3, 2 * 3 * 36)
    for image, row in zip(IMAGES, found):
        np.testing.assert_allclose(row, by_hand(image, 4), rtol=1e-9, atol=1e-12)


def test_hog_beside_scikit_image() -> None:
    feature = pytest.importorskip("skimage.feature")
    how = {"orientations": 9, "pixels_per_cell": (4, 4), "cells_per_block": (2, 2)}
    for image, row in zip(IMAGES, hog.histograms(IMAGES, 4)):
        wanted = feature.hog(image, **how, block_norm="L2-Hys")
        np.testing.assert_allclose(row, wanted, rtol=1e-6, atol=1e-9)


def test_an_edge_lands_in_its_bin() -> None:
    """A step from left to right has its gradient at 0°, one downwards at 90°."""
    across = np.zeros((1, 8, 8))
    across[:, :, 4:] = 1
    for image, angle in ((across, 0), (across.transpose(0, 2, 1), 90)):
        counts = hog.cells(image, 4).sum((0, 1, 2))
        assert counts.argmax() == angle // 20
        assert counts.sum() == counts.max()
