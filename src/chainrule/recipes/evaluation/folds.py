"""Stratified cross-validation folds as row numbers, for several models."""

from __future__ import annotations

import numpy as np

#: Numbers of the training rows and of the test rows.
Fold = tuple[np.ndarray, np.ndarray]


def stratified(y: np.ndarray, count: int, seed: int) -> list[Fold]:
    """Return stratified cross-validation folds, by scikit-learn.

    Args:
        y: the class of each row.
        count: the number of folds; each row is tested in one of them.
        seed: of the shuffling.

    >>> (train, test), __ = stratified(np.array([0, 0, 1, 1]), 2, seed=0)
    >>> sorted([*train, *test]) == [0, 1, 2, 3], np.array([0, 0, 1, 1])[test].tolist()
    (True, [0, 1])
    """
    from sklearn.model_selection import StratifiedKFold

    deal = StratifiedKFold(count, shuffle=True, random_state=seed % 2**32)
    return [(train, test) for train, test in deal.split(y, y)]
