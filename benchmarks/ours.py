"""Chainrule at the peers' job: the training entry point that a Trainer runs.

It includes what a Trainer always does in a step: the batch is gathered from the images
as they are stored and scaled, and the norm of each weight's gradient is a result.
"""

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.training.data_adapter import DatasetAdapter
from chainrule.training.entries import Entries


def network() -> nn.Sequential:
    """The textbook's network (3.2.3)."""
    return nn.Sequential(
        nn.Linear(784, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


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
        entries = Entries.of(self.model, nn.CrossEntropyLoss(), optimizer)
        self.x, self.y = x_uint8, y
        adapter = DatasetAdapter(cr.data.Dataset(x_uint8, y, scale=1 / 255), seed=0)
        self.program = CompiledProgram(
            [entries.train(adapter.step, entries.dtypes(adapter.kinds))],
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
