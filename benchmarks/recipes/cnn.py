"""The recipes ``cnn`` and ``lenet`` beside PyTorch: same data, settings and steps.

    python benchmarks/recipes/cnn.py --seeds 3
    python benchmarks/recipes/cnn.py --network lenet --limit 6400 --epochs 2

After each chunk of our steps PyTorch makes as many, so that both meet the same machine.
PyTorch at its best: channels last, fused AdamW, gradients set to None, no loader.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from chainrule import recipes
from chainrule.training import Callback


def network(name: str) -> nn.Module:
    """The recipe's network."""
    if name == "cnn":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(9216, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 10),
        )
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


class Peer(Callback):
    """PyTorch, which follows step by step."""

    def __init__(self, recipe: Any, name: str, train: Any, epochs: int, seed: int):
        torch.manual_seed(seed)
        self.batch, self.rows = recipe.BATCH_SIZE, len(train)
        self.x = self.pixels(train)
        self.y = torch.from_numpy(np.array(train.y, np.int64))
        self.model = network(name).to(memory_format=torch.channels_last)  # type: ignore
        steps = -(-self.rows // self.batch)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=recipe.LR,
            betas=recipe.BETAS,
            weight_decay=recipe.WEIGHT_DECAY,
            fused=True,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.LR, total_steps=epochs * steps, cycle_momentum=False
        )
        self.done, self.seconds = 0, 0.0
        self.order: Any = ()

    def pixels(self, data: Any) -> Any:
        """Images as the network takes them, in bytes."""
        bytes_ = torch.from_numpy(np.array(data.x.stored).reshape(-1, 1, 28, 28))
        return bytes_.to(memory_format=torch.channels_last)

    def step(self) -> None:
        """One batch; a new order where all rows were seen."""
        if not len(self.order):
            self.order = torch.randperm(self.rows)
        rows, self.order = self.order[: self.batch], self.order[self.batch :]
        self.optimizer.zero_grad(set_to_none=True)
        images = self.x[rows].float() / 255
        loss = nn.functional.cross_entropy(self.model(images), self.y[rows])
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.done += 1

    def on_chunk(self, trainer: Any) -> None:
        """As many steps as have been made on our side."""
        began = time.perf_counter()
        while self.done < trainer.state.updates:
            self.step()
        self.seconds += time.perf_counter() - began

    def accuracy(self, data: Any) -> float:
        """On test data."""
        self.model.eval()
        with torch.no_grad():
            parts = self.pixels(data).split(500)
            said = torch.cat([self.model(p.float() / 255).argmax(1) for p in parts])
        return float((said.numpy() == data.y).mean())


def main() -> None:
    """Both sides for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=("cnn", "lenet"), default="cnn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    recipe = recipes.find(given.network)
    epochs = given.epochs or recipe.EPOCHS
    train, test = recipe.data(given.limit)
    print(
        f"{given.network}, {len(train)} rows, {epochs} epochs, {given.threads} threads"
    )
    ratios = []
    for seed in range(given.seeds):
        trainer = recipe.trainer(recipe.network(seed), seed=seed, threads=given.threads)
        peer = Peer(recipe, given.network, train, epochs, seed)
        trainer.fit(
            train,
            epochs=epochs,
            batch_size=recipe.BATCH_SIZE,
            callbacks=peer,
            progress=False,
        )
        ours, theirs = trainer.evaluate(test)["accuracy"], peer.accuracy(test)
        seconds = trainer.seconds_training
        ratios.append(peer.seconds / seconds)
        print(
            f"  seed {seed}  accuracy {ours:.4f}, PyTorch {theirs:.4f}; "
            f"{seconds:.1f} s, PyTorch {peer.seconds:.1f} s: {ratios[-1]:.2f} ×",
            flush=True,
        )
    print(f"  PyTorch takes {np.median(ratios):.2f} × the seconds (median)")


if __name__ == "__main__":
    main()
