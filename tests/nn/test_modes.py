"""Compiled functions follow the modes of modules: train() and eval()."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule import nn

X = cr.tensor(np.random.default_rng(0).normal(3.0, 2.0, (6, 2)).astype(np.float32))


def test_a_compiled_model_can_be_switched(engine):
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5))
    run = cr.compile(model, engine=engine)
    run(X)
    before = model.state_dict()
    assert before["0.num_batches_tracked"] == 1
    model.eval()
    np.testing.assert_allclose(run(X).numpy(), model(X).numpy(), rtol=1e-6)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    model.train()
    assert (run(X).numpy() == 0).any()
    assert model[0].num_batches_tracked.item() == 2


def test_one_module_alone_can_be_switched():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5))
    run = cr.compile(model, engine="numpy")
    assert (run(X).numpy() == 0).any()
    model[1].eval()
    assert (run(X).numpy() != 0).all()
    assert model[0].num_batches_tracked.item() == 2


def test_a_mode_that_is_known_is_not_traced_again():
    model = nn.Sequential(nn.Dropout(0.5))
    run = cr.compile(lambda x: model(x), engine="numpy")
    for mode in (True, False, True, False, False):
        model.train(mode)
        assert (run(X).numpy() == 0).any() == mode
    assert len(run.programs) == 2


def test_a_function_that_switches_modes_itself():
    """It is traced once for the mode before and once for the one it leaves behind."""
    model = nn.Sequential(nn.Dropout(0.5))

    def function(x):
        model.train()
        made = model(x)
        model.eval()
        return made

    run = cr.compile(function, engine="numpy")
    for _ in range(4):
        assert (run(X).numpy() == 0).any()
    assert len(run.programs) == 2
