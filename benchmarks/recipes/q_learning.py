"""Q-learning beside the same updates written plainly, as a textbook has them.

    python benchmarks/recipes/q_learning.py taxi --seeds 3

Both play the same environment of gymnasium for the same number of steps, one after
another, with the same α, ε and γ: the recipe with what it keeps on the way, the others
as a loop of a few lines, over a table of NumPy and over lists of numbers, the fastest
that Python has. The return is that of the greedy policy, exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import gymnasium
import numpy as np
from turns import Run, Trial, arguments, compare

from chainrule.recipes import q_learning
from chainrule.recipes.evaluation import dynamic_programming as dp


class Counted:
    """gymnasium, whose environments count their steps."""

    def __init__(self) -> None:
        self.steps = 0

    def make(self, *names: Any, **how: Any) -> Any:
        """As ``gymnasium.make``."""
        environment = gymnasium.make(*names, **how)
        step = environment.step

        def counted(action: int) -> Any:
            self.steps += 1
            return step(action)

        environment.step = counted  # type: ignore
        return environment


def episodes(key: str, trial: Trial) -> int:
    """That the recipe plays."""
    played = q_learning.ENVIRONMENTS[key].episodes
    return played // 3 if trial.quick else played


@cache
def steps(key: str, seed: int, played: int) -> int:
    """That the recipe makes in them."""
    counter = Counted()
    q_learning.learn(counter, q_learning.ENVIRONMENTS[key], seed, played)
    return counter.steps


def score(key: str, q: Any) -> dict[str, float]:
    """The return of the greedy policy of a table."""
    world = q_learning.ENVIRONMENTS[key]
    model = dp.transition_model(gymnasium.make(world.name))
    policy = np.asarray(q).argmax(axis=1)
    return {"return": dp.policy_return(model, policy, world.limit)}


def ours(key: str) -> Any:
    """The recipe's."""

    def side(trial: Trial) -> Run:
        world, played = q_learning.ENVIRONMENTS[key], episodes(key, trial)
        yield
        found = q_learning.learn(gymnasium, world, trial.seed, played)
        yield
        made = steps(key, trial.seed, played)
        return {**score(key, found["tables"][-1]), "steps": made}

    return side


def theirs(key: str, learn: Callable[..., Any]) -> Any:
    """As many steps of another loop."""

    def side(trial: Trial) -> Run:
        world = q_learning.ENVIRONMENTS[key]
        total = steps(key, trial.seed, episodes(key, trial))
        environment = gymnasium.make(world.name, max_episode_steps=world.limit)
        yield
        q = learn(environment, world, total, trial.seed)
        yield
        return {**score(key, q), "steps": total}

    return side


def in_numpy(environment: Any, world: Any, total: int, seed: int) -> np.ndarray:
    """The table is an array, and its generator draws."""
    rng = np.random.default_rng(seed)
    actions = environment.action_space.n
    q = np.zeros((environment.observation_space.n, actions))
    (first, last), (start, end) = world.alpha, world.epsilon
    state, _ = environment.reset(seed=seed)
    for step in range(total):
        done = step / total
        alpha, epsilon = first + (last - first) * done, start + (end - start) * done
        if rng.random() < epsilon:
            action = int(rng.integers(actions))
        else:
            action = int(q[state].argmax())
        after, reward, ended, cut, _ = environment.step(action)
        later = 0.0 if ended else q[after].max()
        q[state, action] += alpha * (reward + world.gamma * later - q[state, action])
        state = environment.reset()[0] if ended or cut else after
    return q


def in_lists(environment: Any, world: Any, total: int, seed: int) -> list[list[float]]:
    """The table is a list of lists, and Python's own generator draws."""
    rng = random.Random(seed)
    actions = int(environment.action_space.n)
    q = [[0.0] * actions for _ in range(environment.observation_space.n)]
    (first, last), (start, end) = world.alpha, world.epsilon
    state, _ = environment.reset(seed=seed)
    for step in range(total):
        done = step / total
        alpha, epsilon = first + (last - first) * done, start + (end - start) * done
        row = q[state]
        if rng.random() < epsilon:
            action = int(rng.random() * actions)
        else:
            action = row.index(max(row))
        after, reward, ended, cut, _ = environment.step(action)
        later = 0.0 if ended else max(q[after])
        row[action] += alpha * (reward + world.gamma * later - row[action])
        state = environment.reset()[0] if ended or cut else after
    return q


if __name__ == "__main__":
    given = arguments(__doc__, world={"choices": list(q_learning.ENVIRONMENTS)})
    key = given.world
    sides = {"Chainrule": ours(key)}
    sides |= {"NumPy": theirs(key, in_numpy), "lists": theirs(key, in_lists)}
    what = f"Q-learning, {q_learning.ENVIRONMENTS[key].name}"
    compare(given, "q-learning", what, sides)
