"""adding: marks, sums, and what a constant is worth."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.recipes.datasets import adding


def test_the_problem() -> None:
    x, y = adding.problem(500, 20, np.random.default_rng(0))
    assert x.shape == (500, 20, 2)
    assert y.shape == (500, 1)
    assert set(np.unique(x[..., 1])) == {0, 1}
    assert (x[:, :10, 1].sum(1) == 1).all()
    assert (x[:, 10:, 1].sum(1) == 1).all()
    for row, wanted in zip(x, y):
        first, second = np.flatnonzero(row[:, 1])
        assert wanted[0] == row[first, 0] + row[second, 0]
    assert ((y - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.2)
    assert (x[..., 1].sum(0) > 20).all()  # a mark may stand anywhere
