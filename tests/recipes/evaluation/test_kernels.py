"""Edges and strokes of kernels by least squares."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.recipes.evaluation.kernels import edges_and_strokes


def test_slopes_and_ridges_by_least_squares() -> None:
    rng = np.random.default_rng(1)
    kernels = rng.standard_normal((6, 5, 5))
    down, right = np.indices((5, 5)) - 2.0
    kernels[0] = 3 * right - 1  # ink to the right
    kernels[1] = -2.0 * down  # ink above
    kernels[2] = 2 - right**2  # an upright stroke
    shares = edges_and_strokes(kernels)
    one = np.ones(25)
    slope = np.stack([one, right.ravel(), down.ravel()], 1)
    ridge = [one, (right**2).ravel(), (right * down).ravel(), (down**2).ravel()]
    for i, kernel in enumerate(kernels.reshape(6, 25)):
        for columns, share in (
            (slope, shares.edge[i]),
            (np.stack(ridge, 1), shares.stroke[i]),
        ):
            left = np.linalg.lstsq(columns, kernel, rcond=None)[1]
            explained = 1 - left.sum() / ((kernel - kernel.mean()) ** 2).sum()
            assert share == pytest.approx(explained, abs=1e-9)
    assert shares.degrees[:2] == pytest.approx([0, 90])
    assert (shares.edge[:3] > 0.99).tolist() == [True, True, False]
