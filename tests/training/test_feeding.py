"""Rows of a data set as a network takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.data.column import Column
from chainrule.training.feeding import fed


@pytest.mark.parametrize(
    ("stored", "scale", "first", "dtype"),
    [
        (np.array([[1, 2]], np.int32), None, nn.Embedding(5, 3), "int32"),
        (np.array([[1, 2]], np.uint8), None, nn.Embedding(5, 3), "int32"),
        (np.array([[1, 2]], np.int64), None, nn.Embedding(5, 3), "int64"),
        (np.array([[1, 2]], np.int32), None, nn.Linear(2, 1), "float32"),
        (np.array([[1, 2]], np.uint8), 1 / 255, nn.Linear(2, 1), "float32"),
        (np.array([[1.0, 2.0]]), None, nn.Linear(2, 1), "float64"),
    ],
)
def test_indices_stay_whole_numbers(
    stored: Any, scale: Any, first: Any, dtype: str
) -> None:
    x = Column(stored, scale)
    got = fed(first, x)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, stored * (scale or 1), rtol=1e-6)


def test_explain_takes_rows_of_tokens() -> None:
    """As ``chainrule explain`` gives them, of a run on texts."""
    cr.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    tokens = np.array([[1, 4], [2, 2]], np.int32)
    y, loss = np.array([0, 1]), nn.CrossEntropyLoss()
    one = cr.explain(model, Column(tokens), y, loss)
    other = cr.explain(model, tokens, y, loss)
    assert one.loss == other.loss
    np.testing.assert_array_equal(one["x"].value, tokens)
    assert one["0.weight"].grad is not None


def test_derivatives_by_samples_are_asked_for() -> None:
    model = nn.Sequential(nn.Linear(2, 1, bias=False))
    model.load_state_dict({"0.weight": [[2.0, -1.0]]})
    x, y = np.array([[1.0, 3.0]], "f4"), np.array([[0.0]], "f4")
    asked = cr.explain(model, x, y, nn.MSELoss(), inputs=True)
    # ∂(w·x)²/∂x = 2 (w·x) w, and w·x = −1.
    np.testing.assert_allclose(asked["x"].grad, [[-4.0, 2.0]])
    assert asked.element("x", (0, 1)).gradient == pytest.approx(2.0)
    usual = cr.explain(model, x, y, nn.MSELoss())
    assert usual["x"].grad is None
    assert asked.text() == usual.text()  # what is told of the step stays
    with pytest.raises(cr.errors.ArgumentError, match="does not depend"):
        usual.element("x", (0, 1))
