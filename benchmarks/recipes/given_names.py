"""The recipe ``names`` beside PyTorch: the same names, sizes and rates.

python benchmarks/recipes/given_names.py network --seeds 3
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from turns import Run, Side, Trial, arguments, compare, epochs

import chainrule as cr
from chainrule import nn as our_nn
from chainrule import optim
from chainrule.recipes import Experiment
from chainrule.recipes import given_names as recipe

PARTS = recipe.split(recipe.read(Experiment("names").folder("names", "names")))
DATA = {
    "network": [recipe.letters(part) for part in PARTS.values()],
    "gru": [recipe.rows(part, 12) for part in PARTS.values()],
}
HOW = {"network": recipe.MLP, "gru": recipe.GRU}


def budget(kind: str, trial: Trial) -> dict[str, Any]:
    """The recipe's settings."""
    return HOW[kind] | ({"epochs": 2} if trial.quick else {})


def data(kind: str, trial: Trial) -> list[Any]:
    """Training, validation and test data."""
    return [p.take(min(2000, len(p))) if trial.quick else p for p in DATA[kind]]


def ours(kind: str) -> Side:
    """The recipe's Trainer, an epoch at a time."""

    def side(trial: Trial) -> Run:
        train, _, test = data(kind, trial)
        how = budget(kind, trial)
        cr.manual_seed(trial.seed)
        steps = how["epochs"] * -(-len(train) // how["batch_size"])
        rate = optim.OneCycleLR(how["lr"], total_steps=steps)
        trainer = cr.Trainer(
            recipe.network() if kind == "network" else recipe.Recurrent(),
            loss=our_nn.CrossEntropyLoss(ignore_index=-100),
            optimizer=optim.AdamW(lr=rate, weight_decay=0.0),
            metrics=(),
            seed=trial.seed,
            **trial.engine_options,
        )
        del how["lr"]
        yield from epochs(trainer, train, **how)
        return {"loss": trainer.evaluate(test)["loss"]}

    return side


class Recurrent(nn.Module):
    """As in the recipe."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(27, recipe.WIDTH)
        self.gru = nn.GRU(recipe.WIDTH, recipe.UNITS, batch_first=True)
        self.dropout = nn.Dropout(2 * recipe.DROPOUT)
        self.scores = nn.Linear(recipe.UNITS, 27)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (N, 27, T)."""
        return self.scores(self.dropout(self.gru(self.table(x))[0])).transpose(1, 2)


def network() -> nn.Module:
    """As in the recipe."""
    return nn.Sequential(
        nn.Embedding(27, recipe.WIDTH),
        nn.Flatten(),
        nn.Dropout(recipe.DROPOUT),
        nn.Linear(recipe.CONTEXT * recipe.WIDTH, recipe.HIDDEN),
        nn.Tanh(),
        nn.Dropout(recipe.DROPOUT),
        nn.Linear(recipe.HIDDEN, 27),
    )


def theirs(kind: str) -> Side:
    """PyTorch's side."""

    def side(trial: Trial) -> Run:
        torch.set_num_threads(trial.threads)
        torch.manual_seed(trial.seed)
        (x, y), _, (test_x, test_y) = (
            (torch.from_numpy(part.x[:]).long(), torch.from_numpy(part.y).long())
            for part in data(kind, trial)
        )
        model = network() if kind == "network" else Recurrent()
        how, i = budget(kind, trial), 0
        adam = torch.optim.AdamW(model.parameters(), weight_decay=0.0, fused=True)
        steps = how["epochs"] * -(-len(x) // how["batch_size"])
        rate = optim.OneCycleLR(how["lr"], total_steps=steps)
        cost = nn.CrossEntropyLoss(ignore_index=-100)
        yield
        for _ in range(how["epochs"]):
            for rows in torch.randperm(len(x)).split(how["batch_size"]):
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
    given = arguments(__doc__, kind={"choices": list(DATA)})
    sides = {"Chainrule": ours(given.kind), "PyTorch": theirs(given.kind)}
    what = f"names: nats a letter of unseen names, {given.kind}"
    compare(given, "names", what, sides)
