"""The recipe ``speech`` beside PyTorch: windows with μ and σ, same data and steps.

python benchmarks/recipes/speech.py --seeds 3
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytorch
import torch
from torch import nn
from turns import Run, Trial, arguments, compare, epochs

from chainrule.recipes import Experiment, speech
from chainrule.recipes.datasets import japanese_vowels


class Network(nn.Module):
    """The recipe's first kind."""

    def __init__(self) -> None:
        super().__init__()
        width = speech.WIDTH
        self.windows = nn.ModuleList(
            [
                pytorch.Windows(12, width, 3),
                pytorch.Windows(width, width, 3, dilation=2),
            ]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.drop, self.scores = nn.Dropout(0.3), nn.Linear(2 * width, 9)

    def forward(self, x: Any) -> Any:
        h, m = x[:, :, :12], x[:, :, 12:]
        for window, norm in zip(self.windows, self.norms):
            h = norm(window(h)).relu() * m
        steps = m.sum(1)
        mean = h.sum(1) / steps
        apart = (h - mean[:, None]) * m
        deviation = ((apart * apart).sum(1) / steps + 1e-4).sqrt()
        return self.scores(self.drop(torch.cat([mean, deviation], 1)))


@cache
def data() -> tuple[Any, ...]:
    """Sequences and speakers: to learn from, and new ones."""
    folder = Experiment("speech").folder("aeon", "--no-deps aeon")
    known, y = japanese_vowels.read(folder / japanese_vowels.TRAIN)
    new, truth = japanese_vowels.read(folder / japanese_vowels.TEST)
    x, asked = (japanese_vowels.padded(part, known) for part in (known, new))
    return x, y, asked, truth


def budget(trial: Trial) -> dict[str, int]:
    """Epochs and rows of a batch."""
    passes = 10 if trial.quick else speech.EPOCHS
    return {"epochs": passes, "batch_size": speech.BATCH_SIZE}


def ours(trial: Trial) -> Run:
    """The recipe's Trainer."""
    x, y, asked, truth = data()
    trainer = speech.trainer(trial, next(iter(speech.NETWORKS)), 50)
    yield from epochs(trainer, (x, y), **budget(trial))
    return {"accuracy": trainer.evaluate((asked, truth))["accuracy"]}


def theirs(trial: Trial) -> Run:
    """PyTorch's side."""
    x, y, asked, truth = data()
    pytorch.prepare(trial)
    model, how = Network(), {"lr": speech.LR, "weight_decay": speech.WEIGHT_DECAY}
    yield from pytorch.epochs(model, x, y, **how, **budget(trial))
    return pytorch.accuracy(model, asked, truth)


if __name__ == "__main__":
    sides = {"Chainrule": ours, "PyTorch": theirs}
    compare(arguments(__doc__), "speech", "speech, one network", sides)
