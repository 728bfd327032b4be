"""ppo: the loss with its gradient and the advantages by hand, the quick run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, ppo
from chainrule.recipes import reinforcement as rl

from .runs import check, need

RECIPE = "ppo"

need("gymnasium")
S = ppo.Settings()


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
    agent = ppo.Agent(3, 2, continuous)
    weights, batch = numbers(agent), minibatch(continuous)

    @Experiment(threads=1).compile
    def loss_of(*batch: cr.Tensor) -> Any:
        agent.zero_grad()
        figures = ppo.ppo_loss(agent, 0.01, *batch)
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


def test_the_advantages_by_their_sums() -> None:
    rng = np.random.default_rng(0)
    rewards, values, next_values = rng.standard_normal((3, 12, 3))
    not_done = (rng.random((12, 3)) < 0.8) * 1.0
    s = ppo.Settings(reward_scale=0.5)
    unused = values
    steps = rl.Rollout(unused, unused, unused, values, rewards, next_values, not_done)
    found = ppo.gae(steps, s)
    for t in range(12):
        for i in range(3):
            total, factor = 0.0, 1.0
            for k in range(t, 12):
                delta = 0.5 * rewards[k, i] + 0.99 * next_values[k, i] - values[k, i]
                total += factor * delta
                factor *= 0.99 * 0.95
                if not not_done[k, i]:
                    break
            assert found[t, i] == pytest.approx(total)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    """It plays better than at random: 22 steps, −500, −1230."""
    result = whole["result"]
    assert list(result) == list(ppo.ENVIRONMENTS)
    assert result["CartPole-v1"]["test"] > 170
    assert result["Acrobot-v1"]["test"] > -300
    assert result["Pendulum-v1"]["test"] > -930
    for figures in result.values():
        assert figures["entropy"][1] < figures["entropy"][0]
    kinds = ("returns", "learning")
    names = ppo.ENVIRONMENTS
    check(whole, *names, *(f"{name}-{kind}" for name in names for kind in kinds))
