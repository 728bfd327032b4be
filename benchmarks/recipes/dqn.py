"""DQN beside PyTorch: CleanRL's settings, network and memory on both sides.

    python benchmarks/recipes/dqn.py CartPole-v1 --seeds 3
    python benchmarks/recipes/dqn.py Acrobot-v1 --steps 100000

Both act in the same environments, one at a time, through the same class. PyTorch has
its memory in NumPy as ours has, acts in inference_mode, and steps its fused Adam, the
fastest that it has. The agents at the end of training are tested, greedily.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from turns import Run, Side, Trial, arguments, compare

from chainrule.recipes import dqn
from chainrule.training import Environments

ACTIONS = {"CartPole-v1": 2, "Acrobot-v1": 3}
PIECES = 50


def tested(world: Environments, name: str, seed: int, act: Any) -> dict[str, float]:
    """What the agent at the end does, and what training gave."""
    returns, _ = Environments(name, 50, seed=1000 + seed).play(act)
    training = float(np.mean([r for _, r, _ in world.episodes[-100:]]))
    return {"greedy": float(returns.mean()), "training": training}


def ours(name: str, s: dqn.Settings) -> Side:
    """The agent, with the recipe's settings."""

    def side(trial: Trial) -> Run:
        world = Environments(name, seed=trial.seed)
        agent = dqn.agent_of(world, s, trial.seed, trial)
        agent.begin(s.total_steps)
        yield
        for step in range(s.total_steps):
            agent.round()
            if (step + 1) % (s.total_steps // PIECES) == 0:
                yield

        def act(rows: np.ndarray) -> np.ndarray:
            return agent.predict(rows, deterministic=True)[0]

        return tested(world, name, trial.seed, act)

    return side


def network(seen: int, actions: int) -> nn.Module:
    """CleanRL's."""
    return nn.Sequential(
        *(nn.Linear(seen, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, actions),
    )


def epsilon(step: int, s: dqn.Settings) -> float:
    """ε at a step: it falls from 1, then stays."""
    slope = (s.epsilon - 1) / (s.exploration * s.total_steps)
    return max(1 + slope * step, s.epsilon)


def theirs(name: str, s: dqn.Settings) -> Side:
    """CleanRL's dqn.py."""

    def side(trial: Trial) -> Run:
        torch.set_num_threads(trial.threads)
        torch.manual_seed(trial.seed)
        world = Environments(name, seed=trial.seed)
        dice = np.random.default_rng([trial.seed, 1])
        seen = world.observations.shape[1]
        q, target = (network(seen, ACTIONS[name]) for _ in range(2))
        target.load_state_dict(q.state_dict())
        adam = torch.optim.Adam(q.parameters(), lr=s.lr, fused=True)
        memory = np.zeros((s.buffer_size, 2 * seen + 3), np.float32)

        def best(rows: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return q(torch.from_numpy(rows)).argmax(1).numpy()

        yield
        for step in range(s.total_steps):
            before = world.observations
            if dice.random() < epsilon(step, s):
                action = dice.integers(ACTIONS[name], size=1)
            else:
                action = best(before)
            moved = world.step(action)
            row = memory[step % s.buffer_size]
            row[:seen], row[seen : 2 * seen] = before[0], moved.after[0]
            row[2 * seen :] = action[0], moved.rewards[0], moved.terminated[0]
            if step >= s.learning_starts and (step + 1) % s.train_every == 0:
                held = min(step + 1, s.buffer_size)
                rows = memory[dice.integers(held, size=s.batch_size)]
                learn(q, target, adam, torch.from_numpy(rows), seen, s)
            if step >= s.learning_starts and (step + 1) % s.target_update == 0:
                target.load_state_dict(q.state_dict())
            if (step + 1) % (s.total_steps // PIECES) == 0:
                yield
        return tested(world, name, trial.seed, best)

    return side


def learn(
    q: Any, target: Any, adam: Any, rows: Any, seen: int, s: dqn.Settings
) -> None:
    """A step of it."""
    with torch.no_grad():
        later = target(rows[:, seen : 2 * seen]).max(1)[0]
        y = rows[:, 2 * seen + 1] + s.gamma * later * (1 - rows[:, 2 * seen + 2])
    worth = q(rows[:, :seen]).gather(1, rows[:, 2 * seen, None].long()).squeeze()
    loss = nn.functional.mse_loss(y, worth)
    adam.zero_grad()
    loss.backward()
    adam.step()


def main() -> None:
    """Race in one environment."""
    options = {"world": {"choices": list(ACTIONS)}, "steps": {"type": int}}
    given = arguments(__doc__, **options)
    s, name = dqn.QUICK if given.quick else dqn.Settings(), given.world
    if given.steps:
        s = replace(s, total_steps=given.steps)
    what = f"DQN, {name}, {s.total_steps} steps"
    sides = {"Chainrule": ours(name, s), "PyTorch": theirs(name, s)}
    compare(given, "dqn", what, sides)


if __name__ == "__main__":
    main()
