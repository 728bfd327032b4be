"""projection: the plane beside eigenvectors of the covariance."""

from __future__ import annotations

import numpy as np

from chainrule.recipes.evaluation.projection import principal_plane


def test_two_directions() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((40, 2)) @ np.array([[5, 0, 1, 0], [0, 1, 0, 2]])
    found = principal_plane(vectors)
    apart = vectors - vectors.mean(0)
    _, axes = np.linalg.eigh(apart.T @ apart)
    wanted = np.abs(apart @ axes[:, [-1, -2]])
    np.testing.assert_allclose(np.abs(found), wanted, atol=1e-9)
    largest = np.abs(found).argmax(0)
    assert (found[largest, [0, 1]] > 0).all()
