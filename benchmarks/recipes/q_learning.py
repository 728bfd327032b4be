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
    played = q_learning.WORLDS[key].episodes
    return max(200, played // 20) if trial.quick else played


@cache
def steps(key: str, seed: int, played: int) -> int:
    """That the recipe makes in them."""
    counter = Counted()
    q_learning.learn(counter, q_learning.WORLDS[key], seed, played)
    return counter.steps


def worth(key: str, q: Any) -> dict[str, float]:
    """The return of the greedy policy of a table."""
    world = q_learning.WORLDS[key]
    rule = q_learning.rules(gymnasium.make(world.name))
    policy = np.asarray(q).argmax(axis=1)
    return {"return": q_learning.worth_of(rule, policy, world.limit)}


def ours(key: str) -> Any:
    """The recipe's."""

    def side(trial: Trial) -> Run:
        world, played = q_learning.WORLDS[key], episodes(key, trial)
        yield
        found = q_learning.learn(gymnasium, world, trial.seed, played)
        yield
        made = steps(key, trial.seed, played)
        return {**worth(key, found["tables"][-1]), "steps": made}

    return side


def theirs(key: str, learn: Callable[..., Any]) -> Any:
    """As many steps of another loop."""

    def side(trial: Trial) -> Run:
        world = q_learning.WORLDS[key]
        total = steps(key, trial.seed, episodes(key, trial))
        environment = gymnasium.make(world.name, max_episode_steps=world.limit)
        yield
        q = learn(environment, world, total, trial.seed)
        yield
        return {**worth(key, q), "steps": total}

    return side


def in_numpy(environment: Any, world: Any, total: int, seed: int) -> np.ndarray:
    """The table is an array, and its generator draws."""
    dice = np.random.default_rng(seed)
    actions = environment.action_space.n
    q = np.zeros((environment.observation_space.n, actions))
    (rate, last), (greed, least) = world.rate, world.greed
    state, _ = environment.reset(seed=seed)
    for step in range(total):
        done = step / total
        alpha, epsilon = rate + (last - rate) * done, greed + (least - greed) * done
        if dice.random() < epsilon:
            action = int(dice.integers(actions))
        else:
            action = int(q[state].argmax())
        after, reward, ended, cut, _ = environment.step(action)
        later = 0.0 if ended else q[after].max()
        q[state, action] += alpha * (reward + world.discount * later - q[state, action])
        state = environment.reset()[0] if ended or cut else after
    return q


def in_lists(environment: Any, world: Any, total: int, seed: int) -> list[list[float]]:
    """The table is a list of lists, and Python's own generator draws."""
    dice = random.Random(seed)
    actions = int(environment.action_space.n)
    q = [[0.0] * actions for _ in range(environment.observation_space.n)]
    (rate, last), (greed, least) = world.rate, world.greed
    state, _ = environment.reset(seed=seed)
    for step in range(total):
        done = step / total
        alpha, epsilon = rate + (last - rate) * done, greed + (least - greed) * done
        row = q[state]
        if dice.random() < epsilon:
            action = int(dice.random() * actions)
        else:
            action = row.index(max(row))
        after, reward, ended, cut, _ = environment.step(action)
        later = 0.0 if ended else max(q[after])
        row[action] += alpha * (reward + world.discount * later - row[action])
        state = environment.reset()[0] if ended or cut else after
    return q


if __name__ == "__main__":
    given = arguments(__doc__, world={"choices": list(q_learning.WORLDS)})
    key = given.world
    sides = {"Chainrule": ours(key)}
    sides |= {"NumPy": theirs(key, in_numpy), "lists": theirs(key, in_lists)}
    what = f"Q-learning, {q_learning.WORLDS[key].name}"
    compare(given, "q-learning", what, sides)
