"""Modules stay as they are while a function is compiled; changes are counted."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.errors import ArgumentError
from chainrule.graph.context import changes
from chainrule.graph.types import ArrayType

X = np.ones((2, 2), np.float32)


class Counter(nn.Module):
    def __init__(self, change):
        self.state, self.calls, self.note = cr.tensor([0.0]), 0, None
        self.inner, self.change = nn.Linear(2, 2), change

    def forward(self, x):
        self.change(self, x)
        return x + self.state


CHANGES = {
    "a buffer": (lambda m, x: setattr(m, "state", m.state + 1), r"self.state.copy_\(n"),
    "a number": (lambda m, x: setattr(m, "calls", m.calls + 1), "Counter.calls is set"),
    "what is computed": (lambda m, x: setattr(m, "note", x), r"is returned"),
    "a new name": (lambda m, x: setattr(m, "last", x), "would happen once"),
    "another layer": (lambda m, x: setattr(m, "inner", nn.Tanh()), "inner is"),
    "within": (lambda m, x: setattr(m.inner, "extra", 3), "Linear.extra"),
    "another dtype": (lambda m, x: m.double(), "Counter.dtype is set"),
    "deletion": (lambda m, x: delattr(m, "calls"), "calls is set"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_would_happen_once_is_refused(name):
    change, words = CHANGES[name]
    eager = Counter(change)
    eager(X)  # of one's own business
    module = Counter(change)
    held = dict(module.__dict__)
    with pytest.raises(ArgumentError, match=f"(?s){words}"):
        cr.compile(module, engine="numpy")(X)
    assert module.__dict__ == held


def test_state_that_changes_in_place():
    module = Counter(lambda m, x: m.state.copy_(m.state + 1))
    run = cr.compile(module, engine="numpy")
    for n in (1, 2, 3):
        np.testing.assert_array_equal(run(X).numpy(), X + n)
    assert module.state.tolist() == [3.0]


def test_the_same_thing_again_is_no_change():
    def same(m, x):
        m.state, m.inner, m.change = m.state, m.inner, m.change
        m.calls, m.note = 0, None

    np.testing.assert_array_equal(
        cr.compile(Counter(same), engine="numpy")(X).numpy(), X
    )


def test_modules_that_are_made_within():
    def function(x):
        layer = nn.Softplus(2.0)
        layer.beta = 1.0
        net = nn.Sequential(layer).append(nn.Tanh())
        loss = nn.MSELoss(reduction="sum")
        return loss(net(x), nn.functional.hardtanh(x))

    run = cr.compile(function, engine="numpy")
    np.testing.assert_allclose(run(X).numpy(), function(cr.tensor(X)).numpy())


def test_a_module_that_was_made_in_another_trace_stays():
    kept = []

    def first(x):
        kept.append(nn.LeakyReLU())
        return kept[0](x)

    def second(x):
        kept[0].negative_slope = 0.5
        return kept[0](x)

    trace_entry("first", first, [Input("x", ArrayType((2, 2), cr.float32))])
    kept[0].negative_slope = 0.25
    with pytest.raises(ArgumentError, match="negative_slope is set"):
        cr.compile(second, engine="numpy")(X)


def test_changes_are_counted():
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))

    def counts(action):
        before = changes.count
        action()
        return changes.count > before

    assert counts(lambda: setattr(module[1], "p", 0.25))
    assert counts(lambda: setattr(module, "extra", 1))
    assert counts(lambda: delattr(module, "extra"))
    assert counts(module.eval)
    assert not counts(module.eval)
    assert counts(lambda: setattr(module, "training", True))
    assert counts(module.double)
    assert counts(lambda: module.append(nn.Tanh()))
    x = cr.tensor(X.astype(np.float64))
    assert not counts(lambda: module(x))
    assert not counts(lambda: cr.compile(module, engine="numpy")(x))
    assert not counts(lambda: module.load_state_dict(module.state_dict()))
    losses = [nn.functional.mse_loss(x, x, reduction="sum") for _ in range(2)]
    assert losses[0].item() == 0
    assert not counts(lambda: nn.functional.mse_loss(x, x, reduction="sum"))
