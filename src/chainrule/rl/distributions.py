"""Distributions of an agent's actions, with the names of ``torch.distributions``.

A sample is a function of noise that the caller draws. So a compiled step of acting has
no random numbers of its own, and the noise of a whole rollout is drawn at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.functions import stack
from chainrule.tensor import Tensor


class Categorical:
    """A distribution of discrete actions 0, 1, …, with probabilities softmax(logits).

    Args:
        logits: (rows, actions), unnormalised log-probabilities.

    >>> import chainrule as cr
    >>> policy = Categorical(cr.tensor([[0.0, 0.0, 5.0]]))
    >>> policy.sample(np.zeros((1, 3), np.float32))
    tensor([2])
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits: Any = logits

    @staticmethod
    def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw Gumbel noise: argmax(logits + noise) is a draw from their softmax."""
        return rng.gumbel(size=shape).astype(np.float32)

    def sample(self, noise: Any) -> Any:
        """Return sampled discrete actions (rows,) for Gumbel noise (rows, actions)."""
        return (self.logits + noise).argmax(1)

    def mode(self) -> Any:
        """Return the most likely discrete action of each row."""
        return self.logits.argmax(1)

    def log_prob(self, actions: Any) -> Any:
        """Return the log-probabilities log π(a | s) of discrete actions, (rows,)."""
        logs = nn.functional.log_softmax(self.logits)
        return (logs * nn.functional.one_hot(actions, self.logits.shape[1])).sum(1)

    def entropy(self) -> Any:
        """Return the entropy −Σ p log p of discrete actions' distributions, (rows,)."""
        logs = nn.functional.log_softmax(self.logits)
        return -(logs.exp() * logs).sum(1)


class MultiCategorical:
    """A distribution of vectors of discrete actions, independent of one another.

    Args:
        logits: (rows, Σ sizes), those of one action beside those of the next.
        sizes: how many choices each action has.

    >>> import chainrule as cr
    >>> policy = MultiCategorical(cr.tensor([[0.0, 5.0, 3.0, 0.0, 0.0]]), [2, 3])
    >>> policy.mode()
    tensor([[1, 0]])
    """

    def __init__(self, logits: Tensor, sizes: Sequence[int]) -> None:
        ends = np.cumsum(sizes).tolist()
        self.parts = [
            Categorical(logits[:, end - size : end]) for size, end in zip(sizes, ends)
        ]
        self._spans = [slice(end - size, end) for size, end in zip(sizes, ends)]

    def sample(self, noise: Any) -> Any:
        """Return sampled vectors of actions for Gumbel noise (rows, Σ sizes)."""
        drawn = zip(self.parts, self._spans)
        return stack([part.sample(noise[:, at]) for part, at in drawn], 1)

    def mode(self) -> Any:
        """Return the most likely vector of actions of each row."""
        return stack([part.mode() for part in self.parts], 1)

    def log_prob(self, actions: Any) -> Any:
        """Return the log-probabilities log π(a | s) of vectors of actions, (rows,)."""
        each = [part.log_prob(actions[:, i]) for i, part in enumerate(self.parts)]
        return stack(each, 1).sum(1)

    def entropy(self) -> Any:
        """Return the entropy of the distributions of vectors of actions, (rows,)."""
        return stack([part.entropy() for part in self.parts], 1).sum(1)


class Normal:
    """A normal distribution of vectors of real actions, independent components.

    Args:
        mean: μ, (rows, actions).
        log_std: log σ, (actions,).

    >>> import chainrule as cr
    >>> policy = Normal(cr.tensor([[1.0, 2.0]]), cr.zeros(2))
    >>> policy.sample(np.array([[0.5, -1.0]], np.float32))
    tensor([[1.5, 1. ]])
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.mean, self.log_std = mean, log_std

    @staticmethod
    def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw standard normal noise, from which real actions are sampled."""
        return rng.standard_normal(shape, np.float32)

    def sample(self, noise: Any) -> Any:
        """Return sampled real actions μ + σ · noise, (rows, actions)."""
        return self.mean + self.log_std.exp() * noise

    def mode(self) -> Any:
        """Return the most likely real actions, the mean μ."""
        return self.mean

    def log_prob(self, actions: Any) -> Any:
        """Return the log-densities log π(a | s) of normally distributed actions."""
        z = (actions - self.mean) * (-self.log_std).exp()
        return (-0.5 * z * z - self.log_std - 0.5 * math.log(2 * math.pi)).sum(1)

    def entropy(self) -> Any:
        """Return the entropy of normally distributed actions, the same in every row."""
        each = self.log_std + 0.5 + 0.5 * math.log(2 * math.pi)
        return (self.mean * 0 + each).sum(1)
