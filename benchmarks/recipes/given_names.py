"""The recipe ``names`` beside PyTorch: the same names, sizes and rates.

python benchmarks/recipes/given_names.py network --seeds 3
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from turns import Run, Side, Trial, arguments, compare

import chainrule as cr
from chainrule import nn as our_nn
from chainrule import optim
from chainrule.recipes import Experiment, shuffled
from chainrule.recipes import given_names as recipe
from chainrule.recipes.datasets import first_names

NAMES = first_names.read(Experiment("names").folder("names", "names"))
DATA = {part: first_names.sequences(names) for part, names in NAMES.items()}


def data(trial: Trial) -> tuple[Any, Any, Any, Any]:
    """Training and test data."""
    limit = 300 if trial.quick else None
    return tuple(array[:limit] for k in ("train", "test") for array in DATA[k])


def schedule(kind: str, trial: Trial, rows: int) -> tuple[int, optim.OneCycleLR]:
    """The recipe's epochs and learning rates."""
    epochs = recipe.QUICK_EPOCHS if trial.quick else recipe.EPOCHS
    steps = epochs * (rows // recipe.BATCH_SIZE)
    return epochs, optim.OneCycleLR(recipe.LR[kind], total_steps=steps)


def ours(kind: str) -> Side:
    """The recipe without what it shows."""

    def side(trial: Trial) -> Run:
        x, y, test_x, test_y = data(trial)
        cr.manual_seed(trial.seed)
        model = recipe.Feedforward() if kind == "network" else recipe.Recurrent()
        epochs, lr = schedule(kind, trial, len(x))
        adam = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)

        def cost(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
            return our_nn.functional.cross_entropy(model(x), y, ignore_index=-100)

        @trial.compile
        def step(x: cr.Tensor, y: cr.Tensor) -> None:
            loss = cost(x, y)
            model.zero_grad()
            loss.backward()
            adam.step()

        yield
        for epoch in range(epochs):
            for rows in shuffled(len(x), recipe.BATCH_SIZE, trial.seed, epoch):
                step(x[rows], y[rows])
            yield
        model.eval()
        with cr.no_grad():
            return {"loss": cost(cr.tensor(test_x), cr.tensor(test_y)).item()}

    return side


class Feedforward(nn.Module):
    """As in the recipe."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(27, recipe.WIDTH)
        self.dropout = nn.Dropout(0.1)
        self.hidden = nn.Linear(recipe.CONTEXT * recipe.WIDTH, recipe.HIDDEN)
        self.scores = nn.Linear(recipe.HIDDEN, 27)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (N, 27, T)."""
        rows = self.table(nn.functional.pad(x, (recipe.CONTEXT - 1, 0)))
        last = [rows[:, i : i + x.shape[1]] for i in range(recipe.CONTEXT)]
        hidden = self.hidden(self.dropout(torch.cat(last, 2))).tanh()
        return self.scores(self.dropout(hidden)).transpose(1, 2)


class Recurrent(nn.Module):
    """As in the recipe."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(27, recipe.WIDTH)
        self.gru = nn.GRU(recipe.WIDTH, recipe.UNITS, batch_first=True)
        self.dropout = nn.Dropout(0.2)
        self.scores = nn.Linear(recipe.UNITS, 27)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (N, 27, T)."""
        return self.scores(self.dropout(self.gru(self.table(x))[0])).transpose(1, 2)


def theirs(kind: str) -> Side:
    """PyTorch's side."""

    def side(trial: Trial) -> Run:
        torch.set_num_threads(trial.threads)
        torch.manual_seed(trial.seed)
        x, y, test_x, test_y = (torch.from_numpy(array) for array in data(trial))
        model = Feedforward() if kind == "network" else Recurrent()
        epochs, rate = schedule(kind, trial, len(x))
        adam = torch.optim.AdamW(model.parameters(), weight_decay=0.0, fused=True)
        cost, i = nn.CrossEntropyLoss(ignore_index=-100), 0
        yield
        for _ in range(epochs):
            order = torch.randperm(len(x))[: len(x) - len(x) % recipe.BATCH_SIZE]
            for rows in order.split(recipe.BATCH_SIZE):
                adam.param_groups[0]["lr"] = rate(i)
                adam.zero_grad(set_to_none=True)
                cost(model(x[rows]), y[rows]).backward()
                adam.step()
                i += 1
            yield
        model.eval()
        with torch.no_grad():
            return {"loss": cost(model(test_x), test_y).item()}

    return side


if __name__ == "__main__":
    given = arguments(__doc__, kind={"choices": list(recipe.LR)})
    sides = {"Chainrule": ours(given.kind), "PyTorch": theirs(given.kind)}
    what = f"names: nats a letter of unseen names, {given.kind}"
    compare(given, "names", what, sides)
