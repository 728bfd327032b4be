"""The loss surface (w, b) of a straight line fitted to points.

ŷ = wx + b on the book's half mean squared error, ℒ = 1/2n Σ (y − ŷ)² (3.3). It has two
parameters, so it can be drawn; it is a quadratic, so all about it is known; and since
the x are not centred, it is a long valley that lies aslant.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.graph.node import Array

SAMPLES = 240
#: Where every descent starts: (w, b).
START = (-1.0, 4.0)
#: The line that the points lie about, and how far.
LINE, NOISE = (1.5, 0.5), 0.5


class Surface:
    """The points of a straight-line fit, and their loss surface over (w, b).

    Args:
        seed: of the points.

    Attributes:
        x, y: (n, 1) float64.
    """

    def __init__(self, seed: int) -> None:
        cr.manual_seed(seed)
        x = cr.uniform(SAMPLES, 1, dtype="float64").numpy() * 2 + 0.5
        noise = cr.randn(SAMPLES, 1, dtype="float64").numpy()
        self.x, self.y = x, LINE[0] * x + LINE[1] + NOISE * noise

    @cached_property
    def design(self) -> Array:
        """The design matrix of a straight-line fit, with rows (x, 1)."""
        return np.hstack([self.x, np.ones_like(self.x)])

    @cached_property
    def hessian(self) -> Array:
        """The Hessian ∂²ℒ/∂θ² of a straight-line fit's loss, a constant matrix."""
        return self.design.T @ self.design / len(self.x)

    @cached_property
    def minimum(self) -> Array:
        """The minimum (w, b) of a straight-line fit's loss, by the normal equations."""
        return np.linalg.solve(self.design.T @ self.design, self.design.T @ self.y)[
            :, 0
        ]

    @property
    def least(self) -> float:
        """The minimal loss of a straight-line fit."""
        return float(self.loss(*self.minimum))

    @property
    def gap(self) -> float:
        """The difference between a straight-line fit's initial and minimal loss."""
        return float(self.loss(*START)) - self.least

    def loss(self, w: Any, b: Any) -> Any:
        """Return a straight-line fit's loss ℒ at points (w, b), in closed form."""
        w, b = np.asarray(w), np.asarray(b)
        errors = w[..., None] * self.x[:, 0] + b[..., None] - self.y[:, 0]
        return (errors**2).mean(-1) / 2

    def above(self, path: Any) -> Array:
        """Return the loss above the minimum along a descent path, relative to a gap."""
        path = np.asarray(path)
        from_least = path - self.minimum
        return (from_least @ self.hessian * from_least).sum(1) / 2 / self.gap

    def model(self) -> nn.Linear:
        """Return the straight-line model, an ``nn.Linear``, at its initial weights."""
        model = nn.Linear(1, 1, dtype="float64")
        model.load_state_dict({"weight": [[START[0]]], "bias": [START[1]]})
        return model


def place(model: nn.Linear) -> list[float]:
    """Return the weight and bias (w, b) of a straight-line model."""
    assert model.bias is not None
    return [model.weight.item(), model.bias.item()]
