"""Random models: layers, activations and ways through them drawn by a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn

D: Any = {"dtype": "float64"}
SMOOTH = ("tanh", "sigmoid", "relu", "exp_", "square_", "softplus_", "abs_", "sin_")


class Drawn(nn.Module):
    """A chain of random operations on rows, with shortcuts and shared weights."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.ops: list[tuple[Any, ...]] = []
        width = self.first = int(rng.integers(2, 5))
        self.parts = nn.ModuleList()
        for _ in range(int(rng.integers(2, 7))):
            kind = str(rng.choice(["linear", "act", "norm", "short", "scale", "mix"]))
            if kind == "linear":
                new = int(rng.integers(2, 5))
                self.parts.append(nn.Linear(width, new, bias=rng.random() < 0.8, **D))
                self.ops.append(("part", len(self.parts) - 1))
                width = new
            elif kind == "norm":
                norm = nn.LayerNorm if rng.random() < 0.5 else nn.RMSNorm
                self.parts.append(norm(width, **D))
                self.ops.append(("part", len(self.parts) - 1))
            elif kind == "short":
                self.parts.append(nn.Linear(width, width, **D))
                self.ops.append(("short", len(self.parts) - 1))
            else:
                word = str(rng.choice(SMOOTH)) if kind == "act" else kind
                self.ops.append((word, float(rng.uniform(0.5, 1.5))))
        self.out = nn.Linear(width, 2, **D)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        for kind, which in self.ops:
            if kind == "part":
                x = self.parts[which](x)
            elif kind == "short":
                x = x + self.parts[which](x).tanh()
            elif kind == "scale":
                x = x * which - 0.5
            elif kind == "mix":
                x = x * x.softmax(dim=1) + x.mean(dim=1, keepdim=True)
            elif kind == "exp_":
                x = (x * 0.3).exp()
            elif kind == "square_":
                x = x.square() / (1 + x.square())
            elif kind == "softplus_":
                x = nn.functional.softplus(x)
            elif kind == "abs_":
                x = (x + which).abs()
            elif kind == "sin_":
                x = x.sin()
            else:
                x = getattr(x, kind)()
        return self.out(x)


def drawn(seed: int) -> tuple[nn.Module, np.ndarray, np.ndarray, Any]:
    """A model, x, y and a loss."""
    rng = np.random.default_rng(seed)
    cr.manual_seed(seed)
    model, n = Drawn(rng), int(rng.choice([1, 3, 7]))
    x = rng.normal(size=(n, model.first))
    if rng.random() < 0.5:
        return model, x, rng.integers(0, 2, n), nn.CrossEntropyLoss()
    return model, x, rng.normal(size=(n, 2)), nn.MSELoss()
