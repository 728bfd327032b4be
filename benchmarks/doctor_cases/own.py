"""Layers and losses that questioners wrote themselves."""

from __future__ import annotations

import math
from typing import Any

import chainrule as cr
from chainrule import nn

# -- layers ----------------------------------------------------------------------------


class Sine(nn.Module):
    """sin 30z, the activation of networks of sines."""

    def forward(self, z: cr.Tensor) -> cr.Tensor:
        return (z * 30).sin()


class Cosines(nn.Module):
    """The cosine between a row and each class's vector."""

    def __init__(self, inputs: int, classes: int) -> None:
        self.weight = nn.Parameter(cr.randn(classes, inputs))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        length = (x**2).sum(-1, keepdim=True).sqrt()
        vectors = self.weight / (self.weight**2).sum(-1, keepdim=True).sqrt()
        return (x / length) @ vectors.T


class Last(nn.Module):
    """What a recurrent layer has at the last index of axis 1."""

    def __init__(self, cell: nn.Module) -> None:
        self.cell = cell

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        outputs, _ = self.cell(x)
        return outputs[:, -1]


class LastOfFrames(nn.Module):
    """The last step of a recurrent layer that wants time first.

    ``viewed`` reads the numbers of (N, T, F) as (T, N, F), which mixes the rows of a
    batch; otherwise the axes are swapped.
    """

    def __init__(self, cell: nn.Module, *, viewed: bool = False) -> None:
        self.cell = cell
        self.viewed = viewed

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        rows, steps, columns = x.shape
        turned = x.reshape(steps, rows, columns) if self.viewed else x.transpose(0, 1)
        outputs, _ = self.cell(turned)
        return outputs[-1]


class MeanOverTime(nn.Module):
    """The mean of a sequence's vectors."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x.mean(1)


class Frozen(nn.Module):
    """Layers that are not trained."""

    def __init__(self, *layers: nn.Module) -> None:
        self.layers = nn.Sequential(*layers).requires_grad_(False)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.layers(x)


class HandSigmoid(nn.Module):
    """1 / (1 + exp(−z/τ)), written out."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def forward(self, z: cr.Tensor) -> cr.Tensor:
        return 1 / (1 + (-z / self.temperature).exp())


class SafeSigmoid(nn.Module):
    """The same by the library's function."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def forward(self, z: cr.Tensor) -> cr.Tensor:
        return (z / self.temperature).sigmoid()


class HandSoftmax(nn.Module):
    """exp z / Σ exp z, written out."""

    def forward(self, z: cr.Tensor) -> cr.Tensor:
        powers = z.exp()
        return powers / powers.sum(-1, keepdim=True)


class Distance(nn.Module):
    """The distance between the two things of a row, each seen by the same layers."""

    def __init__(self, *layers: nn.Module, least: float = 0.0) -> None:
        self.tower = nn.Sequential(*layers)
        self.least = least

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        apart = self.tower(x[:, 0]) - self.tower(x[:, 1])
        return ((apart**2).sum(-1, keepdim=True) + self.least).sqrt()


# -- losses ----------------------------------------------------------------------------


def mean_square(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    return ((outputs - targets) ** 2).mean()


def sum_of_logarithms(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    return -(targets * outputs.log()).sum()


def mean_of_logarithms(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    return -(targets * outputs.log()).sum(-1).mean()


def both_logarithms(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    sure = targets * outputs.log() + (1 - targets) * (1 - outputs).log()
    return -sure.mean()


def angular_margin(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Cross-entropy with an angle of ½ added to that of the right class."""
    return _margin(outputs, targets, (1 - outputs**2).sqrt())


def safe_angular_margin(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    return _margin(outputs, targets, (1 - outputs**2).clamp(1e-6, 1).sqrt())


def _margin(cosines: cr.Tensor, targets: cr.Tensor, sines: cr.Tensor) -> cr.Tensor:
    turned = cosines * math.cos(0.5) - sines * math.sin(0.5)
    scores = 10 * (targets * turned + (1 - targets) * cosines)
    return -(targets * scores.log_softmax(-1)).sum(-1).mean()


def dice(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """The overlap of two masks: 1 where they agree."""
    both = (outputs * targets).sum()
    return (2 * both + 1) / (outputs.sum() + targets.sum() + 1)


def dice_loss(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    return 1 - dice(outputs, targets)


def hinge(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """max(0, 1 − ty), for targets of −1 and 1."""
    return (1 - targets * outputs).relu().mean()


def focal(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Cross-entropy that weighs sure rows less, γ = 2."""
    ones = targets * (1 - outputs) ** 2 * outputs.log()
    zeros = (1 - targets) * outputs**2 * (1 - outputs).log()
    return -(ones + zeros).mean()


def safe_focal(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    return focal(outputs.clamp(1e-6, 1 - 1e-6), targets)


def contrastive(distances: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    """Pull what is the same (0) together and push what differs (1) a length apart."""
    same = (1 - targets) * distances**2
    other = targets * (1 - distances).relu() ** 2
    return (same + other).mean()


#: What a case's expressions may name beside the library's own.
NAMES: dict[str, Any] = {
    name: made
    for name, made in vars().items()
    if not name.startswith("_") and getattr(made, "__module__", None) == __name__
}
