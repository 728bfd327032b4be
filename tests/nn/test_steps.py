"""Steps and Transpose: sequences in a row of layers, by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ShapeError

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("take", "dim", "expected"),
    [
        ("last", 1, X[:, -1]),
        ("last", -1, X[..., -1]),
        ("last", 0, X[-1]),
        ("mean", 1, X.mean(1)),
        ("max", 2, X.max(2)),
        ("all", 1, X),
    ],
)
def test_of_tensors(take: Any, dim: int, expected: Any) -> None:
    made = nn.Steps(take, dim)(cr.tensor(X)).numpy()
    np.testing.assert_allclose(made, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_behind_a_recurrent_layer(kind: Any, both: bool, first: bool) -> None:
    """The last state is the last output, of the way back the first one."""
    layer = kind(3, 6, 2, batch_first=first, bidirectional=both)
    output = layer(cr.tensor(X))[0].numpy()
    steps = output if first else output.transpose(1, 0, 2)
    last = nn.Sequential(layer, nn.Steps())(cr.tensor(X)).numpy()
    expected = np.concatenate([steps[:, -1, :6], steps[:, 0, 6:]], axis=1)
    np.testing.assert_array_equal(last, expected)
    axis = 1 if first else 0
    mean = nn.Sequential(layer, nn.Steps("mean", axis))(cr.tensor(X)).numpy()
    np.testing.assert_allclose(mean, steps.mean(1), rtol=1e-5, atol=1e-6)
    every = nn.Sequential(layer, nn.Steps("all"))(cr.tensor(X)).numpy()
    np.testing.assert_array_equal(every, output)
    single = nn.Sequential(layer, nn.Steps())(cr.tensor(X[0])).numpy()
    assert single.shape == (12 if both else 6,)


def test_transpose() -> None:
    assert nn.Transpose()(cr.tensor(X)).shape == (4, 3, 5)
    convolved = nn.Sequential(nn.Transpose(), nn.Conv1d(3, 7, 2), nn.Steps("max", -1))
    assert convolved(cr.tensor(X)).shape == (4, 7)
    assert nn.Transpose(0, -1)(cr.tensor(X)).shape == (3, 5, 4)


def test_mistakes() -> None:
    with pytest.raises(ArgumentError, match=r"(?s)no such choice.*take='first'"):
        nn.Steps("first")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ShapeError, match=r"(?s)along axis 1.*\(N, T, C\).*\(3,\)"):
        nn.Steps()(cr.zeros(3))
    with pytest.raises(ShapeError, match="axis 4"):
        nn.Steps("max", 4)(cr.tensor(X))
    with pytest.raises(ArgumentError, match=r"(?s)Linear takes one.*nn.Steps\(\)"):
        nn.Sequential(nn.GRU(3, 2), nn.Linear(2, 1))(cr.tensor(X))
