"""Projection of vectors to a plane by PCA, to draw codes and embeddings."""

from __future__ import annotations

import numpy as np


def principal_plane(vectors: np.ndarray) -> np.ndarray:
    """Project vectors (n, d) to the plane of their largest variance, (n, 2).

    The first two principal components (Pearson 1901). Of the two signs of an axis the
    one is chosen in which its largest number is positive.

    >>> vectors = np.array([[0.0, 4.0], [1.0, -2.0], [-1.0, -2.0]])
    >>> print(principal_plane(vectors)[:, 0].round(6))
    [ 4. -2. -2.]
    """
    centred = vectors - vectors.mean(0)
    left, sizes, __ = np.linalg.svd(centred, full_matrices=False)
    plane = left[:, :2] * sizes[:2]
    signs = np.sign(plane[np.abs(plane).argmax(0), [0, 1]])
    return plane * np.where(signs == 0, 1, signs)
