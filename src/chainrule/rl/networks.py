"""Networks of agents: dense layers, or a module of one's own with a layer behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from chainrule import nn
from chainrule.compilation.modes import mode
from chainrule.errors import ArgumentError
from chainrule.functions import zeros
from chainrule.graph.context import no_grad
from chainrule.rl.spaces import Observations
from chainrule.text import _
from chainrule.util.validation import whole

#: What may stand for a network: sizes of hidden layers, or a module of features.
Policy = Iterable[int] | nn.Module


def sizes_of(policy: Policy) -> list[int] | None:
    """Return the sizes of an agent's hidden layers; None where it is a module.

    Raises:
        ArgumentError: neither.
    """
    if isinstance(policy, nn.Module):
        return None
    if isinstance(policy, str) or not isinstance(policy, Iterable):
        raise ArgumentError(
            _("An agent's policy is a network."),
            expected=_("sizes of hidden layers, (64, 64), or a module"),
            got=f"{policy!r:.80}",
        )
    return [whole("policy", size) for size in policy]


def dense(
    observations: Observations,
    hidden: Sequence[int],
    outputs: int,
    activation: type[nn.Module],
) -> nn.Sequential:
    """Return a network of dense layers, from observations to ``outputs`` numbers."""
    sizes = [observations.width, *hidden, outputs]
    layers = [nn.Linear(m, n) for m, n in pairwise(sizes)]
    between = [part for layer in layers for part in (activation(), layer)]
    before = [] if observations.plain else [observations, nn.Flatten()]
    return nn.Sequential(*before, *between[1:])


def features_of(module: Any, observations: Observations) -> tuple[nn.Sequential, int]:
    """Return a module as the features of an agent's networks, and their number.

    Raises:
        ArgumentError: it gives no row of features for each observation.
    """
    made = nn.Sequential(observations, module)
    with no_grad(), mode(made, training=False):
        shape: Any = made(zeros(2, *observations.shape)).shape
    if len(shape) != 2 or shape[0] != 2:
        raise ArgumentError(
            _("A policy's module gives a row of features for each observation."),
            expected=_("shape (rows, features)"),
            got=str(shape),
            fix=_("nn.Sequential(…, nn.Flatten())"),
        )
    return made, int(shape[1])
