"""The report of an agent: its figures, and what it prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.recipes import Experiment
from chainrule.recipes.agent_report import report_agent
from chainrule.training import Environments


class Clock:
    """A reward of 1 a step; over after three."""

    def reset(self, *, seed: int | None = None) -> Any:
        if seed is not None:
            self.np_random = np.random.default_rng(seed)
        return np.zeros(1), {}

    def step(self, action: Any) -> Any:
        return np.zeros(1), 1.0, True, False, {}


def test_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    world = Environments(Clock, 2, seed=0)
    world.name = "CartPole-v1"
    world.steps = 7000
    world.episodes = [(i, float(i), i) for i in range(150)]
    curves = {"loss": [0.5, 0.25, 0.125]}
    results = report_agent(
        Experiment(), world, np.array([1.0, 3.0]), [np.zeros(4)], curves
    )
    assert results == {
        "test": 2,
        "std": 1,
        "training": np.mean(range(50, 150)),
        "episodes": 150,
        "loss": [0.5, 0.125],
    }
    text = capsys.readouterr().out
    assert "CartPole-v1: 7000 steps, 150 episodes" in text
    assert "test, mean of 2 episodes: 2.0 ± 1.0" in text
    assert "training, mean of the last 100 episodes: 99.5" in text
    assert "loss: 0.500 → 0.125" in text
