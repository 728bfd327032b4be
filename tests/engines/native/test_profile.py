"""A profile measures every step of a schedule, and leaves the state as it was."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule as cr
from chainrule import nn, optim


@pytest.mark.parametrize("threads", [1, 2])
def test_every_step_is_measured_and_the_state_stays(threads: int) -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer, loss = optim.Adam(model.parameters()), nn.CrossEntropyLoss()

    def step(x, y):
        optimizer.zero_grad()
        made = loss(model(x), y)
        made.backward()
        optimizer.step()
        return made

    run = cr.compile(step, engine="native", threads=threads)
    x, y = cr.ones(32, 64), cr.tensor(np.arange(32) % 10)
    run(x, y)
    executable = run.programs[0].executable
    (name,) = executable.schedules
    before = {k: executable.read(k) for k in executable.state}
    inputs = {
        v.name: np.ones(
            (1, *v.shape) if v.name in entry.each else v.shape, v.dtype.numpy
        )
        for entry in [run.programs[0].program.entries[name]]
        for v in entry.graph.inputs[: len(entry.inputs)]
    }
    profile = executable.profile(name, inputs, steps=1, sizes={}, threads=threads)
    for key, array in before.items():
        np.testing.assert_array_equal(executable.read(key), array)
    steps = profile.steps
    assert len(steps) == sum(not s.free for s in executable.schedules[name].steps)
    total = sum(s.microseconds for s in steps)
    if any(profile.ticks.values()):  # a processor without a counter has none
        assert 0.9 < total / profile.microseconds < 1.001  # checks are not shown
    products = [s for s in steps if s.step.node.primitive.name == "dot_general"]
    assert 2 * 32 * 64 * 128 in {s.flops for s in products}
    assert "dot_general" in str(profile)
