"""Selection of a data set's rows by their class labels."""

from __future__ import annotations

import numpy as np


def first_of_each_class(labels: np.ndarray, count: int = 1) -> np.ndarray:
    """Return the row numbers of each class's first ``count`` samples, class by class.

    >>> first_of_each_class(np.array([1, 0, 1, 1, 0]), 2)
    array([1, 4, 0, 2])
    """
    return np.concatenate(
        [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    )
