"""Principal component analysis as a baseline, and the reconstruction error."""

from __future__ import annotations

import numpy as np


class PrincipalComponents:
    """Principal component analysis (PCA): x̂ = mean + (x − mean) V Vᵀ.

    No linear code of k numbers has a smaller squared error on the rows that it is
    fitted to.

    Args:
        x: rows to fit to, (n, d).
        k: the numbers of a code.
    """

    def __init__(self, x: np.ndarray, k: int) -> None:
        self.mean = x.mean(0)
        centred = x - self.mean
        __, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        self.vectors = vectors[:, ::-1][:, :k].astype(np.float32)

    def codes(self, x: np.ndarray) -> np.ndarray:
        """Return the principal-component codes of rows, (n, k)."""
        return (x - self.mean) @ self.vectors

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return rows' reconstructions from their principal components, (n, d)."""
        return self.mean + self.codes(x) @ self.vectors.T


def squared_error(x: np.ndarray, reconstruction: np.ndarray) -> float:
    """Return the mean squared reconstruction error ‖x − x̂‖² over rows.

    >>> squared_error(np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([[1.0, 0.0]] * 2))
    3.5
    """
    return float(np.square(x - reconstruction, dtype=np.float64).sum(1).mean())
