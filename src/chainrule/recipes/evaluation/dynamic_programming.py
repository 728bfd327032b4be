"""Exact returns of policies in environments with known transition probabilities.

Dynamic programming backwards from the end of an episode (Bellman 1957), for the tabular
environments of gymnasium, which have their probabilities in ``P``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class TransitionModel(NamedTuple):
    """A Markov decision process as arrays: transitions, rewards, start states.

    Attributes:
        onward: P(s′ | s, a) (states, actions, states), where the episode goes on; a row
            sums to less than 1 where it may end.
        rewards: E[r | s, a] (states, actions).
        start: P(s₀ = s) (states,).
    """

    onward: np.ndarray
    rewards: np.ndarray
    start: np.ndarray


def transition_model(environment: Any) -> TransitionModel:
    """Return the transition model of a tabular environment of gymnasium.

    Args:
        environment: its ``P[s][a]`` lists (probability, s′, reward, terminated).
    """
    inner = environment.unwrapped
    states, actions = len(inner.P), len(inner.P[0])
    onward, rewards = np.zeros((states, actions, states)), np.zeros((states, actions))
    for state, row in inner.P.items():
        for action, outcomes in row.items():
            for probability, after, reward, terminated in outcomes:
                rewards[state, action] += probability * reward
                onward[state, action, after] += 0.0 if terminated else probability
    return TransitionModel(onward, rewards, np.asarray(inner.initial_state_distrib))


def optimal_return(model: TransitionModel, horizon: int) -> float:
    """Return the best policy's mean return in a known environment, within a horizon.

    V₀ = 0 and Vₜ₊₁(s) = maxₐ [R(s, a) + Σ P(s′ | s, a) Vₜ(s′)], t steps before the end.

    Args:
        model: of the environment.
        horizon: the steps of an episode at most.
    """
    value = np.zeros(len(model.rewards))
    for __ in range(horizon):
        value = (model.rewards + model.onward @ value).max(axis=1)
    return float(model.start @ value)


def policy_return(model: TransitionModel, policy: np.ndarray, horizon: int) -> float:
    """Return the mean return of a deterministic policy in a known environment.

    Args:
        model: of the environment.
        policy: the action in each state (states,).
        horizon: the steps of an episode at most.
    """
    states, value = np.arange(len(policy)), np.zeros(len(policy))
    rewards, onward = model.rewards[states, policy], model.onward[states, policy]
    for __ in range(horizon):
        value = rewards + onward @ value
    return float(model.start @ value)
