"""dqn: what its memory holds, the quick run. Its loss is tested with the agents."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chainrule import errors, rl
from chainrule.recipes import Experiment, dqn

from .runs import check, need

RECIPE = "dqn"

need("gymnasium")
TINY = replace(
    dqn.QUICK,
    total_steps=1300,
    learning_starts=300,
    target_update=100,
    buffer_size=700,
    episodes=3,
)


def test_what_the_buffer_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows follow one another; an episode that is cut short has not ended."""
    buffers: list[rl.ReplayBuffer] = []

    def built(*args: Any) -> rl.ReplayBuffer:
        buffers.append(rl.ReplayBuffer(*args))
        return buffers[-1]

    monkeypatch.setattr("chainrule.rl.dqn.ReplayBuffer", built)
    settings = replace(TINY, total_steps=700, buffer_size=700, tests=1)
    result = dqn.train(Experiment(threads=1), "Acrobot-v1", settings)
    rows = buffers[0].transitions
    assert buffers[0].count == 700
    assert result["episodes"] == 1  # 500 steps, then cut short
    begins = [499] if not rows.terminated.any() else []
    assert begins == [499]
    onward = (rows.next_observations[:-1] == rows.observations[1:]).all(1)
    assert np.flatnonzero(~onward).tolist() == begins
    assert set(rows.rewards.tolist()) == {-1}
    assert set(rows.actions.tolist()) == {0, 1, 2}


def test_an_environment_whose_reward_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium

    step = gymnasium.envs.classic_control.CartPoleEnv.step

    def broken(self: Any, action: int) -> Any:
        seen, _, *rest = step(self, action)
        return seen, float("nan"), *rest

    monkeypatch.setattr(gymnasium.envs.classic_control.CartPoleEnv, "step", broken)
    monkeypatch.setattr(dqn, "QUICK", TINY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium says so too
        with pytest.raises(errors.NonFiniteError, match=r"reward of .* is no finite"):
            dqn.run(Experiment("dqn", quick=True, engine="numpy"))


def test_the_quick_run(whole: dict[str, Any]) -> None:
    """It plays better than at random: 22 steps, and −500."""
    result = whole["result"]
    for name in dqn.NAMES:
        assert len(result[name]["scores"]) == dqn.QUICK.tests
    assert result["CartPole-v1"]["test"] > 100
    assert result["Acrobot-v1"]["test"] > -300
    what = ("returns", "learning")
    check(whole, *dqn.NAMES, *(f"{n}-{w}" for n in dqn.NAMES for w in what))
