"""folds: the classes' shares, every row tested once, the seed."""

from __future__ import annotations

import numpy as np

from chainrule.recipes.evaluation import folds

from ..runs import need

need("sklearn")


def test_folds_have_their_share_of_each_class() -> None:
    y = np.repeat([0, 1, 2], [50, 30, 20])
    dealt = folds.stratified(y, 5, seed=2**40)
    for train, test in dealt:
        assert np.bincount(y[test]).tolist() == [10, 6, 4]
        assert sorted([*train, *test]) == list(range(100))
    assert sorted(np.concatenate([test for _, test in dealt])) == list(range(100))
    again, other = folds.stratified(y, 5, 2**40), folds.stratified(y, 5, 1)
    assert all((a[1] == b[1]).all() for a, b in zip(dealt, again))
    assert any((a[1] != b[1]).any() for a, b in zip(dealt, other))
