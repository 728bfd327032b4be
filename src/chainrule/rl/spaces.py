"""Spaces of gymnasium: observations as a network's inputs, actions as its outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.errors import ArgumentError, NonFiniteError
from chainrule.functions import cat
from chainrule.graph.node import Array
from chainrule.rl.distributions import Categorical, MultiCategorical, Normal
from chainrule.tensor import Tensor
from chainrule.text import _


def _kind(space: Any) -> str:
    """Return the name of a space's class among those of gymnasium."""
    names = [c.__name__ for c in type(space).__mro__ if "gymnasium" in c.__module__]
    return names[0] if names else type(space).__name__


class Observations(nn.Module):
    """The inputs of an agent's networks, from observations (rows, …) in float32.

    Real numbers stay as they are, bytes are divided by 255, and discrete observations
    become one-hot vectors.

    Args:
        space: of one observation: ``Box``, ``Discrete``, ``MultiDiscrete`` or
            ``MultiBinary``.

    Attributes:
        shape: of an observation.
        dtype: in which a memory stores them: bytes as bytes.

    Raises:
        ArgumentError: another space, such as ``Dict``.
    """

    def __init__(self, space: Any) -> None:
        kind = _kind(space)
        if kind not in ("Box", "Discrete", "MultiDiscrete", "MultiBinary"):
            raise ArgumentError(
                _("An agent's network takes one array of numbers."),
                expected=_("observations in Box, Discrete, MultiDiscrete, MultiBinary"),
                got=f"{space!r:.120}",
                fix=_(
                    "env = gymnasium.wrappers.FlattenObservation(env), which makes one "
                    "vector of all parts"
                )
                if kind in ("Dict", "Tuple")
                else _("env.observation_space, a space of gymnasium"),
            )
        self.shape = tuple(space.shape)
        is_bytes = kind == "Box" and space.dtype == np.uint8
        self.dtype = np.uint8 if is_bytes else np.float32
        self.scale = 1 / 255 if is_bytes else 1.0
        self.starts: list[int] = []
        self.sizes: list[int] = []
        if kind.endswith("Discrete"):
            sizes, starts = _choices(space)
            self.sizes, self.starts = sizes.tolist(), starts.tolist()

    @property
    def plain(self) -> bool:
        """True where an agent's observations are vectors that stay as they are."""
        return not self.sizes and self.scale == 1 and len(self.shape) == 1

    @property
    def width(self) -> int:
        """The length of an agent's observations to a network of dense layers."""
        return sum(self.sizes) if self.sizes else math.prod(self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return the inputs of an agent's networks for observations."""
        if not self.sizes:
            x = x.astype("float32") if self.shape else x.astype("float32").unsqueeze(1)
            return x if self.scale == 1 else x * self.scale
        rows = x.astype("int64").reshape(-1, len(self.sizes))
        one_hot = nn.functional.one_hot
        parts = [
            one_hot(rows[:, i] - start, size)
            for i, (size, start) in enumerate(zip(self.sizes, self.starts))
        ]
        return cat(parts, 1).astype("float32")

    def checked(self, observations: Any) -> tuple[Array, bool]:
        """Return observations as rows, and whether it was a single one.

        Raises:
            ArgumentError: they are of another shape.
            NonFiniteError: NaN or infinity.
        """
        seen = np.asarray(observations, np.float32)
        if not np.isfinite(seen).all():
            raise NonFiniteError(
                _("These are no observations of this agent's environment."),
                expected=_("finite numbers"),
                got=f"{observations!r:.80}",
            )
        if seen.shape == self.shape:
            return seen[None], True
        if seen.ndim != len(self.shape) + 1 or seen.shape[1:] != self.shape:
            raise ArgumentError(
                _("These are no observations of this agent's environment."),
                expected=_("shape {shape}, or rows of it", shape=self.shape),
                got=str(seen.shape),
            )
        return seen, False


def _choices(space: Any) -> tuple[Array, Array]:
    """Return the numbers of choices of a discrete space, and the first of each."""
    sizes = np.ravel(space.n if _kind(space) == "Discrete" else space.nvec)
    starts = np.broadcast_to(np.ravel(getattr(space, "start", 0)), sizes.shape)
    return sizes.astype(np.int64), starts.astype(np.int64)


class Actions:
    """The actions of an agent, from the outputs of its network.

    Args:
        space: of one action: ``Discrete``, ``MultiDiscrete``, ``MultiBinary`` or
            ``Box``.

    Attributes:
        outputs: how many numbers a network gives for an action.
        continuous: whether actions are real numbers.
        noise: draws what actions are sampled with.

    Raises:
        ArgumentError: another space.
    """

    def __init__(self, space: Any) -> None:
        self.space, kind = space, _kind(space)
        self.continuous = kind == "Box"
        self.sizes: list[int] = []
        self._starts = np.zeros(1, np.int64)
        self.noise: Callable[..., Array] = Categorical.noise
        if kind in ("Discrete", "MultiDiscrete"):
            sizes, self._starts = _choices(space)
            self.sizes = sizes.tolist()
        elif kind == "MultiBinary":
            self.sizes = [2] * math.prod(space.shape)
        elif self.continuous and space.dtype.kind == "f":
            self.noise = Normal.noise
        else:
            raise ArgumentError(
                _("An agent takes actions that are numbers."),
                expected=_("actions in Discrete, MultiDiscrete, MultiBinary, or Box"),
                got=f"{space!r:.120}",
            )
        self.single = kind == "Discrete"
        self.outputs = math.prod(space.shape) if self.continuous else sum(self.sizes)

    def distribution(self, scores: Tensor, log_std: Any) -> Any:
        """Return the distribution of an agent's actions for a network's outputs."""
        if self.continuous:
            return Normal(scores, log_std)
        if self.single:
            return Categorical(scores)
        return MultiCategorical(scores, self.sizes)

    def taken(self, actions: Array) -> Array:
        """Return an agent's actions as its environments take them.

        Discrete ones begin where the space begins; real ones are clipped to the space.
        """
        if self.single:
            return actions + self._starts[0] if self._starts[0] else actions
        shape = (len(actions), *self.space.shape)
        if self.continuous:
            low, high = self.space.low, self.space.high
            clipped = np.clip(actions.reshape(shape), low, high)
            return clipped.astype(self.space.dtype, copy=False)
        return (actions + self._starts).reshape(shape).astype(self.space.dtype)
