"""dqn: one step of learning by hand, what is remembered, kills, its pictures."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, optim, recipes
from chainrule.recipes import Experiment, dqn
from chainrule.training import Environments

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


def made() -> tuple[dqn.Agent, Any]:
    """An agent, and its compiled step of learning."""
    cr.manual_seed(0)
    agent = dqn.Agent(4, 2)
    adam = optim.Adam(agent.online.parameters(), lr=TINY.lr)
    return agent, dqn.learning(Experiment(threads=1), agent, adam, TINY.gamma)


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


def test_a_step_of_learning_by_hand() -> None:
    agent, learn = made()
    batch = transitions(0, TINY.batch_size)
    for k in range(3):  # so that the two networks differ
        learn(*transitions(5 + k, TINY.batch_size))
    online, target = agent.online.state_dict(), agent.target.state_dict()
    before = loss_by_hand(online, target, batch)
    fresh, learn = made()
    fresh.online.load_state_dict(online)
    fresh.target.load_state_dict(target)
    loss, mean_q = learn(*batch)
    assert loss.item() == pytest.approx(before, rel=1e-5)
    chosen = q_values(online, batch[0])[np.arange(len(batch[1])), batch[1]]
    assert mean_q.item() == pytest.approx(chosen.mean(), rel=1e-4)
    # Adam's first step is −η · sign of the gradient, where that is not tiny.
    seen = 0
    for name in ("0.weight", "2.bias", "4.weight"):
        for at in ((0, 0), (1, 3), (1, 1)) if "weight" in name else ((0,), (5,)):
            ends = []
            for h in (1e-5, -1e-5):
                moved = {k: np.array(v, np.float64) for k, v in online.items()}
                moved[name][at] += h
                ends.append(loss_by_hand(moved, target, batch))
            slope = (ends[0] - ends[1]) / 2e-5
            change = fresh.online.state_dict()[name][at] - online[name][at]
            if abs(slope) > 1e-4:
                seen += 1
                assert change == pytest.approx(-TINY.lr * np.sign(slope), rel=2e-2)
    assert seen >= 4
    for name, array in fresh.target.state_dict().items():
        assert np.array_equal(array, target[name])  # it has not moved


def test_epsilon() -> None:
    how = dqn.Settings()
    found = dqn.epsilon(np.array([0, 125_000, 250_000, 400_000]), how)
    assert found == pytest.approx([1.0, 0.525, 0.05, 0.05])


def test_the_replay_buffer() -> None:
    """Rows follow one another; an episode that is cut short has not ended."""
    world = Environments("CartPole-v1", seed=3)
    buffer, rng = dqn.ReplayBuffer(1000, 4), np.random.default_rng(0)
    s = replace(TINY, total_steps=100_000)

    def act(steps: int) -> None:
        dqn.explore(world, lambda x: np.zeros(1, int), buffer, rng, steps, s, 2)

    act(600)
    rows = {name: column[:600].copy() for name, column in buffer.columns.items()}
    ends = {end for end, *__ in world.episodes}
    for t in range(599):
        ended = t + 1 in ends
        assert rows["terminated"][t] == ended
        goes_on = np.array_equal(rows["following"][t], rows["observations"][t + 1])
        assert goes_on == (not ended)
        assert rows["rewards"][t] == 1
    assert set(rows["actions"]) == {0, 1}
    assert max(map(len, buffer.sample(50, rng))) == 50
    assert not any(column[600:].any() for column in buffer.columns.values())
    act(500)  # over the end, to its beginning
    now = buffer.columns["observations"]
    assert buffer.count == world.steps == 1100
    assert not np.array_equal(now[:100], rows["observations"][:100])
    assert np.array_equal(now[100:600], rows["observations"][100:])


def test_a_buffer_that_is_too_large() -> None:
    allowed = recipes.memory() // (16 * 11)  # of some, others may take or free a part
    for size in (10**13, 3 * allowed):
        with pytest.raises(errors.ArgumentError, match=r"does not fit this machine"):
            dqn.ReplayBuffer(size, 4)


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


@pytest.mark.parametrize("sign", [1, -1])
def test_what_came_of_an_episode(sign: int) -> None:
    assert dqn.discounted(sign * 3.0, 0.5) == sign * (1 + 0.5 + 0.25)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    """It plays better than at random: 22 steps, and −500."""
    result = whole["result"]
    for name in dqn.NAMES:
        assert len(result[name]["scores"]) == dqn.QUICK.tests
    assert result["CartPole-v1"]["test"] > 100
    assert result["Acrobot-v1"]["training"] > -300
    what = ("returns", "q-values")
    check(whole, *dqn.NAMES, *(f"{n}-{w}" for n in dqn.NAMES for w in what))
