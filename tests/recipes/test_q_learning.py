"""q-learning: updates replayed by hand, the truth against simulation, kills."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chainrule.recipes import q_learning

from .runs import check, need

RECIPE = "q-learning"

need("gymnasium")
gymnasium = pytest.importorskip("gymnasium")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds that are learned in a moment."""
    few = {"cliff": 40, "lake": 100, "taxi": 10}
    worlds = {k: replace(w, episodes=few[k]) for k, w in q_learning.WORLDS.items()}
    monkeypatch.setattr(q_learning, "WORLDS", worlds)


class Recording:
    """gymnasium, whose environments write down what happens in them."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def make(self, name: str, **how: Any) -> Any:
        environment = gymnasium.make(name, **how)
        reset, step, rows = environment.reset, environment.step, self.rows

        def begin(**options: Any) -> Any:
            rows.append(["begin", made := reset(**options)])
            return made

        def go(action: int) -> Any:
            rows.append([action, made := step(action)])
            return made

        return SimpleNamespace(
            observation_space=environment.observation_space,
            reset=begin,
            step=go,
            close=environment.close,
        )


@pytest.mark.parametrize("sarsa", [False, True])
@pytest.mark.parametrize("key", ["cliff", "lake"])
def test_the_table_by_hand(key: str, sarsa: bool) -> None:
    """The formula, with a dictionary, from what has happened."""
    world = replace(q_learning.WORLDS[key], rate=(0.5, 0.1))
    known = Recording()
    run = q_learning.learn(known, world, 3, 50, sarsa=sarsa)
    table: dict[int, list[float]] = defaultdict(lambda: [0.0] * 4)
    episode, state, returns = -1, 0, []
    for i, (action, made) in enumerate(known.rows):
        if action == "begin":
            episode, state = episode + 1, made[0]
            returns.append(0.0)
            continue
        after, reward, ended, _, _ = made
        rate = 0.5 + (0.1 - 0.5) * episode / 49
        later = known.rows[i + 1][0] if i + 1 < len(known.rows) else "begin"
        if later == "begin":  # the action that was never taken: not known here
            later = None
        worth = max(table[after]) if not sarsa else None
        if sarsa and later is not None:
            worth = table[after][later]
        if ended:
            worth = 0.0
        if worth is None:  # cut short
            return
        row = table[state]
        row[action] += rate * (reward + world.discount * worth - row[action])
        state = after
        returns[-1] += reward
    assert returns == list(run["returns"])
    made = run["tables"][-1]
    assert run["moments"][-1] == 50
    for s in range(len(made)):
        assert made[s] == pytest.approx(table[s], abs=1e-12)
    assert np.abs(made).max() > 0.01


def test_ties_and_trials() -> None:
    dice = np.random.default_rng(0)
    worth = [0.0, 2.0, 1.0]
    drawn = [q_learning.choose(worth, 0.3, dice) for _ in range(20_000)]
    shares = np.bincount(drawn, minlength=3) / 20_000
    # 0.3 / 3 each by trial; three standard deviations
    assert shares == pytest.approx([0.1, 0.8, 0.1], abs=0.0085)


class Chain:
    """Two states and a goal: waiting is free, going on succeeds every other time."""

    def __init__(self) -> None:
        self.unwrapped = self
        self.initial_state_distrib = np.array([1.0, 0.0, 0.0])
        on = {s: [(0.5, s, 0, False), (0.5, s + 1, s, s == 1)] for s in (0, 1)}
        stay = {s: [(1.0, s, 0, False)] for s in (0, 1)}
        self.P = {s: {0: stay[s], 1: on[s]} for s in (0, 1)}
        self.P[2] = {0: [(1.0, 2, 0, True)], 1: [(1.0, 2, 0, True)]}


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_the_truth_of_a_chain(limit: int) -> None:
    """1 where two of ``limit`` tosses come up heads."""
    rule = q_learning.rules(Chain())
    wanted = 1 - 0.5**limit - limit * 0.5**limit
    assert q_learning.best_of_all(rule, limit) == pytest.approx(wanted)
    go, wait = np.array([1, 1, 0]), np.array([0, 1, 0])
    assert q_learning.worth_of(rule, go, limit) == pytest.approx(wanted)
    assert q_learning.worth_of(rule, wait, limit) == 0


def test_the_truth_of_the_lake_by_playing() -> None:
    world = q_learning.WORLDS["lake"]
    environment = gymnasium.make(world.name)
    policy = np.array([0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0])
    exact = q_learning.worth_of(q_learning.rules(environment), policy, world.limit)
    environment.reset(seed=0)
    won = 0.0
    for _ in range(1500):
        state, over = environment.reset()[0], False
        while not over:
            state, reward, ended, cut, _ = environment.step(int(policy[state]))
            won, over = won + float(reward), ended or cut
    deviation = np.sqrt(exact * (1 - exact) / 1500)
    assert won / 1500 == pytest.approx(exact, abs=3 * deviation)
    assert 0.70 < exact <= q_learning.best_of_all(q_learning.rules(environment), 100)


def test_known_optima() -> None:
    for key, optimum in (("cliff", -13.0), ("taxi", 7.93)):
        world = q_learning.WORLDS[key]
        rule = q_learning.rules(gymnasium.make(world.name))
        assert q_learning.best_of_all(rule, world.limit) == pytest.approx(optimum)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    assert whole["result"]["cliff"]["worst"] == -13
    best = "the best of all policies by value iteration      0.7442"
    assert best in whole["text"]
    what = ("table", "returns")
    check(whole, *(f"{key}-{w}" for key in q_learning.WORLDS for w in what))
