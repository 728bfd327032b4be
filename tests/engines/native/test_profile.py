"""A profile measures every step of a schedule, and leaves everything as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.engines.native.emit import entry_points
from chainrule.engines.native.loops import lines
from chainrule.engines.native.runtime import profiling, roofline
from chainrule.engines.schedule.machine import CACHE
from chainrule.engines.schedule.profile import Measured, Profile


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few rounds as there may be."""
    monkeypatch.setattr(profiling, "SECONDS", 0.0)
    monkeypatch.setattr(roofline, "SECONDS", 0.0)


def every(parts: Any) -> list[Measured]:
    """The parts, and those within them."""
    return [p for part in parts for p in (part, *every(sum(part.within, ())))]


def check(profile: Profile) -> None:
    """What holds for all profiles."""
    whole = sum(p.microseconds for p in profile.steps)
    whole += profile.rest + profile.waited
    assert whole == pytest.approx(profile.microseconds)
    assert 0 < whole <= profile.fastest * 1.0001
    for part in every(profile.steps):
        assert part.microseconds > 0, part.step.does
        assert part.predicted > 0
        assert part.bytes > 0
        for body in part.within:
            inner = sum(p.microseconds for p in body)
            assert inner <= part.microseconds * 1.0001
            assert sum(p.flops for p in body) <= part.flops
    assert profile.roof.gflops > 0 < profile.roof.gigabytes
    named = {p.step.does for p in profile.steps if p.step.does in str(profile)}
    assert named


@pytest.mark.one_in(3, first=1)
@pytest.mark.parametrize("threads", [1, 2, None])
def test_every_step_is_measured_and_the_state_stays(threads: int | None) -> None:
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
    before = {k: executable.read(k) for k in executable.state}
    weights = {k: v.copy() for k, v in model.state_dict().items()}
    gradients = [p.grad for p in model.parameters()]
    profile = run.profile(x, y)
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        assert p.grad is gradient is not None
        assert np.any(gradient.numpy())
    for key, array in before.items():
        np.testing.assert_array_equal(executable.read(key), array)
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, weights[key])
    assert optimizer.steps == 1
    check(profile)
    (schedule,) = run.schedule
    assert len(profile.steps) == sum(not s.free for s in schedule.steps)
    products = [s for s in profile.steps if s.step.node.primitive.name == "dot_general"]
    assert 2 * 32 * 64 * 128 in {s.flops for s in products}
    assert all(p.reached > 0 for p in products)


def test_a_counter_that_stands_still_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(entry_points, "emit_ticks", lambda builder: ir.IntType(64)(0))
    run = cr.compile(lambda x: x @ x, engine="native", threads=1)
    run(cr.ones(8, 8))
    with pytest.raises(errors.EngineError, match="stands still"):
        run.profile(cr.ones(8, 8))


def test_what_is_within_a_loop_is_part_of_it() -> None:
    w = cr.tensor(np.eye(32, dtype="f4"))

    def step(x):
        return cr.scan(lambda h, _: ((h @ w).tanh(), h.sum()), x, length=20)

    run = cr.compile(step, engine="native", threads=2)
    x = cr.ones(16, 32)
    run(x)
    profile = run.profile(x)
    check(profile)
    (loop,) = [p for p in profile.steps if p.within]
    ((product,),) = [
        [p for p in body if p.step.does == "dot_general"] for body in loop.within
    ]
    assert product.flops == 20 * 2 * 16 * 32 * 32
    assert loop.predicted == pytest.approx(sum(p.predicted for p in loop.within[0]))
    assert "· " in str(profile)
    plain = profile.plain()
    assert len(plain["steps"]) == len(profile.steps)
    (schedule,) = run.schedule
    assert "scan" in str(schedule)
    assert str(schedule).count("dot_general") == 1


def test_a_branch_costs_what_the_dearer_one_does() -> None:
    def step(x):
        return cr.cond(x.sum() > 0, lambda x: x @ x.T @ x, lambda x: x, x)

    run = cr.compile(step, engine="native", threads=1)
    run(cr.ones(16, 16))
    profile = run.profile(cr.ones(16, 16))
    check(profile)
    (branch,) = [p for p in profile.steps if p.within]
    assert len(branch.within) == 2
    assert branch.predicted == max(sum(p.predicted for p in b) for b in branch.within)
    taken, other = (sum(p.microseconds for p in body) for body in branch.within)
    assert other == 0 < taken or not profile.fastest  # without a counter nobody knows


def test_a_run_that_fails_leaves_the_state_too() -> None:
    total = cr.tensor([0.0])

    def step(x, i):
        total.copy_(total + 1)
        return x[i]

    run = cr.compile(step, engine="native", threads=1)
    x = cr.ones(5, 2)
    run(x, cr.tensor([4]))
    with pytest.raises(errors.ArgumentError, match="out of range"):
        run.profile(x, cr.tensor([5]))
    assert total.item() == 1.0
    run(x, cr.tensor([0]))
    assert total.item() == 2.0


def test_a_product_with_its_loop_has_the_work_of_both() -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(lr=1e-3)
    trainer = cr.Trainer(model, loss=loss, optimizer=optimizer, engine="native")
    x, y = np.ones((32, 64), "f4"), np.arange(32, dtype="i4") % 10
    profile = trainer.profile((x, y), batch_size=32)
    check(profile)
    product = 2 * 32 * 64 * 128
    (forward,) = [p for p in profile.steps if p.flops == product]
    (both,) = [p for p in profile.steps if p.flops > product]
    assert both.step.does.startswith("dot_general·")
    assert both.flops - product == 64 * 128 * both.step.does.count("·")
    assert both.predicted > forward.predicted


def test_costs_know_from_which_length_on_sums_run_side_by_side() -> None:
    assert CACHE.lanes_from == lines.FEW_FROM
