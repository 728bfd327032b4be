"""Chainrule at the peers' job: the training entry point that a Trainer runs.

It includes what a Trainer always does in a step: the batch is gathered from the images
as they are stored and scaled, and the norm of each weight's gradient is a result.
"""

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.graph.types import ArrayType, DType, as_dtype
from chainrule.primitives.random import seed_key
from chainrule.training.entries import Entries
from chainrule.training.probes import Probes


def network() -> nn.Sequential:
    """The textbook's network (3.2.3)."""
    return nn.Sequential(
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def type_of(array: np.ndarray) -> ArrayType:
    return ArrayType(array.shape, as_dtype(array.dtype))


class Ours:
    """The job on the NumPy engine; the interface of the peers."""

    name = "Chainrule, NumPy engine"

    def __init__(
        self,
        x_uint8: np.ndarray,
        y: np.ndarray,
        weights: dict[str, np.ndarray],
        threads: int,
    ):
        self.model = network()
        self.model.load_state_dict(weights)
        optimizer = optim.Adam(lr=1e-3)
        optimizer.attach_parameters(self.model.named_parameters())
        entries = Entries(
            self.model,
            nn.CrossEntropyLoss(),
            optimizer,
            Probes((), self.model),
            key=cr.tensor(seed_key(0)),
        )
        self.x, self.y = x_uint8, y
        self.program = CompiledProgram(
            [entries.train(type_of(x_uint8), type_of(y), 1 / 255, dtype=DType.float32)],
            engine="numpy",
            threads=threads,
        )

    def run(self, order: np.ndarray) -> np.ndarray:
        inputs = {"x": self.x, "y": self.y, "index": order}
        return self.program.run("train", inputs, steps=len(order))["loss"]


class Eager:
    """One forward pass, loss and backward pass with eager tensors."""

    name = "Chainrule, eager"

    def __init__(self, weights: dict[str, np.ndarray]):
        self.model = network()
        self.model.load_state_dict(weights)
        self.loss = nn.CrossEntropyLoss()

    def forward_backward(self, x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        self.model.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        return loss
