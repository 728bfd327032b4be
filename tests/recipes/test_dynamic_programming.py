"""Exact returns by dynamic programming: of a chain by hand, of a lake by playing."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.recipes import q_learning
from chainrule.recipes.evaluation import dynamic_programming as dp

from .runs import need

need("gymnasium")
gymnasium = pytest.importorskip("gymnasium")


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
def test_the_returns_of_a_chain(limit: int) -> None:
    """1 where two of ``limit`` tosses come up heads."""
    model = dp.transition_model(Chain())
    wanted = 1 - 0.5**limit - limit * 0.5**limit
    assert dp.optimal_return(model, limit) == pytest.approx(wanted)
    go, wait = np.array([1, 1, 0]), np.array([0, 1, 0])
    assert dp.policy_return(model, go, limit) == pytest.approx(wanted)
    assert dp.policy_return(model, wait, limit) == 0


def test_the_return_of_a_policy_by_playing() -> None:
    settings = q_learning.ENVIRONMENTS["lake"]
    environment = gymnasium.make(settings.name)
    policy = np.array([0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0])
    exact = dp.policy_return(dp.transition_model(environment), policy, settings.limit)
    environment.reset(seed=0)
    won = 0.0
    for _ in range(1500):
        state, over = environment.reset()[0], False
        while not over:
            state, reward, ended, cut, _ = environment.step(int(policy[state]))
            won, over = won + float(reward), ended or cut
    deviation = np.sqrt(exact * (1 - exact) / 1500)
    assert won / 1500 == pytest.approx(exact, abs=3 * deviation)
    assert 0.70 < exact <= dp.optimal_return(dp.transition_model(environment), 100)


def test_known_optima() -> None:
    for key, optimum in (("cliff", -13.0), ("taxi", 7.93)):
        settings = q_learning.ENVIRONMENTS[key]
        model = dp.transition_model(gymnasium.make(settings.name))
        assert dp.optimal_return(model, settings.limit) == pytest.approx(optimum)
