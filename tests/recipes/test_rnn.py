"""rnn against its formula in NumPy, and what a killed run becomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, rnn

from .runs import check

RECIPE = "rnn"


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_what_keeps_starts_open(kind: str) -> None:
    """With nothing to read, the gate that keeps the state is σ(1 ± 2/√H)."""
    model = rnn.Reader(kind, 2, 64, 1, keep=1.0)
    assert (model.layer.bias_ih_l0.numpy()[64:128] == 1).all()
    others = np.abs(np.delete(model.layer.bias_ih_l0.numpy(), slice(64, 128)))
    assert others.max() <= 1 / 8


def test_outputs_after_each_row() -> None:
    """The last of them is what the network is trained on."""
    cr.manual_seed(0)
    model = rnn.Reader("GRU", 28, 6, 10)
    x = np.random.default_rng(0).random((10, 784)).astype("f4")
    scores = rnn.outputs(Experiment("rnn", engine="numpy"), model, x)
    assert scores.shape == (10, 28, 10)
    assert scores[:, -1] == pytest.approx(model(cr.tensor(x)).numpy(), abs=1e-6)
    changed = x.copy()
    changed[:, 20 * 28 :] = 0
    other = rnn.outputs(Experiment("rnn", engine="numpy"), model, changed)
    assert np.array_equal(scores[:, :20], other[:, :20])
    assert not np.allclose(scores[:, 20], other[:, 20])


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
    at_mark, elsewhere = found["input"]
    assert at_mark > 0.999 > 0.001 > elsewhere
    assert min(found["forget"]) > 0.999
    assert "Unit 2 of the LSTM" in capsys.readouterr().out


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result, text = whole["result"], whole["text"]
    assert set(result["adding"]) == {"plain", "LSTM", "GRU"}
    for kind, error in result["adding"].items():
        assert 0.1 < error < 0.25 if kind == "plain" else error < 0.02
        line = next(row for row in text.splitlines() if row[3:].startswith(kind))
        assert line.endswith(f"{error:.5f}")
    for row in result["mnist"].values():
        assert len(row["rows"]) == 28
        assert row["accuracy"] == row["rows"][-1] > 0.7 > row["rows"][2]
    assert abs(result["gates"]["correlation"]) > 0.7
    check(whole, "adding", "gates", "reading")
