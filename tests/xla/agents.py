"""A program of the tests: agents and estimators on four devices, as JSON.

XLA_FLAGS=--xla_force_host_platform_device_count=4 python tests/xla/agents.py
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from chainrule import rl
from chainrule.sklearn import ChainruleClassifier


def dqn(**over: Any) -> rl.Agent:
    """Return an agent that has learned from batches of 32."""
    sizes = {"buffer_size": 500, "learning_starts": 50}
    return rl.DQN("CartPole-v1", **sizes, seed=0, engine="xla", **over).learn(120)


def ppo(**over: Any) -> rl.Agent:
    """Return an agent that has learned from batches of 20."""
    sizes = {"n_steps": 40, "batch_size": 16, "n_epochs": 2}
    return rl.PPO("Pendulum-v1", **sizes, seed=0, engine="xla", **over).learn(80)


def weights(agent: rl.Agent) -> list[list[float]]:
    """Return an agent's weights."""
    return [p.numpy().reshape(-1).tolist() for p in agent.policy.parameters()]


def probabilities(**over: Any) -> list[list[float]]:
    """Return what a classifier predicts."""
    x = np.random.default_rng(0).normal(size=(100, 6))
    model = ChainruleClassifier(engine="xla", max_iter=4, random_state=0, **over)
    return model.fit(x, x[:, 0] > 0).predict_proba(x).tolist()


def exchanges(agent: Any) -> int:
    """Return how many sums over devices an agent's step of learning has."""
    (program,) = agent._learn.programs
    functions = program.executable._compiled.values()
    return sum(f.compiled.as_text().count(" all-reduce") for f in functions)


def main() -> None:
    """Print what one device and four compute."""
    facts: dict[str, Any] = {"exchanges": {}}
    for make in (dqn, ppo):
        four = make(devices=4)
        facts[make.__name__] = [weights(make()), weights(four)]
        facts["exchanges"][make.__name__] = exchanges(four)
    facts["classifier"] = [probabilities(), probabilities(devices=4)]
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
