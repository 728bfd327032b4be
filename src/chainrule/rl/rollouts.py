"""Rollouts: an agent's recorded steps in several environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.rl.worlds import World


class Rollout(NamedTuple):
    """An agent's recorded steps in environments: arrays (steps, environments, …).

    Attributes:
        observations: s, that the actions were chosen by.
        actions: a.
        log_probs: log π(a | s) of the policy that has acted.
        values: V(s).
        rewards: r.
        next_values: V(s′), of an episode that the time limit cut short too; 0 where the
            episode has ended by its own rules.
        not_done: 0 where an episode is over with the step, else 1.
        moved: False where no step was made, but an episode begun.
    """

    observations: Any
    actions: Any
    log_probs: Any
    values: Any
    rewards: Any
    next_values: Any
    not_done: Any
    moved: Any = True


def rollout(
    world: World,
    act: Callable[[np.ndarray, np.ndarray], Any],
    noise: np.ndarray,
    taken: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Rollout:
    """Act in environments for some steps; return observations, actions, rewards.

    Args:
        world: the environments, each of which goes on with its episode.
        act: from observations and noise to actions, log π and V, tensors (rows, …).
        noise: (steps, environments, actions), with which actions are drawn.
        taken: from actions to what the environments take.
    """
    columns: list[list[Any]] = [[] for __ in Rollout._fields]
    everywhere = np.ones(len(world.observations), bool)
    for drawn in noise:
        observations = world.observations
        actions, log_probs, values = (x.numpy() for x in act(observations, drawn))
        transition = world.step(taken(actions))
        cut_values = np.zeros_like(values)
        if transition.truncated.any():
            cut = transition.truncated & ~transition.terminated
            cut_values = act(transition.after, drawn)[2].numpy() * cut
        not_done = 1 - np.float32(transition.terminated | transition.truncated)
        row = observations, actions, log_probs, values, transition.rewards
        moved = everywhere if world.moved is None else world.moved
        for column, x in zip(columns, (*row, cut_values, not_done, moved)):
            column.append(x)
    steps = Rollout(*map(np.stack, columns))
    last = act(world.observations, noise[0])[2].numpy()
    onward = np.concatenate([steps.values[1:], last[None]]) * steps.not_done
    return steps._replace(next_values=onward + steps.next_values)


def gae(
    steps: Rollout, gamma: float, gae_lambda: float, reward_scale: float = 1.0
) -> np.ndarray:
    """Return generalised advantages Aₜ = δₜ + γλ Aₜ₊₁ of a rollout.

    δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ). Source: Schulman et al. 2016.
    """
    A = reward_scale * steps.rewards + gamma * steps.next_values - steps.values
    for t in range(len(A) - 2, -1, -1):
        A[t] += gamma * gae_lambda * steps.not_done[t] * A[t + 1]
    return A
