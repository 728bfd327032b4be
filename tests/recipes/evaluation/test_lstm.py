"""lstm: the gates and states of the layer."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.recipes.evaluation import lstm


def test_the_gates_are_those_of_the_layer() -> None:
    cr.manual_seed(0)
    layer = nn.LSTM(2, 5, batch_first=True)
    x = np.random.default_rng(1).random((12, 2)).astype("f4")
    run = lstm.steps({k: np.asarray(v) for k, v in layer.state_dict().items()}, x)
    states, (h, c) = layer(cr.tensor(x[None]))
    assert states.numpy()[0] == pytest.approx(run.h, abs=1e-6)
    assert h.numpy().ravel() == pytest.approx(run.h[-1], abs=1e-6)
    assert c.numpy().ravel() == pytest.approx(run.c[-1], abs=1e-6)
    before = np.vstack([np.zeros(5), run.c[:-1]])
    added = run.c - run.f * before  # i ⊙ g, and |g| < 1
    assert (np.abs(added) < run.i).all()
    assert run.o == pytest.approx(run.h / np.tanh(run.c), abs=1e-6)
