"""ppo: the loss and the advantages by hand, both kinds of policy, kills, pictures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import recipes, viz
from chainrule.recipes import Experiment, ppo
from chainrule.training import RunState

pytest.importorskip("gymnasium")
HOW = replace(ppo.Settings(), count=2, length=16, steps=96, parts=2, episodes=2)
ENGINES = ["numpy", "native"]


def made(engine: str, real: bool, how: ppo.Settings = HOW) -> tuple[Any, Any, Any]:
    if engine == "native":
        pytest.importorskip("llvmlite")
    cr.manual_seed(0)
    agent = ppo.Agent(3, 2, real)
    policy = ppo.Normal(agent) if real else ppo.Categorical(agent)
    program = ppo.compiled(agent, policy, how, engine=engine, threads=1)
    return agent, policy, program


def numbers(module: Any) -> dict[str, np.ndarray]:
    return {k: np.asarray(v, np.float64) for k, v in module.state_dict().items()}


def outputs(weights: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    for layer in ("0", "2"):
        at = f"{name}.{layer}"
        x = np.tanh(x @ weights[f"{at}.weight"].T + weights[f"{at}.bias"])
    return x @ weights[f"{name}.4.weight"].T + weights[f"{name}.4.bias"]


def log_chance(weights: dict[str, np.ndarray], scores: Any, action: Any) -> float:
    if "spread" in weights:
        total = 0.0
        for mean, log_sigma, a in zip(scores, weights["spread"], action):
            sigma = math.exp(log_sigma)
            density = math.exp(-((a - mean) ** 2) / (2 * sigma**2))
            total += math.log(density / (sigma * math.sqrt(2 * math.pi)))
        return total
    return math.log(math.exp(scores[int(action[0])]) / sum(map(math.exp, scores)))


def rows_of(real: bool, seed: int = 0) -> np.ndarray:
    """seen, action, log π_old, V_old, A, R."""
    dice, rows = np.random.default_rng(seed), HOW.batch // HOW.parts
    seen, rest = dice.standard_normal((rows, 3)), dice.standard_normal((rows, 4))
    action = (
        dice.standard_normal((rows, 2)) if real else dice.integers(2, size=(rows, 1))
    )
    rest[:, 0] = -0.7 + 0.3 * rest[:, 0] - 1.5 * real
    return np.concatenate([seen, action, rest], 1).astype(np.float32)


def loss_by_hand(weights: Any, rows: np.ndarray, real: bool) -> dict[str, float]:
    rows = rows.astype(np.float64)
    seen, action, rest = rows[:, :3], rows[:, 3:-4], rows[:, -4:]
    scores = outputs(weights, "actor", seen)
    values = outputs(weights, "critic", seen)[:, 0]
    mean, n = rest[:, 2].mean(), len(rows)
    deviation = math.sqrt(((rest[:, 2] - mean) ** 2).sum() / (n - 1))
    gain = miss = entropy = clipped = 0.0
    for s, a, v, (log, old, advantage, target) in zip(scores, action, values, rest):
        advantage = (advantage - mean) / (deviation + 1e-8)
        ratio = math.exp(log_chance(weights, s, a) - log)
        near = min(max(ratio, 1 - HOW.clip), 1 + HOW.clip)
        gain += min(ratio * advantage, near * advantage) / n
        close = old + min(max(v - old, -HOW.clip), HOW.clip)
        miss += 0.5 * max((v - target) ** 2, (close - target) ** 2) / n
        clipped += (abs(ratio - 1) > HOW.clip) / n
        if real:
            entropy += sum(0.5 * math.log(2 * math.pi * math.e) + weights["spread"]) / n
        else:
            shares = np.exp(s) / np.exp(s).sum()
            entropy -= float((shares * np.log(shares)).sum()) / n
    loss = HOW.critic * miss - gain - HOW.entropy * entropy
    return {"loss": loss, "critic": miss, "entropy": entropy, "clipped": clipped}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_loss_by_hand(engine: str, real: bool) -> None:
    agent, _, program = made(engine, real)
    rows = np.stack([rows_of(real, seed) for seed in range(4)])
    states, found = [], []
    for row in rows:
        states.append(numbers(agent))
        found.append(program.run("learn", {"rows": row[None]}, steps=1))
    for state, row, told in zip(states, rows, found):
        for key, value in loss_by_hand(state, row, real).items():
            assert told[key].item() == pytest.approx(value, rel=1e-4, abs=1e-5), key
    assert 0 < found[0]["clipped"].item() < 1
    moved = numbers(agent)
    assert all(not np.array_equal(moved[k], states[0][k]) for k in moved)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_step_goes_downhill(engine: str) -> None:
    """Adam's first step is −η · sign of the gradient; a common factor changes none."""
    agent, _, program = made(engine, True)
    before, rows = numbers(agent), rows_of(True)
    program.run("learn", {"rows": rows[None]}, steps=1)
    after, seen = numbers(agent), 0
    for name, at in (
        ("spread", (0,)),
        ("actor.4.weight", (1, 5)),
        ("actor.0.bias", (7,)),
        ("critic.2.weight", (3, 4)),
        ("critic.4.bias", (0,)),
    ):
        ends = []
        for h in (1e-5, -1e-5):
            moved = {k: v.copy() for k, v in before.items()}
            moved[name][at] += h
            ends.append(loss_by_hand(moved, rows, True)["loss"])
        slope = (ends[0] - ends[1]) / 2e-5
        if abs(slope) > 1e-2:  # against Adam's ε of 1e-5, after clipping too
            seen += 1
            change = (after[name] - before[name])[at]
            assert change == pytest.approx(-HOW.lr * np.sign(slope), rel=1e-2)
    assert seen >= 2


@pytest.mark.parametrize("real", [False, True])
def test_actions_are_drawn_from_the_policy(real: bool) -> None:
    agent, policy, program = made("numpy", real)
    agent.actor[4].bias.copy_(np.array([0.5, -0.5], np.float32))
    dice, n = np.random.default_rng(0), 20_000
    seen = np.tile(np.array([[0.1, -0.2, 0.3]], np.float32), (n, 1))
    told = program.run("act", {"seen": seen, "noise": policy.noise(dice, (n, 2))})
    weights = numbers(agent)
    scores = outputs(weights, "actor", seen[:1].astype(float))[0]
    drawn = told["action"]
    if real:
        assert drawn.mean(0) == pytest.approx(scores, abs=3 / math.sqrt(n))
        assert drawn.std(0) == pytest.approx([1, 1], abs=3 / math.sqrt(2 * n))
    else:
        share = math.exp(scores[0]) / sum(map(math.exp, scores))
        assert (drawn == 0).mean() == pytest.approx(share, abs=1.5 / math.sqrt(n))
    for i in range(20):
        action = np.atleast_1d(drawn[i])
        wanted = log_chance(weights, scores, action)
        assert told["log"][i] == pytest.approx(wanted, abs=1e-5)
    still = program.run("act", {"seen": seen[:1], "noise": np.zeros((1, 2), "f4")})
    likeliest = scores if real else [scores.argmax()]
    assert still["action"].ravel() == pytest.approx(likeliest, abs=1e-6)


def test_the_advantages_by_their_sums() -> None:
    dice = np.random.default_rng(0)
    rewards = dice.standard_normal((12, 3))
    values = dice.standard_normal((13, 3))
    on = (dice.random((12, 3)) < 0.8) * 1.0
    found = ppo.advantages(rewards, values, on, HOW)
    for t in range(12):
        for i in range(3):
            total, factor = 0.0, 1.0
            for k in range(t, 12):
                later = on[k, i] * values[k + 1, i]
                delta = rewards[k, i] + HOW.discount * later - values[k, i]
                total += factor * delta
                factor *= HOW.discount * HOW.trace
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
    agent, policy, program = made("numpy", False)
    agent.critic[4].bias.copy_(np.array([2.0], np.float32))
    source = ppo.Rollouts(world, policy, HOW, 0)
    source.bind(program)
    source.gather()
    rows = source.rows.reshape(HOW.length, HOW.count, -1).astype(np.float64)
    last = 4 if world.cut else 2
    weights = numbers(agent)
    then = outputs(weights, "critic", np.full((1, 3), (last + 1) / 5))[0, 0]
    value, advantage, target = rows[last, :, -3], rows[last, :, -2], rows[last, :, -1]
    wanted = 1 + (HOW.discount * then if world.cut else 0.0)
    assert target == pytest.approx([wanted] * 2, rel=1e-5)
    assert advantage == pytest.approx(wanted - value, rel=1e-4)


def test_every_sample_comes_once_a_pass() -> None:
    _, policy, program = made("numpy", False)
    source = ppo.Rollouts(Clock, policy, HOW, 0)
    source.bind(program)
    state, sizes = RunState(), []
    given = []
    for most in (1, 3, 100, 100):
        work = source.take(state, most)
        assert work is not None
        sizes.append(work.steps)
        given.append(work.inputs["rows"])
        state.updates += work.steps or 0
    assert sizes == [1, 3, 4, 8]  # never beyond a round of 8
    rows = np.concatenate(given[:3]).reshape(HOW.passes, HOW.batch, -1)
    first = np.sort(rows[0], axis=0)
    for one in rows[1:]:
        assert np.array_equal(np.sort(one, axis=0), first)
    assert not np.array_equal(rows[0], rows[1])


def test_the_rate_falls_in_stairs() -> None:
    how = ppo.Settings()
    lr = ppo.LinearAnnealing(how.lr, how.each, how.rounds)
    assert (how.each, how.rounds) == (16, 976)
    assert [lr(0), lr(15)] == [2.5e-4] * 2
    assert lr(16) == pytest.approx(2.5e-4 * 975 / 976)
    assert lr(16 * 976 - 1) == pytest.approx(2.5e-4 / 976)


@pytest.mark.parametrize("engine", ENGINES)
def test_killed_it_goes_on_bit_for_bit(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "native":
        pytest.importorskip("llvmlite")
    worlds = {
        "CartPole-v1": replace(HOW, steps=160),
        "Pendulum-v1": replace(HOW, length=110, steps=880, discount=0.9),
    }
    monkeypatch.setattr(ppo, "WORLDS", worlds)
    monkeypatch.setattr(viz, "can_plot", lambda: False)
    monkeypatch.setattr(ppo, "REFERENCES", [])
    how = {"seed": 1, "engine": engine, "threads": 1}
    whole = recipes.perform(Experiment("ppo", **how))["result"]
    take, dice, calls = ppo.Rollouts.take, np.random.default_rng(0), [0, 0]

    def stopping(self: ppo.Rollouts, state: Any, most: int) -> Any:
        calls[0] += 1
        if calls[1] < 6 and dice.random() < 0.15:
            calls[1] += 1
            raise KeyboardInterrupt
        return take(self, state, most)

    monkeypatch.setattr(ppo.Rollouts, "take", stopping)
    while True:
        try:
            experiment = Experiment(
                "ppo", out=tmp_path / "p", checkpoint_every=0, **how
            )
            found = recipes.perform(experiment, again=True)["result"]
            break
        except KeyboardInterrupt:
            pass
    assert found == whole
    assert calls[1] >= 3


def test_a_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = recipes.perform(Experiment("ppo", quick=True, out=tmp_path / "p"))["result"]
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 88
    assert list(told) == list(ppo.WORLDS)
    for name, how in ppo.WORLDS.items():
        assert f"{name}: {4 * how.batch} steps" in text
        if viz.can_plot():
            assert (tmp_path / "p" / f"{name}.gif").read_bytes().startswith(b"GIF8")
            for what in ("returns", "policy"):
                assert (tmp_path / "p" / f"{name}-{what}.png").stat().st_size > 5000


@pytest.mark.slow
def test_to_its_references() -> None:
    told = recipes.perform(Experiment("ppo"))
    assert all(figure["reached"] for figure in told["references"])
