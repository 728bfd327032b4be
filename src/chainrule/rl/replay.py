"""The replay memory of reinforcement learning agents: past transitions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.files import memory
from chainrule.errors import ArgumentError
from chainrule.text import _, ngettext


class Transitions(NamedTuple):
    """Transitions of an environment (observation, action, reward, …), a row each.

    Attributes:
        observations: s, before the step.
        actions: a, integers.
        rewards: r.
        next_observations: s′, after the step.
        terminated: 1 where the episode ended by its own rules, else 0.
    """

    observations: Any
    actions: Any
    rewards: Any
    next_observations: Any
    terminated: Any


class ReplayBuffer:
    """A replay memory: an environment's last transitions; new ones overwrite old.

    Args:
        size: the number of transitions that it can hold.
        observations: the shape of an observation, or its length.
        dtype: of observations.

    Raises:
        ArgumentError: the machine has not enough RAM for it and for the copies that a
            checkpoint takes.

    >>> buffer = ReplayBuffer(100, observations=2)
    >>> buffer.add([0.0, 1.0], 1, 0.5, [1.0, 0.0], False)
    >>> buffer.sample(3, np.random.default_rng(0)).rewards
    array([0.5, 0.5, 0.5], dtype=float32)
    """

    def __init__(
        self, size: int, observations: int | tuple[int, ...], dtype: Any = np.float32
    ) -> None:
        whole = isinstance(observations, int)
        shape = (size, observations) if whole else (size, *observations)
        width = 2 * math.prod(shape[1:]) + 3
        a_step = 4 * np.dtype(dtype).itemsize * width
        need, have = a_step * size, memory()
        if need > have:
            raise ArgumentError(
                _("A memory of {rows} steps does not fit this machine.", rows=size),
                expected=ngettext(
                    "at most {have_width} steps of {n} number each, in {dtype} and "
                    "with the copies that a checkpoint takes",
                    "at most {have_width} steps of {n} numbers each, in {dtype} and "
                    "with the copies that a checkpoint takes",
                    n=width,
                    have_width=have // a_step,
                    dtype=np.dtype(dtype).name,
                ),
                got=_(
                    "{need:.1f} GiB; at most {have:.1f} GiB may be taken",
                    need=need / 2**30,
                    have=have / 2**30,
                ),
                fix=_("a smaller size"),
            )
        self.size, self.count = size, 0
        self.transitions = Transitions(
            observations=np.zeros(shape, dtype),
            actions=np.zeros(size, np.int64),
            rewards=np.zeros(size, np.float32),
            next_observations=np.zeros(shape, dtype),
            terminated=np.zeros(size, np.float32),
        )

    def __len__(self) -> int:
        return min(self.count, self.size)

    def add(
        self,
        observation: Any,
        action: Any,
        reward: Any,
        next_observation: Any,
        terminated: Any,
    ) -> None:
        """Add a transition to a replay memory."""
        row, columns = self.count % self.size, self.transitions
        columns.observations[row] = observation
        columns.actions[row] = action
        columns.rewards[row] = reward
        columns.next_observations[row] = next_observation
        columns.terminated[row] = terminated
        self.count += 1

    def sample(self, batch_size: int, rng: np.random.Generator) -> Transitions:
        """Draw transitions from a replay memory, uniformly with replacement."""
        rows = rng.integers(len(self), size=batch_size)
        return Transitions(*(column[rows] for column in self.transitions))

    def state(self) -> dict[str, Any]:
        """Return a replay memory's transitions, for a checkpoint."""
        kept = (column[: len(self)] for column in self.transitions)
        return {"count": self.count, **dict(zip(self.transitions._fields, kept))}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore a replay memory's transitions from a checkpoint."""
        self.count = state["count"]
        for name, column in self.transitions._asdict().items():
            column[: len(self)] = state[name]
