"""Learners that see every row of a table but one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.recipes import Experiment
from chainrule.recipes.evaluation import leave_one_out

from ..runs import need

need("sklearn")

RNG = np.random.default_rng(0)
TABLE = RNG.integers(0, 2, (12, 4))
TABLE[RNG.random(TABLE.shape) < 0.1] = -1
FEATURES = np.eye(3, dtype=bool)[RNG.integers(0, 3, 12)]


def test_inputs_and_targets() -> None:
    cells, x, y = leave_one_out.examples(TABLE, FEATURES)
    assert len(cells) == (TABLE >= 0).sum() < TABLE.size
    assert x.shape == (len(cells), 12, 3 + 3)
    for (i, j), inputs, targets in zip(cells, x, y):
        assert (targets == TABLE[:, j]).all()
        others = np.delete(TABLE[i], j)
        assert inputs[i, :3].tolist() == [{1: 1, 0: -1, -1: 0}[v] for v in others]
        assert (inputs[:, 3:] == FEATURES).all()


def networks(*cells: Any) -> list[int]:
    return leave_one_out.by_networks(Experiment(engine="numpy"), *cells)


@pytest.mark.parametrize("learner", [leave_one_out.by_trees, networks])
def test_the_row_that_is_left_out_is_not_seen(learner: Callable[..., Any]) -> None:
    """Predictions depend on the labels of other rows, not on the row's own."""
    cells, x, y = leave_one_out.examples(TABLE, FEATURES)
    predictions = learner(cells, x, y)
    assert {0, 1} == {*predictions}
    own, others = y.copy(), y.copy()
    for n, (i, _) in enumerate(cells):
        own[n, i] = 1 - own[n, i]
        others[n] = np.where(y[n] < 0, -1, 1 - y[n])
    assert learner(cells, x, own) == predictions
    assert learner(cells, x, others) != predictions
