"""The recipe ``rnn`` beside PyTorch: MNIST row by row, and the adding problem.

    python benchmarks/recipes/rnn.py LSTM mnist --seeds 3
    python benchmarks/recipes/rnn.py GRU adding --seeds 3

The same data in the same kind of order, the same widths, batches and rates.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import nn
from turns import compare

import chainrule as cr
from chainrule import nn as our_nn
from chainrule import optim
from chainrule.recipes import Study, rnn

PIECE = 50  # steps in a row


def one_cycle(peak: float, step: int, total: int, climb: float) -> float:
    """The rate of ``optim.OneCycleLR``."""
    return optim.OneCycleLR(peak, total_steps=total, pct_start=climb)(step)


class Reader(nn.Module):
    """As in the recipe."""

    def __init__(
        self, kind: str, inputs: int, hidden: int, outputs: int, keep: float
    ) -> None:
        super().__init__()
        layer = {"LSTM": nn.LSTM, "GRU": nn.GRU}[kind]
        self.layer = layer(inputs, hidden, batch_first=True)
        self.output = nn.Linear(hidden, outputs)
        if keep:
            with torch.no_grad():
                self.layer.bias_ih_l0[hidden : 2 * hidden] = keep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The answers after the last step."""
        return self.output(self.layer(x)[0][:, -1])


def train_step(
    model: nn.Module, adam: Any, cost: Any, x: torch.Tensor, y: torch.Tensor, lr: float
) -> None:
    """A step at a rate."""
    adam.param_groups[0]["lr"] = lr
    adam.zero_grad(set_to_none=True)
    cost(model(x), y).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), rnn.CLIP)
    adam.step()


def prepared(seed: int, threads: int, *sizes: Any) -> tuple[nn.Module, Any]:
    """PyTorch's network and its Adam."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    model = Reader(*sizes)
    return model, torch.optim.Adam(model.parameters(), lr=1.0, fused=True)


# -- the adding problem ----------------------------------------------------------------


def fresh(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What both are measured on."""
    return rnn.problem(2000, rnn.LENGTH, np.random.default_rng([seed, 2]))


def our_adding(kind: str) -> Any:
    """The recipe's loop."""

    def side(seed: int, threads: int) -> Generator[None, None, dict[str, float]]:
        study = Study("rnn", seed=seed, threads=threads)
        model, loop = rnn.adding(study, kind, rnn.LENGTH, rnn.ADD_STEPS)
        loop.run(updates=1)
        yield
        for done in range(PIECE, rnn.ADD_STEPS + 1, PIECE):
            loop.run(updates=done)
            yield
        x, y = fresh(seed)
        said = rnn.answers(study, model, x)[:, -1]
        return {"error": float(np.mean((said - y) ** 2))}

    return side


def their_adding(kind: str) -> Any:
    """PyTorch's side."""

    def side(seed: int, threads: int) -> Generator[None, None, dict[str, float]]:
        model, adam = prepared(seed, threads, kind, 2, rnn.MEMORY, 1, 1.0)
        cost, total = nn.MSELoss(), rnn.ADD_STEPS
        for i in range(total):
            if i % PIECE == 0:
                yield
            dice = np.random.default_rng([seed, 1, i])
            x, y = map(torch.from_numpy, rnn.problem(rnn.ADD_BATCH, rnn.LENGTH, dice))
            train_step(model, adam, cost, x, y, one_cycle(rnn.ADD_LR, i, total, 0.2))
        yield
        x, y = fresh(seed)
        with torch.no_grad():
            said = model(torch.from_numpy(x)).numpy()
        return {"error": float(np.mean((said - y) ** 2))}

    return side


# -- digits ----------------------------------------------------------------------------


def our_mnist(kind: str) -> Any:
    """The recipe's Trainer, an epoch at a time."""

    def side(seed: int, threads: int) -> Generator[None, None, dict[str, float]]:
        train, test = cr.data.mnist()
        cr.manual_seed(seed)
        steps = math.ceil(len(train) / rnn.BATCH_SIZE) * rnn.EPOCHS
        rate = optim.OneCycleLR(rnn.LR, total_steps=steps)
        trainer = cr.Trainer(
            rnn.Reader(kind, 28, rnn.HIDDEN, 10),
            loss=our_nn.CrossEntropyLoss(),
            optimizer=optim.Adam(lr=rate, clip_norm=rnn.CLIP),
            seed=seed,
            threads=threads,
        )
        yield
        for _ in range(rnn.EPOCHS):
            trainer.fit(train, epochs=1, batch_size=rnn.BATCH_SIZE, progress=False)
            yield
        return {"accuracy": trainer.evaluate(test)["accuracy"]}

    return side


def their_mnist(kind: str) -> Any:
    """PyTorch's side."""

    def side(seed: int, threads: int) -> Generator[None, None, dict[str, float]]:
        train, test = (
            (torch.from_numpy(p.x[:].reshape(-1, 28, 28)), torch.from_numpy(p.y).long())
            for p in cr.data.mnist()
        )
        model, adam = prepared(seed, threads, kind, 28, rnn.HIDDEN, 10, 0.0)
        cost, i = nn.CrossEntropyLoss(), 0
        total = math.ceil(len(train[0]) / rnn.BATCH_SIZE) * rnn.EPOCHS
        yield
        for _ in range(rnn.EPOCHS):
            for rows in torch.randperm(len(train[0])).split(rnn.BATCH_SIZE):
                lr = one_cycle(rnn.LR, i, total, 0.3)
                train_step(model, adam, cost, train[0][rows], train[1][rows], lr)
                i += 1
            yield
        with torch.no_grad():
            right = (model(test[0]).argmax(1) == test[1]).float().mean()
        return {"accuracy": right.item()}

    return side


if __name__ == "__main__":
    kind, what = sys.argv.pop(1), sys.argv.pop(1)
    ours, theirs = {
        "adding": (our_adding, their_adding),
        "mnist": (our_mnist, their_mnist),
    }[what]
    compare(f"rnn: {kind}, {what}", {"Chainrule": ours(kind), "PyTorch": theirs(kind)})
