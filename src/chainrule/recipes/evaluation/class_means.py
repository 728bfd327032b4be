"""The nearest-class-mean classifier, as a measure of the distance of classes."""

from __future__ import annotations

import numpy as np


def nearest_mean_accuracy(
    x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray
) -> float:
    """Return the accuracy of a classifier by the nearest class mean on test rows.

    The means are those of the training rows; distances are Euclidean.

    Args:
        x, y: features (n, d) and classes (n,) of the training rows.
        test_x, test_y: those of the test rows.

    >>> x, y = np.array([[0.0], [1.0], [4.0]]), np.array([0, 0, 1])
    >>> nearest_mean_accuracy(x, y, np.array([[2.0], [3.0]]), np.array([0, 0]))
    0.5
    """
    labels = np.unique(y)
    means = np.stack([x[y == label].mean(0) for label in labels])
    # ‖x − m‖² without ‖x‖², which is the same for all means.
    nearest = (test_x @ means.T - np.square(means).sum(1) / 2).argmax(1)
    return float((labels[nearest] == test_y).mean())
