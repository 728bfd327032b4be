"""Distributions by their densities, rollouts in clocks, advantages, replay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, rl
from chainrule.data.files import memory
from chainrule.training import Environments

SCORES = np.array([[0.5, -0.5], [1.0, 3.0]], np.float32)
LOG_STD = np.array([-0.7, 0.2], np.float32)


def policy(continuous: bool, rows: Any = slice(None)) -> Any:
    scores = cr.tensor(SCORES[rows])
    return (
        rl.Normal(scores, cr.tensor(LOG_STD)) if continuous else rl.Categorical(scores)
    )


def density(continuous: bool, scores: np.ndarray, action: Any) -> float:
    """π(a | s), from the textbook."""
    if not continuous:
        return math.exp(scores[int(action)]) / sum(map(math.exp, scores))
    product = 1.0
    for mean, log_sigma, a in zip(scores, LOG_STD, action):
        sigma = math.exp(log_sigma)
        bell = math.exp(-((a - mean) ** 2) / (2 * sigma**2))
        product *= bell / (sigma * math.sqrt(2 * math.pi))
    return product


@pytest.mark.parametrize("continuous", [False, True])
def test_samples_log_probabilities_and_entropy(continuous: bool) -> None:
    rng, n = np.random.default_rng(0), 20_000
    many = policy(continuous, np.zeros(n, int))
    actions = many.sample(many.noise(rng, (n, 2))).numpy()
    scores = SCORES[0].astype(float)
    if continuous:
        assert actions.mean(0) == pytest.approx(scores, abs=4 / math.sqrt(n))
        sigma = np.exp(LOG_STD)
        assert actions.std(0) == pytest.approx(sigma, rel=3 / math.sqrt(2 * n))
    else:
        share = density(False, scores, 0)
        assert (actions == 0).mean() == pytest.approx(share, abs=1.5 / math.sqrt(n))
    logs = many.log_prob(actions).numpy().astype(float)
    for log, action in zip(logs[:20], actions):
        wanted = math.log(density(continuous, scores, action))
        assert log == pytest.approx(wanted, abs=1e-5)
    entropy = many.entropy().numpy()[0]  # −E[log π(a | s)]
    assert entropy == pytest.approx(-logs.mean(), abs=4 * logs.std() / math.sqrt(n))


@pytest.mark.parametrize("continuous", [False, True])
def test_the_most_likely_action(continuous: bool) -> None:
    modes = policy(continuous).mode().numpy()
    assert np.array_equal(modes, SCORES if continuous else SCORES.argmax(1))


class Clock:
    """A reward of 1 a step; cut short after five steps, or over after three."""

    cut = True

    def reset(self, *, seed: int | None = None) -> Any:
        if seed is not None:
            self.np_random = np.random.default_rng(seed)
        self.now = 0
        return np.zeros(1), {}

    def step(self, action: Any) -> Any:
        self.now += 1
        over = self.now >= (5 if self.cut else 3)
        return np.full(1, self.now), 1.0, over and not self.cut, over and self.cut, {}


class Ending(Clock):
    cut = False


def clockwise(observations: np.ndarray, noise: np.ndarray) -> Any:
    """The noise as actions, their log π −noise, and 10 times the clock as V."""
    actions = (noise[:, 0] * 10).astype(np.int64)
    return (
        cr.tensor(actions),
        cr.tensor(-noise[:, 0]),
        cr.tensor(10 * observations[:, 0]),
    )


@pytest.mark.parametrize("world", [Clock, Ending])
def test_a_rollout_in_clocks(world: Any) -> None:
    """Where an episode was cut short, V(s′) is that of its last observation."""
    environments, length = Environments(world, 2, seed=0), 5 if world.cut else 3
    noise = np.random.default_rng(0).random((4, 2, 1)).astype(np.float32)
    for start in (0, 4, 8):  # an episode goes on in the next rollout
        steps = rl.rollout(environments, clockwise, noise)
        for t in range(4):
            now = (start + t) % length
            over = now == length - 1
            assert steps.observations[t].tolist() == [[now]] * 2
            assert (
                steps.actions[t].tolist() == (noise[t, :, 0] * 10).astype(int).tolist()
            )
            assert np.array_equal(steps.log_probs[t], -noise[t, :, 0])
            assert steps.values[t].tolist() == [10 * now] * 2
            assert steps.rewards[t].tolist() == [1, 1]
            assert steps.not_done[t].tolist() == [not over] * 2
            ended = over and not world.cut
            assert steps.next_values[t].tolist() == [0 if ended else 10 * (now + 1)] * 2


def test_the_advantages_by_their_sums() -> None:
    rng = np.random.default_rng(0)
    rewards, values, next_values = rng.standard_normal((3, 12, 3))
    not_done = (rng.random((12, 3)) < 0.8) * 1.0
    unused = values
    steps = rl.Rollout(unused, unused, unused, values, rewards, next_values, not_done)
    found = rl.gae(steps, 0.99, 0.95, reward_scale=0.5)
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


def test_several_actions_are_drawn_apart() -> None:
    scores = np.array([[0.5, -0.5, 1.0, 3.0, -2.0]], np.float32)
    both = rl.MultiCategorical(cr.tensor(scores), [2, 3])
    apart = [rl.Categorical(cr.tensor(s)) for s in (scores[:, :2], scores[:, 2:])]
    noise = both_noise = rl.Categorical.noise(np.random.default_rng(0), (1, 5))
    drawn = both.sample(both_noise).numpy()
    each = [apart[0].sample(noise[:, :2]), apart[1].sample(noise[:, 2:])]
    assert drawn.tolist() == [[each[0].item(), each[1].item()]]
    assert both.mode().tolist() == [[0, 1]]
    logs = sum(p.log_prob(cr.tensor([a])).item() for p, a in zip(apart, drawn[0]))
    assert both.log_prob(cr.tensor(drawn)).item() == pytest.approx(logs, rel=1e-6)
    entropy = sum(p.entropy().item() for p in apart)
    assert both.entropy().item() == pytest.approx(entropy, rel=1e-6)


def test_the_replay_buffer_forgets_the_oldest() -> None:
    buffer, rng = rl.ReplayBuffer(10, 2), np.random.default_rng(0)
    for i in range(14):
        buffer.add([i, -i], i % 3, 0.5 * i, [i + 1, -i - 1], i % 2)
        assert len(buffer) == min(i + 1, 10)
        drawn = buffer.sample(500, rng)
        kept = range(max(0, i - 9), i + 1)
        assert set(drawn.observations[:, 0].tolist()) == set(kept)
        row = drawn.observations[:, 0]
        assert np.array_equal(drawn.observations[:, 1], -row)
        assert np.array_equal(drawn.next_observations, np.stack([row + 1, -row - 1], 1))
        assert np.array_equal(drawn.actions, row % 3)
        assert np.array_equal(drawn.rewards, 0.5 * row)
        assert np.array_equal(drawn.terminated, row % 2)
    twin = rl.ReplayBuffer(10, 2)
    twin.load_state(buffer.state())
    buffer.add([14, -14], 2, 7, [15, -15], 0)
    twin.add([14, -14], 2, 7, [15, -15], 0)
    for first, second in zip(buffer.transitions, twin.transitions):
        assert np.array_equal(first, second)


def test_a_buffer_that_is_too_large() -> None:
    allowed = memory() // (16 * 11)  # of some, others may take or free a part
    for size in (10**13, 3 * allowed):
        with pytest.raises(errors.ArgumentError, match=r"does not fit this machine"):
            rl.ReplayBuffer(size, 4)
