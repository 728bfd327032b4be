"""Small examples of training setups, sick and healthy, for the symptoms' tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import data, nn, optim
from chainrule.data import Dataset
from chainrule.random import Generator
from chainrule.random.generator import stream
from chainrule.training import Trainer

#: A Trainer, data, further arguments of ``diagnose``.
Made = tuple[Trainer, Any, dict[str, Any]]


def moons(n: int = 300) -> Dataset:
    """Return two interleaved half circles, two classes."""
    return data.moons(n, seed=0)


def waves(n: int = 300) -> Dataset:
    """Return a regression of one wave, and a column beside it."""
    x = np.random.default_rng(0).uniform(-1, 1, (n, 2)).astype(np.float32)
    y = np.sin(3 * x[:, :1]) + 0.5 * x[:, 1:]
    return Dataset(x, y.astype(np.float32))


def binary(made: Dataset) -> Dataset:
    """Return two classes as targets 0 and 1 of one output."""
    return Dataset(made.x, made.y.astype(np.float32)[:, None])


def drawn(make: Any) -> Any:
    """Return what a function makes, with initial weights of one seed."""
    with stream(Generator(1)):
        return make()


def spread(model: nn.Sequential, std: float) -> nn.Sequential:
    """Draw the weights of all layers but the last anew, with a deviation."""
    last = model[-1].weight

    def draw() -> None:
        for p in model.parameters():
            if p.ndim > 1 and p is not last:
                nn.init.normal_(p, 0.0, std)

    drawn(draw)
    return model


def mlp(
    inputs: int = 2, outputs: int = 2, width: int = 16, depth: int = 2, act: Any = None
) -> nn.Sequential:
    """Return a network with hidden layers of one width, ReLU by default."""

    def make() -> nn.Sequential:
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(inputs if i == 0 else width, width)]
            layers += [(act or nn.ReLU)()]
        return nn.Sequential(*layers, nn.Linear(width, outputs))

    return drawn(make)


def example(
    model: Any = None,
    rows: Any = None,
    *,
    loss: Any = None,
    optimizer: Any = None,
    lr: float = 0.01,
    epochs: int = 30,
    batch_size: int = 32,
    **more: Any,
) -> Made:
    """Return a training setup: by default a healthy network for :func:`moons`."""
    trainer = Trainer(
        mlp() if model is None else model,
        loss=nn.CrossEntropyLoss() if loss is None else loss,
        optimizer=optim.Adam(lr=lr) if optimizer is None else optimizer,
        engine="numpy",
    )
    given = {"epochs": epochs, "batch_size": batch_size, **more}
    return trainer, moons() if rows is None else rows, given
