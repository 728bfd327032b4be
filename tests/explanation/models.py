"""Models of every kind, with an input for each, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

D: Any = {"dtype": "float64"}


class Pooled(nn.Module):
    """The mean of what a layer of sequences gives, and an output layer."""

    def __init__(self, inner: nn.Module, width: int) -> None:
        self.inner, self.out = inner, nn.Linear(width, 2, **D)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        made = self.inner(x)
        made = made[0] if isinstance(made, tuple) else made
        return self.out(made.mean(dim=1))


class Looks(nn.Module):
    """A sequence that looks at itself."""

    def __init__(self) -> None:
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, **D)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.attention(x, x, x)[0]


class Words(nn.Module):
    """Embedded words, their mean, an output layer."""

    def __init__(self) -> None:
        self.table, self.out = nn.Embedding(6, 4, **D), nn.Linear(4, 2, **D)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.out(self.table(x).mean(dim=1))


class Residual(nn.Module):
    """Two ways that meet."""

    def __init__(self) -> None:
        self.a, self.b, self.c = linear(3, 3, 3, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.a(x).tanh()
        return self.c(h + self.b(h).relu())


class Tied(nn.Module):
    """One weight used twice."""

    def __init__(self) -> None:
        (self.a,) = linear(3, 3)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.a(self.a(x).tanh()).sigmoid()[:, :2]


class Own(nn.Module):
    """No layer of ours: preprocessing, a product, a gate, a loop over parameters."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.w = nn.Parameter(rng.normal(size=(2, 3)))
        self.c = nn.Parameter(rng.normal(size=(2,)))
        self.scale = nn.Parameter(rng.normal(size=(3,)))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        z = (x * 2 - 1) * self.scale @ self.w.T + self.c
        return z * z.sigmoid() / (1 + z.square().sum(dim=1, keepdim=True)).sqrt()


def linear(*sizes: int, **options: Any) -> list[nn.Linear]:
    return [nn.Linear(a, b, **D, **options) for a, b in pairwise(sizes)]


def around(*between: nn.Module, **options: Any) -> nn.Sequential:
    """Modules between two layers of neurons."""
    return nn.Sequential(nn.Linear(3, 4, **D, **options), *between, *linear(4, 2))


ACTIVATIONS = (
    nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.SELU, nn.Softplus, nn.Sigmoid,
    nn.Tanh, nn.Softmax, nn.LogSoftmax, nn.Hardtanh, nn.ReLU6, nn.Hardswish, nn.Mish,
    nn.Softsign, nn.Hardsigmoid, nn.LogSigmoid, nn.Tanhshrink, nn.Heaviside,
)  # fmt: skip


def layers() -> Iterator[tuple[str, nn.Module, tuple[int, ...]]]:
    """Every layer within a small network, and the shape of a sample."""
    cr.manual_seed(0)
    for kind in ACTIVATIONS:
        yield kind.__name__, around(kind()), (3,)
    yield "gelu_tanh", around(nn.GELU("tanh")), (3,)
    for kind in (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d):
        yield kind.__name__, around(kind(4, **D), nn.Tanh()), (3,)
    yield "BatchNorm1d.eval", around(nn.BatchNorm1d(4, **D), nn.Tanh()).eval(), (3,)
    yield "Dropout", around(nn.Tanh(), nn.Dropout(0.5)), (3,)
    yield "no activation", around(bias=False), (3,)
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        yield kind.__name__, Pooled(kind(3, 4, batch_first=True, **D), 4), (5, 3)
    two = nn.LSTM(3, 2, num_layers=2, bidirectional=True, batch_first=True, **D)
    yield "LSTM, two layers, both ways", Pooled(two, 4), (3, 3)
    yield "MultiheadAttention", Pooled(Looks(), 4), (5, 4)
    yield "CausalSelfAttention", Pooled(nn.CausalSelfAttention(4, 2, **D), 4), (5, 4)
    options: Any = {"dropout": 0.0, "batch_first": True, **D}
    for first in (False, True):
        inner = nn.TransformerEncoderLayer(8, 2, 16, norm_first=first, **options)
        yield f"TransformerEncoderLayer {first}", Pooled(inner, 8), (4, 8)
    yield (
        "Conv1d",
        nn.Sequential(
            nn.Conv1d(3, 4, 3, padding=1, **D), nn.Tanh(), nn.AvgPool1d(2),
            nn.Flatten(), *linear(8, 2),
        ),
        (3, 5),
    )  # fmt: skip
    yield (
        "Conv2d",
        nn.Sequential(
            nn.Conv2d(1, 3, 3, **D), nn.BatchNorm2d(3, **D), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), *linear(27, 2),
        ),
        (1, 8, 8),
    )  # fmt: skip
    yield (
        "MaxPool2d, windows that overlap",
        nn.Sequential(
            nn.Conv2d(1, 2, 3, **D), nn.MaxPool2d(3, stride=2, padding=1), nn.Tanh(),
            nn.Flatten(), *linear(18, 2),
        ),
        (1, 7, 7),
    )  # fmt: skip
    yield (
        "MaxPool1d",
        nn.Sequential(
            nn.Conv1d(2, 3, 2, **D), nn.MaxPool1d(2), nn.Flatten(), *linear(9, 2)
        ),
        (2, 7),
    )
    yield (
        "ConvTranspose2d",
        nn.Sequential(
            nn.ConvTranspose2d(2, 3, 3, stride=2, **D), nn.GELU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), *linear(3, 2),
        ),
        (2, 4, 4),
    )  # fmt: skip
    yield (
        "GroupNorm",
        nn.Sequential(
            nn.Conv2d(2, 4, 3, **D), nn.GroupNorm(2, 4, **D), nn.SiLU(),
            nn.AvgPool2d(2), nn.Flatten(), *linear(4, 2),
        ),
        (2, 4, 4),
    )  # fmt: skip
    yield (
        "groups, stride, InstanceNorm2d",
        nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, groups=2, **D),
            nn.InstanceNorm2d(4, affine=True, **D), nn.ELU(), nn.Flatten(),
            *linear(16, 2),
        ),
        (2, 6, 6),
    )  # fmt: skip
    yield "Residual", Residual(), (3,)
    yield "Tied", Tied(), (3,)
    yield "Own", Own(), (3,)


LAYERS = {name: (model, shape) for name, model, shape in layers()}
#: Other functions of one number, or of rows, than ReLU, GELU and softmax, and what
#: consists of the same parts as another layer: in most tests among the slow ones.
ALIKE = {kind.__name__ for kind in ACTIVATIONS} - {"ReLU", "GELU", "Softmax"}
ALIKE |= {"gelu_tanh", "RNN", "TransformerEncoderLayer False", "no activation"}


def some_layers() -> list[Any]:
    """The names of layers as parameters; of those that are alike some are slow."""
    return [
        pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ())
        for name in LAYERS
        if "two layers" not in name
    ]


def losses() -> Iterator[tuple[Any, str]]:
    """Every loss, and what it takes for y."""
    yield nn.MSELoss(), "numbers"
    yield nn.MSELoss(reduction="sum"), "numbers"
    yield nn.HalfSquaredErrorLoss(), "numbers"
    yield nn.L1Loss(), "numbers"
    yield nn.HuberLoss(), "numbers"
    yield nn.SmoothL1Loss(), "numbers"
    yield nn.BCEWithLogitsLoss(), "bits"
    yield nn.CrossEntropyLoss(), "classes"
    yield nn.CrossEntropyLoss(label_smoothing=0.1), "classes"
    yield nn.CrossEntropyLoss(weight=cr.tensor([0.3, 2.0])), "classes"
    yield nn.CrossEntropyLoss(), "shares"
    yield nn.MultiMarginLoss(), "classes"
    yield nn.HingeLoss(), "signs"
    yield nn.KLDivergence(), "shares of shares"


LOSSES = [
    (f"{type(loss).__name__} {kind} {i}", loss, kind)
    for i, (loss, kind) in enumerate(losses())
]


def truth(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """y of a kind for n samples."""
    return {
        "numbers": rng.normal(size=(n, 2)),
        "bits": rng.integers(0, 2, (n, 2)).astype(float),
        "classes": rng.integers(0, 2, n),
        "signs": np.sign(rng.normal(size=(n, 2))),
    }.get(kind, np.full((n, 2), 0.5))
