"""The recipe ``multimodal`` beside PyTorch: the same network, pictures and steps.

python benchmarks/recipes/multimodal.py --seeds 3
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import PIL.Image
import pytorch
import torch
from torch import nn
from turns import Run, Trial, arguments, compare

import chainrule as cr
from chainrule import nn as our_nn
from chainrule import optim
from chainrule.recipes import Experiment, multimodal, shuffled
from chainrule.recipes.datasets import easy_vqa


class Network(nn.Module):
    """The recipe's."""

    def __init__(self) -> None:
        super().__init__()
        width = multimodal.WIDTH
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
        )
        self.norm, self.vision = nn.LayerNorm(128), nn.Linear(128, width)
        self.table = nn.Embedding(len(easy_vqa.WORDS) + 1, width, padding_idx=0)
        self.language, self.joined = nn.Linear(width, width), nn.Linear(width, width)
        self.scores = nn.Linear(width, len(easy_vqa.ANSWERS))

    def forward(self, images: Any, words: Any) -> Any:
        a = self.convolutions(images.float() / 255 - 0.5)
        seen = torch.cat([a.amax((2, 3)), a.mean((2, 3))], 1)
        v = self.vision(self.norm(seen)).tanh().unsqueeze(1)
        q = self.language(self.table(words).sum(2)).tanh()
        return self.scores(self.joined(v * q).relu())


@cache
def data(rows: int | None = None) -> list[easy_vqa.Pictures]:
    """Pictures and questions to learn from and to test with."""
    folder = Experiment("multimodal").folder("easy_vqa", "--no-deps easy-vqa") / "data"
    parts = "train", "test"
    return [easy_vqa.Pictures(folder / p, PIL.Image.open, rows) for p in parts]


def budget(trial: Trial) -> tuple[list[easy_vqa.Pictures], int]:
    """The data, and epochs."""
    return (data(320), 3) if trial.quick else (data(), multimodal.EPOCHS)


def columns(data: easy_vqa.Pictures) -> list[np.ndarray]:
    """What a step of training takes."""
    return [data.images, data.words, data.answers, data.mask]


def accuracy(said: np.ndarray, data: easy_vqa.Pictures) -> dict[str, float]:
    """The share of right answers."""
    right = said == data.answers
    return {"accuracy": float(right[data.mask > 0].mean())}


def ours(trial: Trial) -> Run:
    """The recipe's loop."""
    (train, test), passes = budget(trial)
    cr.manual_seed(trial.seed)
    model = multimodal.AnswerNetwork()
    steps = passes * (len(train) // multimodal.BATCH_SIZE)
    rate = optim.OneCycleLR(multimodal.LR, total_steps=steps)
    how = {"lr": rate, "weight_decay": multimodal.WEIGHT_DECAY}
    adam = optim.AdamW(model.parameters(), **how)

    @trial.compile
    def step(images: Any, words: Any, answers: Any, mask: Any) -> Any:
        scores = model(images.astype("float32") / 255, words).flatten(0, 1)
        losses = our_nn.functional.cross_entropy(
            scores, answers.flatten(), reduction="none"
        )
        loss = (losses * mask.flatten()).sum() / mask.sum()
        model.zero_grad()
        loss.backward()
        adam.step()
        return loss

    yield
    for epoch in range(passes):
        for rows in shuffled(len(train), multimodal.BATCH_SIZE, trial.seed, epoch):
            step(*(column[rows] for column in columns(train)))
        yield
    return accuracy(multimodal.probabilities(trial, model, test).argmax(-1), test)


def theirs(trial: Trial) -> Run:
    """PyTorch, on the pictures of the same batches."""
    (train, test), passes = budget(trial)
    pytorch.prepare(trial)
    steps = len(train) // multimodal.BATCH_SIZE
    model: Any = Network().to(memory_format=torch.channels_last)  # type: ignore
    adam = torch.optim.AdamW(
        model.parameters(),
        lr=multimodal.LR,
        weight_decay=multimodal.WEIGHT_DECAY,
        fused=True,
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam, multimodal.LR, total_steps=passes * steps, cycle_momentum=False
    )
    yield
    for epoch in range(passes):
        for rows in shuffled(len(train), multimodal.BATCH_SIZE, trial.seed, epoch):
            images, words, answers, asked = (
                torch.from_numpy(column[rows]) for column in columns(train)
            )
            images = images.to(memory_format=torch.channels_last)
            adam.zero_grad(set_to_none=True)
            scores = model(images, words).flatten(0, 1)
            truth, asked = answers.long().flatten(), asked.flatten()
            losses = nn.functional.cross_entropy(scores, truth, reduction="none")
            ((losses * asked).sum() / asked.sum()).backward()
            adam.step()
            rate.step()
        yield
    with torch.inference_mode():
        images, words = map(torch.from_numpy, (test.images, test.words))
        said = model.eval()(images, words).argmax(-1).numpy()
    return accuracy(said, test)


if __name__ == "__main__":
    sides = {"Chainrule": ours, "PyTorch": theirs}
    compare(arguments(__doc__), "multimodal", "questions about pictures", sides)
