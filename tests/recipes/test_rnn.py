"""rnn against its formula in NumPy, and what a killed run becomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, rnn

from .runs import check

RECIPE = "rnn"


def test_the_problem() -> None:
    x, y = rnn.problem(500, 20, np.random.default_rng(0))
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


def test_the_gates_are_those_of_the_layer() -> None:
    cr.manual_seed(0)
    model = rnn.Reader("LSTM", 2, 5, 1, keep=1.0)
    x, _ = rnn.problem(1, 12, np.random.default_rng(1))
    weights = {k: np.asarray(v) for k, v in model.state_dict().items()}
    run = rnn.gates(weights, x[0])
    states, (h, c) = model.layer(cr.tensor(x))
    assert states.numpy()[0] == pytest.approx(run["h"], abs=1e-6)
    assert h.numpy().ravel() == pytest.approx(run["h"][-1], abs=1e-6)
    assert c.numpy().ravel() == pytest.approx(run["c"][-1], abs=1e-6)
    before = np.vstack([np.zeros(5), run["c"][:-1]])
    kept = run["c"] - run["f"] * before  # i ⊙ g, and |g| < 1
    assert (np.abs(kept) < run["i"]).all()


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_what_keeps_starts_open(kind: str) -> None:
    """With nothing to read, the gate that keeps the state is σ(1 ± 2/√H)."""
    model = rnn.Reader(kind, 2, 64, 1, keep=1.0)
    assert (model.layer.bias_ih_l0.numpy()[64:128] == 1).all()
    others = np.abs(np.delete(model.layer.bias_ih_l0.numpy(), slice(64, 128)))
    assert others.max() <= 1 / 8


def test_answers_after_each_row() -> None:
    """The last of them is what the network is trained on."""
    cr.manual_seed(0)
    model = rnn.Reader("GRU", 28, 6, 10)
    x = np.random.default_rng(0).random((10, 784)).astype("f4")
    said = rnn.answers(Experiment("rnn", engine="numpy"), model, x)
    assert said.shape == (10, 28, 10)
    assert said[:, -1] == pytest.approx(model(cr.tensor(x)).numpy(), abs=1e-6)
    changed = x.copy()
    changed[:, 20 * 28 :] = 0
    other = rnn.answers(Experiment("rnn", engine="numpy"), model, changed)
    assert np.array_equal(said[:, :20], other[:, :20])
    assert not np.allclose(said[:, 20], other[:, 20])


def test_the_unit_that_keeps_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    """It is found among others, where it was built by hand."""
    model = rnn.Reader("LSTM", 2, 4, 1)
    for p in model.parameters():
        p.copy_(np.zeros(p.shape))
    w, b = np.zeros((16, 2)), np.zeros(16)
    w[2, 1], b[2] = 40, -20  # unit 2: i opens at marks alone
    b[6], b[14] = 20, 20  # f stays open, and so does o
    w[10, 0] = 0.1  # g is a tenth of the number
    model.layer.weight_ih_l0.copy_(w)
    model.layer.bias_ih_l0.copy_(b)
    found = rnn.look_inside(Experiment("rnn"), model, 30)
    assert found["unit"] == 2
    assert found["correlation"] > 0.9999
    assert found["i"]["marked"] > 0.999 > 0.001 > found["i"]["elsewhere"]
    assert found["f"]["elsewhere"] > 0.999
    assert "number 2, whose c" in capsys.readouterr().out


def test_smoothing_by_hand() -> None:
    x, y = rnn.smooth(np.array([1.0, 2.0, 6.0]), 2)
    assert (x.tolist(), y.tolist()) == ([2, 3], [1.5, 4.0])
    assert rnn.smooth(np.array([1.0, 2.0]), 25)[1].tolist() == [1.5]


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result, text = whole["result"], whole["text"]
    assert set(result["adding"]) == {"plain", "LSTM", "GRU"}
    for kind, error in result["adding"].items():
        assert 0.05 < error < 0.25  # after 120 steps nobody has found out
        line = next(row for row in text.splitlines() if row[3:].startswith(kind))
        assert line.endswith(f"{error:.5f}")
    for row in result["mnist"].values():
        assert len(row["rows"]) == 28
        assert row["accuracy"] == row["rows"][-1] > row["rows"][2]
    check(whole, "adding", "gates", "rows", "reading")
