"""The losses of PPO and DQN, with their gradients, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, rl
from chainrule.rl.spaces import Actions, Observations

from ..recipes.runs import need

need("gymnasium")

from gymnasium import spaces  # noqa: E402 - where there is one

LOSS: Any = {"clip_range_vf": 0.2, "ent_coef": 0.01, "vf_coef": 0.25}


def agent_of(seen: int, actions: int, continuous: bool) -> rl.ActorCritic:
    box = spaces.Box(-np.inf, np.inf, (seen,))
    takes = spaces.Box(-1, 1, (actions,)) if continuous else spaces.Discrete(actions)
    return rl.ActorCritic(Observations(box), Actions(takes))


def numbers(module: Any) -> dict[str, np.ndarray]:
    return {k: np.asarray(v, np.float64) for k, v in module.state_dict().items()}


def outputs(weights: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    for layer in ("0", "2"):
        at = f"{name}.{layer}"
        x = np.tanh(x @ weights[f"{at}.weight"].T + weights[f"{at}.bias"])
    return x @ weights[f"{name}.4.weight"].T + weights[f"{name}.4.bias"]


def log_density(weights: dict[str, np.ndarray], scores: Any, action: Any) -> float:
    if "log_std" in weights:
        total = 0.0
        for mean, log_sigma, a in zip(scores, weights["log_std"], action):
            sigma = math.exp(log_sigma)
            density = math.exp(-((a - mean) ** 2) / (2 * sigma**2))
            total += math.log(density / (sigma * math.sqrt(2 * math.pi)))
        return total
    return math.log(math.exp(scores[int(action)]) / sum(map(math.exp, scores)))


def minibatch(continuous: bool) -> list[np.ndarray]:
    """Observations, actions, log π_old, V_old and A."""
    rng, rows = np.random.default_rng(0), 64
    observations, rest = rng.standard_normal((rows, 3)), rng.standard_normal((3, rows))
    if continuous:
        actions = rng.standard_normal((rows, 2)).astype(np.float32)
    else:
        actions = rng.integers(2, size=rows)
    rest[0] = -0.7 + 0.3 * rest[0] - 1.5 * continuous
    return [observations.astype(np.float32), actions, *rest.astype(np.float32)]


def loss_by_hand(weights: Any, batch: list[np.ndarray]) -> dict[str, float]:
    columns = (column.astype(np.float64) for column in batch)
    observations, actions, log_probs, values, A = columns
    scores = outputs(weights, "actor", observations)
    critic = outputs(weights, "critic", observations)[:, 0]
    mean, n = A.mean(), len(A)
    deviation = math.sqrt(((A - mean) ** 2).sum() / (n - 1))
    gain = miss = entropy = clipped = 0.0
    for s, a, v, log, old, advantage in zip(
        scores, actions, critic, log_probs, values, A
    ):
        target, advantage = advantage + old, (advantage - mean) / (deviation + 1e-8)
        ratio = math.exp(log_density(weights, s, a) - log)
        near = min(max(ratio, 0.8), 1.2)
        gain += min(ratio * advantage, near * advantage) / n
        close = old + min(max(v - old, -0.2), 0.2)
        miss += 0.5 * max((v - target) ** 2, (close - target) ** 2) / n
        clipped += (abs(ratio - 1) > 0.2) / n
        if "log_std" in weights:
            each = 0.5 * math.log(2 * math.pi * math.e) + weights["log_std"]
            entropy += sum(each) / n
        else:
            shares = np.exp(s) / np.exp(s).sum()
            entropy -= float((shares * np.log(shares)).sum()) / n
    loss = 0.5 * miss - gain - 0.01 * entropy
    return {"loss": loss, "entropy": entropy, "clipped": clipped}


@pytest.mark.parametrize("continuous", [False, True])
def test_the_loss_and_its_gradient_by_hand(continuous: bool) -> None:
    cr.manual_seed(0)
    agent = agent_of(3, 2, continuous)
    weights, batch = numbers(agent), minibatch(continuous)

    @cr.compile(threads=1)
    def loss_of(*batch: Any) -> Any:
        agent.zero_grad()
        figures = rl.ppo_loss(agent, *batch, **LOSS)
        figures[0].backward()
        return figures

    figures = [figure.item() for figure in loss_of(*batch)]
    wanted = loss_by_hand(weights, batch)
    assert figures == pytest.approx(list(wanted.values()), rel=1e-4, abs=1e-5)
    assert 0 < wanted["clipped"] < 1
    gradients: dict[str, Any] = {name: p.grad for name, p in agent.named_parameters()}
    for name, at in (
        *((("log_std", (0,)),) if continuous else ()),
        ("actor.4.weight", (1, 5)),
        ("actor.0.bias", (7,)),
        ("critic.2.weight", (3, 4)),
        ("critic.4.bias", (0,)),
    ):
        ends = []
        for h in (1e-5, -1e-5):
            moved = {k: v.copy() for k, v in weights.items()}
            moved[name][at] += h
            ends.append(loss_by_hand(moved, batch)["loss"])
        slope = (ends[0] - ends[1]) / 2e-5
        assert abs(slope) > 1e-5, name
        assert gradients[name].numpy()[at] == pytest.approx(
            slope, rel=1e-3, abs=1e-6
        ), name


def networks_of(seen: int, actions: int) -> rl.QNetworks:
    box = spaces.Box(-np.inf, np.inf, (seen,))
    return rl.QNetworks(Observations(box), actions, (120, 84))


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


def q_loss_by_hand(
    online: Any, target: Any, columns: list[np.ndarray], double_q: bool
) -> float:
    total = 0.0
    before, actions, rewards, after, ended = (c.astype(np.float64) for c in columns)
    now, later = q_values(online, before), q_values(target, after)
    best = (q_values(online, after) if double_q else later).argmax(1)
    for q, action, reward, value, end in zip(
        now, actions, rewards, later[np.arange(len(best)), best], ended
    ):
        y = reward if end else reward + 0.99 * value
        total += (y - q[int(action)]) ** 2 / len(now)
    return total


@pytest.mark.parametrize("double_q", [False, True])
def test_the_q_loss_and_its_gradient_by_hand(double_q: bool) -> None:
    cr.manual_seed(0)
    agent, other = networks_of(4, 2), networks_of(4, 2)
    agent.target.load_state_dict(other.online.state_dict())  # another than θ
    online, target = agent.online.state_dict(), agent.target.state_dict()
    batch = transitions(0, 128)

    @cr.compile(threads=1)
    def loss_of(*batch: Any) -> Any:
        agent.zero_grad()
        loss, mean_q = rl.q_loss(
            agent, *batch, double_q=double_q, loss=nn.functional.mse_loss
        )
        loss.backward()
        return loss, mean_q

    loss, mean_q = loss_of(*batch)
    assert loss.item() == pytest.approx(
        q_loss_by_hand(online, target, batch, double_q), rel=1e-5
    )
    chosen = q_values(online, batch[0])[np.arange(len(batch[1])), batch[1]]
    assert mean_q.item() == pytest.approx(chosen.mean(), rel=1e-4)
    gradients: dict[str, Any] = dict(agent.online.named_parameters())
    for name, at in (("0.weight", (0, 0)), ("2.bias", (3,)), ("4.weight", (1, 9))):
        ends = []
        for h in (1e-5, -1e-5):
            moved = {k: np.array(v, np.float64) for k, v in online.items()}
            moved[name][at] += h
            ends.append(q_loss_by_hand(moved, target, batch, double_q))
        slope = (ends[0] - ends[1]) / 2e-5
        assert abs(slope) > 1e-4, name
        assert gradients[name].grad.numpy()[at] == pytest.approx(slope, rel=1e-3)
    assert all(p.grad is None for p in agent.target.parameters())
