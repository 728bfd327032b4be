"""ppo: the loss and the advantages by hand, both kinds of policy, kills, pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, ppo
from chainrule.training import Environments

from .runs import check, need

RECIPE = "ppo"

need("gymnasium")
S = ppo.Settings(environments=2, rollout=16, total_steps=96, minibatches=2, episodes=2)


def made(real: bool, s: ppo.Settings = S) -> tuple[ppo.Agent, Any, Any, Any]:
    """An agent, its policy, and the compiled acting and learning."""
    cr.manual_seed(0)
    agent = ppo.Agent(3, 2, real)
    policy = ppo.Normal(agent) if real else ppo.Categorical(agent)
    experiment = Experiment("ppo", threads=1)
    learn = ppo.learning(experiment, policy, ppo.adam(agent, s), s)
    return agent, policy, ppo.acting(experiment, agent, policy), learn


def numbers(module: Any) -> dict[str, np.ndarray]:
    return {k: np.asarray(v, np.float64) for k, v in module.state_dict().items()}


def outputs(weights: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    for layer in ("0", "2"):
        at = f"{name}.{layer}"
        x = np.tanh(x @ weights[f"{at}.weight"].T + weights[f"{at}.bias"])
    return x @ weights[f"{name}.4.weight"].T + weights[f"{name}.4.bias"]


def log_chance(weights: dict[str, np.ndarray], scores: Any, action: Any) -> float:
    if "log_std" in weights:
        total = 0.0
        for mean, log_sigma, a in zip(scores, weights["log_std"], action):
            sigma = math.exp(log_sigma)
            density = math.exp(-((a - mean) ** 2) / (2 * sigma**2))
            total += math.log(density / (sigma * math.sqrt(2 * math.pi)))
        return total
    return math.log(math.exp(scores[int(action)]) / sum(map(math.exp, scores)))


def columns_of(real: bool, seed: int = 0) -> list[np.ndarray]:
    """Observations, actions, log π_old, V_old, A and R of a minibatch."""
    rng, rows = np.random.default_rng(seed), S.batch // S.minibatches
    seen, rest = rng.standard_normal((rows, 3)), rng.standard_normal((4, rows))
    actions = rng.standard_normal((rows, 2)) if real else rng.integers(2, size=rows)
    rest[0] = -0.7 + 0.3 * rest[0] - 1.5 * real
    floats = [column.astype(np.float32) for column in (seen, actions, *rest)]
    floats[1] = floats[1] if real else actions
    return floats


def loss_by_hand(weights: Any, columns: Any, real: bool) -> dict[str, float]:
    seen, action, *rest = (column.astype(np.float64) for column in columns)
    rest = np.stack(rest, 1)
    scores = outputs(weights, "actor", seen)
    values = outputs(weights, "critic", seen)[:, 0]
    mean, n = rest[:, 2].mean(), len(seen)
    deviation = math.sqrt(((rest[:, 2] - mean) ** 2).sum() / (n - 1))
    gain = miss = entropy = clipped = 0.0
    for s, a, v, (log, old, advantage, target) in zip(scores, action, values, rest):
        advantage = (advantage - mean) / (deviation + 1e-8)
        ratio = math.exp(log_chance(weights, s, a) - log)
        near = min(max(ratio, 1 - S.clip), 1 + S.clip)
        gain += min(ratio * advantage, near * advantage) / n
        close = old + min(max(v - old, -S.clip), S.clip)
        miss += 0.5 * max((v - target) ** 2, (close - target) ** 2) / n
        clipped += (abs(ratio - 1) > S.clip) / n
        if real:
            entropy += (
                sum(0.5 * math.log(2 * math.pi * math.e) + weights["log_std"]) / n
            )
        else:
            shares = np.exp(s) / np.exp(s).sum()
            entropy -= float((shares * np.log(shares)).sum()) / n
    loss = S.value * miss - gain - S.entropy * entropy
    return {"loss": loss, "critic": miss, "entropy": entropy, "clipped": clipped}


@pytest.mark.parametrize("real", [False, True])
def test_the_loss_by_hand(real: bool) -> None:
    agent, __, __, learn = made(real)
    batches = [columns_of(real, seed) for seed in range(4)]
    states, found = [], []
    for batch in batches:
        states.append(numbers(agent))
        figures = (figure.item() for figure in learn(*batch))
        found.append(dict(zip(("loss", "critic", "entropy", "clipped"), figures)))
    for state, batch, told in zip(states, batches, found):
        wanted = loss_by_hand(state, batch, real)
        for key, value in told.items():
            assert wanted[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key
    assert 0 < found[0]["clipped"] < 1
    moved = numbers(agent)
    assert all(not np.array_equal(moved[k], states[0][k]) for k in moved)


def test_the_first_step_goes_downhill() -> None:
    """Adam's first step is −η · sign of the gradient; a common factor changes none."""
    agent, __, __, learn = made(True)
    before, batch = numbers(agent), columns_of(True)
    learn(*batch)
    after, seen = numbers(agent), 0
    for name, at in (
        ("log_std", (0,)),
        ("actor.4.weight", (1, 5)),
        ("actor.0.bias", (7,)),
        ("critic.2.weight", (3, 4)),
        ("critic.4.bias", (0,)),
    ):
        ends = []
        for h in (1e-5, -1e-5):
            moved = {k: v.copy() for k, v in before.items()}
            moved[name][at] += h
            ends.append(loss_by_hand(moved, batch, True)["loss"])
        slope = (ends[0] - ends[1]) / 2e-5
        if abs(slope) > 1e-2:  # against Adam's ε of 1e-5, after clipping too
            seen += 1
            change = (after[name] - before[name])[at]
            assert change == pytest.approx(-S.lr * np.sign(slope), rel=1e-2)
    assert seen >= 2


@pytest.mark.parametrize("real", [False, True])
def test_actions_are_drawn_from_the_policy(real: bool) -> None:
    agent, policy, act, __ = made(real)
    agent.actor[4].bias.copy_(np.array([0.5, -0.5], np.float32))
    dice, n = np.random.default_rng(0), 20_000
    seen = np.tile(np.array([[0.1, -0.2, 0.3]], np.float32), (n, 1))
    drawn, logs, __ = (t.numpy() for t in act(seen, policy.noise(dice, (n, 2))))
    weights = numbers(agent)
    scores = outputs(weights, "actor", seen[:1].astype(float))[0]
    if real:
        assert drawn.mean(0) == pytest.approx(scores, abs=3 / math.sqrt(n))
        assert drawn.std(0) == pytest.approx([1, 1], abs=3 / math.sqrt(2 * n))
    else:
        share = math.exp(scores[0]) / sum(map(math.exp, scores))
        assert (drawn == 0).mean() == pytest.approx(share, abs=1.5 / math.sqrt(n))
    for i in range(20):
        wanted = log_chance(weights, scores, drawn[i])
        assert logs[i] == pytest.approx(wanted, abs=1e-5)
    still = act(seen[:1], np.zeros((1, 2), "f4"))[0].numpy()
    likeliest = scores if real else [scores.argmax()]
    assert still.ravel() == pytest.approx(likeliest, abs=1e-6)


def test_the_advantages_by_their_sums() -> None:
    dice = np.random.default_rng(0)
    rewards = dice.standard_normal((12, 3))
    values = dice.standard_normal((13, 3))
    on = (dice.random((12, 3)) < 0.8) * 1.0
    found = ppo.advantages(rewards, values, on, S)
    for t in range(12):
        for i in range(3):
            total, factor = 0.0, 1.0
            for k in range(t, 12):
                later = on[k, i] * values[k + 1, i]
                delta = rewards[k, i] + S.gamma * later - values[k, i]
                total += factor * delta
                factor *= S.gamma * S.gae_lambda
                if not on[k, i]:
                    break
            assert found[t, i] == pytest.approx(total)


class Clock:
    """A reward of 1 a step; cut short after five, or over after three."""

    cut = True

    def reset(self, *, seed: int | None = None) -> Any:
        if seed is not None:
            self.np_random = np.random.default_rng(seed)
        self.now = 0
        return np.zeros(3), {}

    def step(self, action: Any) -> Any:
        self.now += 1
        seen = np.full(3, self.now / 5)
        over = self.now >= (5 if self.cut else 3)
        return seen, 1.0, over and not self.cut, over and self.cut, {}


class Ending(Clock):
    cut = False


@pytest.mark.parametrize("world", [Clock, Ending])
def test_an_episode_that_was_cut_short_would_have_gone_on(world: Any) -> None:
    """A(the last step) = r + γ V(what came) − V, or r − V where it really ended."""
    agent, policy, act, __ = made(False)
    agent.critic[4].bias.copy_(np.array([2.0], np.float32))
    environments = Environments(world, S.environments, seed=0)
    batch = ppo.rollout(environments, act, policy, np.random.default_rng(0), S)
    value, advantage, target = (
        column.reshape(S.rollout, -1).astype(float) for column in batch[-3:]
    )
    last = 4 if world.cut else 2
    weights = numbers(agent)
    then = outputs(weights, "critic", np.full((1, 3), (last + 1) / 5))[0, 0]
    wanted = 1 + (S.gamma * then if world.cut else 0.0)
    assert target[last] == pytest.approx([wanted] * 2, rel=1e-5)
    assert advantage[last] == pytest.approx(wanted - value[last], rel=1e-4)


def test_the_rate_falls_in_stairs() -> None:
    s = ppo.Settings()
    lr = ppo.LinearAnnealing(s.lr, s.updates, s.rounds)
    assert (s.updates, s.rounds) == (16, 976)
    assert [lr(0), lr(15)] == [2.5e-4] * 2
    assert lr(16) == pytest.approx(2.5e-4 * 975 / 976)
    assert lr(16 * 976 - 1) == pytest.approx(2.5e-4 / 976)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    """It plays better than it did before training, at random."""
    result = whole["result"]
    assert list(result) == list(ppo.WORLDS)
    bars = {"CartPole-v1": 150, "Acrobot-v1": 200, "Pendulum-v1": 300}
    for name, bar in bars.items():
        assert result[name]["test"] > result[name]["untrained"] + bar
    what = ("returns", "policy")
    check(whole, *ppo.WORLDS, *(f"{n}-{w}" for n in ppo.WORLDS for w in what))
