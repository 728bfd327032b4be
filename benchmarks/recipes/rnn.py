"""The recipe ``rnn`` beside PyTorch: MNIST row by row, and the adding problem.

    python benchmarks/recipes/rnn.py LSTM mnist --seeds 3
    python benchmarks/recipes/rnn.py GRU adding --seeds 3

The same data in the same kind of order, the same widths, batches and rates.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from turns import Run, Side, Trial, arguments, compare, epochs

import chainrule as cr
from chainrule import nn as our_nn
from chainrule import optim
from chainrule.recipes import rnn
from chainrule.recipes.datasets import adding

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


def prepared(trial: Trial, *sizes: Any) -> tuple[nn.Module, Any]:
    """PyTorch's network and its Adam."""
    torch.set_num_threads(trial.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(trial.seed)
    model = Reader(*sizes)
    return model, torch.optim.Adam(model.parameters(), lr=1.0, fused=True)


# -- the adding problem ----------------------------------------------------------------


def budget(trial: Trial) -> tuple[int, int]:
    """Length of a sequence, and steps."""
    return (20, 100) if trial.quick else (rnn.LENGTH, rnn.ADD_STEPS)


def fresh(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """What both are measured on."""
    return adding.problem(
        2000, budget(trial)[0], np.random.default_rng([trial.seed, 2])
    )


def our_adding(kind: str) -> Side:
    """The recipe's loop."""

    def side(trial: Trial) -> Run:
        length, steps = budget(trial)
        cr.manual_seed(trial.seed)
        model = rnn.Reader(kind, 2, rnn.MEMORY, 1, keep=1.0)
        lr = optim.OneCycleLR(rnn.ADD_LR, total_steps=steps, pct_start=0.2)
        adam = optim.Adam(model.parameters(), lr=lr, clip_norm=rnn.CLIP)

        @trial.compile
        def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
            loss = our_nn.functional.mse_loss(model(x), y)
            model.zero_grad()
            loss.backward()
            adam.step()
            return loss

        yield
        for done in range(steps):
            rng = np.random.default_rng([trial.seed, 1, done])
            step(*adding.problem(rnn.ADD_BATCH, length, rng))
            if (done + 1) % PIECE == 0:
                yield
        x, y = fresh(trial)
        said = rnn.outputs(trial, model, x)[:, -1]
        return {"error": float(np.mean((said - y) ** 2))}

    return side


def their_adding(kind: str) -> Side:
    """PyTorch's side."""

    def side(trial: Trial) -> Run:
        model, adam = prepared(trial, kind, 2, rnn.MEMORY, 1, 1.0)
        cost, (length, total) = nn.MSELoss(), budget(trial)
        for i in range(total):
            if i % PIECE == 0:
                yield
            dice = np.random.default_rng([trial.seed, 1, i])
            x, y = map(torch.from_numpy, adding.problem(rnn.ADD_BATCH, length, dice))
            train_step(model, adam, cost, x, y, one_cycle(rnn.ADD_LR, i, total, 0.2))
        yield
        x, y = fresh(trial)
        with torch.no_grad():
            said = model(torch.from_numpy(x)).numpy()
        return {"error": float(np.mean((said - y) ** 2))}

    return side


# -- digits ----------------------------------------------------------------------------


def digits(trial: Trial) -> tuple[list[cr.data.Dataset], int]:
    """To learn from and to test with, and epochs."""
    if trial.quick:
        return [part.take(2000) for part in cr.data.mnist()], 2
    return [*cr.data.mnist()], rnn.EPOCHS


def our_mnist(kind: str) -> Side:
    """The recipe's Trainer, an epoch at a time."""

    def side(trial: Trial) -> Run:
        (train, test), passes = digits(trial)
        cr.manual_seed(trial.seed)
        steps = math.ceil(len(train) / rnn.BATCH_SIZE) * passes
        rate = optim.OneCycleLR(rnn.LR, total_steps=steps)
        trainer = cr.Trainer(
            rnn.Reader(kind, 28, rnn.HIDDEN, 10),
            loss=our_nn.CrossEntropyLoss(),
            optimizer=optim.Adam(lr=rate, clip_norm=rnn.CLIP),
            seed=trial.seed,
            **trial.engine_options,
        )
        yield from epochs(trainer, train, epochs=passes, batch_size=rnn.BATCH_SIZE)
        return {"accuracy": trainer.evaluate(test)["accuracy"]}

    return side


def their_mnist(kind: str) -> Side:
    """PyTorch's side."""

    def side(trial: Trial) -> Run:
        parts, passes = digits(trial)
        train, test = (
            (torch.tensor(p.x[:].reshape(-1, 28, 28)), torch.tensor(p.y).long())
            for p in parts
        )
        model, adam = prepared(trial, kind, 28, rnn.HIDDEN, 10, 0.0)
        cost, i = nn.CrossEntropyLoss(), 0
        total = math.ceil(len(train[0]) / rnn.BATCH_SIZE) * passes
        yield
        for _ in range(passes):
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
    tasks = {"adding": (our_adding, their_adding), "mnist": (our_mnist, their_mnist)}
    options = {"kind": {"choices": ["LSTM", "GRU"]}, "task": {"choices": list(tasks)}}
    given = arguments(__doc__, **options)
    ours, theirs = (side(given.kind) for side in tasks[given.task])
    sides = {"Chainrule": ours, "PyTorch": theirs}
    compare(given, "rnn", f"rnn: {given.kind}, {given.task}", sides)
