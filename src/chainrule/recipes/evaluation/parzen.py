"""The Parzen estimate of a generator's likelihood, from Gaussians at its samples."""

from __future__ import annotations

import math

import numpy as np

#: The deviations σ that validation rows choose from.
SIGMAS = np.geomspace(0.1, 0.4, 25)


def squared_distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the squared distances ‖xᵢ − cⱼ‖² of two sets of vectors, (n, m).

    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]))
    array([[25.,  1.]])
    """
    squares = np.square(x, dtype=np.float64).sum(1, keepdims=True)
    others = np.square(centres, dtype=np.float64).sum(1)
    return np.maximum(squares - 2.0 * (x @ centres.T) + others, 0)


def log_densities(
    x: np.ndarray, centres: np.ndarray, sigmas: np.ndarray = SIGMAS
) -> np.ndarray:
    """Return rows' log densities under Gaussians at centres, for each σ, (rows, σ).

    Args:
        x: (rows, d), 250 at a time.
        centres: (n, d).
        sigmas: (σ,).
    """
    parts = []
    for first in range(0, len(x), 250):
        squares = squared_distances(x[first : first + 250], centres)
        nearest = squares.min(1, keepdims=True)
        columns = [
            np.log(np.exp((nearest - squares) / (2 * s * s)).mean(1))
            - nearest[:, 0] / (2 * s * s)
            - x.shape[1] / 2 * math.log(2 * math.pi * s * s)
            for s in sigmas
        ]
        parts.append(np.stack(columns, 1))
    return np.concatenate(parts)


def likelihood(
    samples: np.ndarray, validation: np.ndarray, test: np.ndarray
) -> dict[str, float]:
    """Return test rows' mean log-likelihood under Gaussians at generated samples.

    σ is the one of :data:`SIGMAS` with which validation rows are likeliest.

    Returns:
        ``sigma``; ``parzen``, the mean in nats, and its standard ``error``.
    """
    sigma = SIGMAS[log_densities(validation, samples).mean(0).argmax()]
    densities = log_densities(test, samples, sigma[None])[:, 0]
    return {
        "sigma": float(sigma),
        "parzen": float(densities.mean()),
        "error": float(densities.std(ddof=1) / math.sqrt(len(densities))),
    }
