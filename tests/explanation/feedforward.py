"""Random feed-forward networks, and their numbers by autodiff alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn

ACTIVATIONS = ("", "sigmoid", "tanh", "relu", "leakyrelu", "gelu", "softmax")
FUNCTIONS = {
    "": lambda z: z,
    "sigmoid": lambda z: z.sigmoid(),
    "tanh": lambda z: z.tanh(),
    "relu": nn.functional.relu,
    "leakyrelu": nn.functional.leaky_relu,
    "gelu": nn.functional.gelu,
    "softmax": lambda z: z.softmax(-1),
}
LOSSES = {
    "half_squared": nn.HalfSquaredErrorLoss(),
    "mse": nn.MSELoss(),
    "half_mse": nn.HalfMSELoss(),
    "cross_entropy": nn.CrossEntropyLoss(from_logits=False),
    "binary_cross_entropy": nn.BCELoss(),
    "hinge": nn.HingeLoss(),
}
ENDS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "hinge": ""}


class Drawn:
    """A network with its loss and numbers.

    Attributes:
        spec, sizes, names, loss: what it is.
        parameters: W1, b1, ….
        x, y: samples and truths, rows.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        loss: str | None = None,
        n: int = 1,
        layers: int | None = None,
        widest: int = 5,
        names: tuple[str, ...] = ACTIVATIONS,
    ) -> None:
        self.loss = loss or str(rng.choice(list(LOSSES)))
        depth = layers or int(rng.integers(1, 5))
        self.sizes = [int(s) for s in rng.integers(1, widest + 1, depth + 1)]
        self.names = [str(rng.choice(names)) for _ in range(depth)]
        self.names[-1] = ENDS.get(self.loss, self.names[-1])
        for k, name in enumerate(self.names, 1):
            if name == "softmax":
                self.sizes[k] = max(self.sizes[k], 2)
        parts = [f"{s}{a}" for s, a in zip(self.sizes[1:], self.names)]
        self.spec = "-".join([str(self.sizes[0]), *parts])
        self.parameters: dict[str, np.ndarray] = {}
        for k, (before, size) in enumerate(zip(self.sizes, self.sizes[1:]), 1):
            self.parameters[f"W{k}"] = rng.normal(size=(size, before))
            self.parameters[f"b{k}"] = rng.normal(size=size)
        self.x = rng.normal(size=(n, self.sizes[0]))
        self.y = self._truths(rng, n)

    def _truths(self, rng: np.random.Generator, n: int) -> Any:
        shape = (n, self.sizes[-1])
        if self.loss == "cross_entropy":
            return rng.integers(0, shape[1], n)
        if self.loss == "binary_cross_entropy":
            return rng.integers(0, 2, shape).astype(float)
        if self.loss == "hinge":
            return rng.choice([-1.0, 1.0], shape)
        return rng.normal(size=shape)

    def by_autodiff(self, lr: float) -> dict[str, np.ndarray]:
        """Every quantity, rows for samples."""
        tensors = {
            k: cr.tensor(v, requires_grad=True) for k, v in self.parameters.items()
        }
        found: dict[str, Any] = {}
        a = cr.tensor(self.x)
        for k, name in enumerate(self.names, 1):
            z = a @ tensors[f"W{k}"].T + tensors[f"b{k}"]
            a = FUNCTIONS[name](z)
            found[f"z{k}"], found[f"a{k}"] = z, a
        loss = LOSSES[self.loss](a, cr.tensor(self.y))
        wanted = [key for key in found if key[0] == "z"] + list(tensors)
        places = [(found | tensors)[key] for key in wanted]
        slopes = dict(zip(wanted, cr.gradients(loss, places)))
        made = {key: t.numpy() for key, t in found.items()}
        made["loss"] = loss.numpy()
        for key, t in tensors.items():
            made[f"d{key}"] = slopes[key].numpy()
            made[key] = t.numpy() - lr * made[f"d{key}"]
        for k in range(1, len(self.names) + 1):
            made[f"delta{k}"] = slopes[f"z{k}"].numpy()
        return made
