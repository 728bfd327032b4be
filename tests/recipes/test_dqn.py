"""dqn: the loss and its gradient by hand, the replay buffer, the quick run."""

from __future__ import annotations

import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.recipes import Experiment, dqn
from chainrule.recipes import reinforcement as rl

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


def transitions(seed: int, rows: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    before, after = rng.standard_normal((2, rows, 4)).astype(np.float32)
    rewards = rng.standard_normal(rows).astype(np.float32)
    actions, ended = rng.integers(2, size=(2, rows))
    return [before, actions, rewards, after, ended.astype(np.float32)]


def q_values(weights: dict[str, Any], seen: np.ndarray) -> np.ndarray:
    """The network, in NumPy's float64."""
    w = {k: np.asarray(v, np.float64) for k, v in weights.items()}
    h = np.maximum(seen @ w["0.weight"].T + w["0.bias"], 0)
    h = np.maximum(h @ w["2.weight"].T + w["2.bias"], 0)
    return h @ w["4.weight"].T + w["4.bias"]


def loss_by_hand(online: Any, target: Any, columns: list[np.ndarray]) -> float:
    total = 0.0
    before, actions, rewards, after, ended = (c.astype(np.float64) for c in columns)
    now, later = q_values(online, before), q_values(target, after)
    for q, action, reward, q_after, end in zip(now, actions, rewards, later, ended):
        y = reward if end else reward + TINY.gamma * max(q_after)
        total += (y - q[int(action)]) ** 2 / len(now)
    return total


def test_the_loss_and_its_gradient_by_hand() -> None:
    cr.manual_seed(0)
    agent = dqn.Agent(4, 2)
    agent.target.load_state_dict(dqn.network(4, 2).state_dict())  # another than θ
    online, target = agent.online.state_dict(), agent.target.state_dict()
    batch = transitions(0, 128)

    @Experiment(threads=1).compile
    def loss_of(*batch: cr.Tensor) -> Any:
        agent.zero_grad()
        loss, mean_q = dqn.q_loss(agent, TINY.gamma, *batch)
        loss.backward()
        return loss, mean_q

    loss, mean_q = loss_of(*batch)
    assert loss.item() == pytest.approx(loss_by_hand(online, target, batch), rel=1e-5)
    chosen = q_values(online, batch[0])[np.arange(len(batch[1])), batch[1]]
    assert mean_q.item() == pytest.approx(chosen.mean(), rel=1e-4)
    gradients: dict[str, Any] = dict(agent.online.named_parameters())
    for name, at in (("0.weight", (0, 0)), ("2.bias", (3,)), ("4.weight", (1, 9))):
        ends = []
        for h in (1e-5, -1e-5):
            moved = {k: np.array(v, np.float64) for k, v in online.items()}
            moved[name][at] += h
            ends.append(loss_by_hand(moved, target, batch))
        slope = (ends[0] - ends[1]) / 2e-5
        assert abs(slope) > 1e-4, name
        assert gradients[name].grad.numpy()[at] == pytest.approx(slope, rel=1e-3)
    assert all(p.grad is None for p in agent.target.parameters())


def test_epsilon() -> None:
    s = dqn.Settings()
    found = [dqn.epsilon(step, s) for step in (0, 125_000, 250_000, 400_000)]
    assert found == pytest.approx([1.0, 0.525, 0.05, 0.05])


def test_what_the_buffer_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows follow one another; an episode that is cut short has not ended."""
    buffers: list[rl.ReplayBuffer] = []

    def built(*args: Any) -> rl.ReplayBuffer:
        buffers.append(rl.ReplayBuffer(*args))
        return buffers[-1]

    monkeypatch.setattr(
        dqn, "rl", SimpleNamespace(**vars(rl) | {"ReplayBuffer": built})
    )
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
