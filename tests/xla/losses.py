"""A program of the tests: the losses of some networks, as JSON on standard output.

It runs alone or under ``chainrule launch``, on as many devices as there are; the first
process prints.

    python tests/xla/losses.py float32 [mnist cnn gpt] [--model]

``--model`` divides weights over an axis ``model`` of two devices.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines import resolve_engine
from chainrule.recipes.gpt import GPT, Settings
from chainrule.training import Batches, Loop, compile_program
from chainrule.util import processes

STEPS = 100


def classes(model: nn.Module, x: np.ndarray, size: int, **over: Any) -> list[float]:
    """Return the losses of a classifier over some epochs of 13 steps."""
    y = np.random.default_rng(1).integers(0, 4, len(x))
    optimizer = optim.Adam(lr=1e-3, clip_norm=1.0)
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=optimizer, engine="xla", **over
    )
    epochs = -(-STEPS // -(-len(x) // size))
    trainer.fit((x, y), epochs=epochs, batch_size=size, progress=False)
    return [*trainer.history.steps["loss"][:STEPS].tolist()]


def mnist(dtype: str, **over: Any) -> list[float]:
    """Return the losses of the textbook's network, with dropout; the last batch of an
    epoch is one that four devices do not divide."""
    cr.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(50, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4)
    )
    x = np.random.default_rng(0).normal(size=(201, 50)).astype(dtype)
    return classes(model.to(dtype), x, 16, **over)


def cnn(dtype: str, **over: Any) -> list[float]:
    """Return the losses of a convolutional network with batch normalisation."""
    cr.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 4),
    )
    x = np.random.default_rng(0).normal(size=(104, 1, 8, 8)).astype(dtype)
    return classes(model.to(dtype), x, 8, **over)


def gpt(dtype: str, **over: Any) -> list[float]:
    """Return the losses of the recipe's GPT, of a small size."""
    cr.manual_seed(0)
    sizes = Settings(block=16, layers=2, heads=2, width=32, batch=8, steps=STEPS)
    model = GPT(64, sizes).to(dtype)
    adamw = optim.AdamW(lr=1e-3, weight_decay=0.1, clip_norm=1.0)

    def train(window: cr.Tensor) -> dict[str, cr.Tensor]:
        loss = model.loss(window)
        model.zero_grad()
        loss.backward()
        adamw.step()
        return {"loss": loss}

    program = compile_program(
        {"train": train},
        {"window": "i32[N,17]"},
        model=model,
        optimizers=[adamw],
        each=["window"],
        engine="xla",
        **over,
    )
    text = np.cumsum(np.random.default_rng(0).integers(0, 4, 4000)) % 64
    starts = np.random.default_rng(1).integers(0, len(text) - 17, 400)
    windows = text[starts[:, None] + np.arange(17)].astype(np.int32)
    history = Loop(program, "train", Batches({"window": windows}, 8)).run(updates=STEPS)
    return [*history.steps_of("train")["loss"].tolist()]


NETWORKS = {"mnist": mnist, "cnn": cnn, "gpt": gpt}


def main() -> None:
    """Print the losses of the networks that are asked for."""
    dtype, *names = (word for word in sys.argv[1:] if not word.startswith("-"))
    resolve_engine("xla")
    over: dict[str, Any] = {"devices": "all"}
    if "--model" in sys.argv:
        half = {"*.weight": ("model", None)}
        over = {"mesh": {"data": 2, "model": 2}, "sharding": half}
    losses = {n: NETWORKS[n](dtype, **over) for n in names or NETWORKS}
    if processes.is_writer():
        print(json.dumps(losses))


if __name__ == "__main__":
    main()
