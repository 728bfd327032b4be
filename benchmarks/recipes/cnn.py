"""The recipes ``cnn`` and ``lenet`` beside PyTorch: same data, settings and steps.

    python benchmarks/recipes/cnn.py --seeds 3
    python benchmarks/recipes/cnn.py --network lenet --limit 6400 --epochs 2

PyTorch at its best: channels last, fused AdamW, gradients set to None, no loader.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from following import Follower, Table, arguments
from torch import nn

from chainrule import recipes


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


class Peer(Follower):
    """PyTorch."""

    def __init__(
        self, recipe: Any, name: str, train: Any, epochs: int, seed: int
    ) -> None:
        super().__init__()
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

    def accuracy(self, data: Any) -> float:
        """On test data."""
        self.model.eval()
        with torch.no_grad():
            parts = self.pixels(data).split(500)
            said = torch.cat([self.model(p.float() / 255).argmax(1) for p in parts])
        return float((said.numpy() == data.y).mean())


def main() -> None:
    """Both sides for each seed."""
    given = arguments(
        "cnn and lenet beside PyTorch",
        network={"choices": ("cnn", "lenet"), "default": "cnn"},
        limit={"type": int},
    )
    torch.set_num_threads(given.threads)
    recipe = recipes.find(given.network)
    epochs = given.epochs or recipe.EPOCHS
    train, test = recipe.data(given.limit)
    head = (
        f"{given.network}, {len(train)} rows, {epochs} epochs, {given.threads} threads"
    )
    table = Table(head)
    for seed in range(given.seeds):
        trainer = recipe.trainer(recipe.network(seed), seed=seed, threads=given.threads)
        peer = Peer(recipe, given.network, train, epochs, seed)
        how = {"epochs": epochs, "batch_size": recipe.BATCH_SIZE, "progress": False}
        trainer.fit(train, callbacks=peer, **how)
        ours = trainer.evaluate(test)["accuracy"]
        table.row(seed, ours, peer.accuracy(test), trainer.seconds_training, peer)
    table.end()


if __name__ == "__main__":
    main()
