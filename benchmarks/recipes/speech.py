"""The recipe ``speech`` beside PyTorch: windows with μ and σ, same data and steps.

python benchmarks/recipes/speech.py --seeds 3
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from following import Follower, Table, arguments
from torch import nn

from chainrule.recipes import Study, speech


class Network(nn.Module):
    """The recipe's first kind."""

    def __init__(self) -> None:
        super().__init__()
        width = speech.WIDTH
        self.windows = nn.ModuleList(
            [
                nn.Conv1d(12, width, 3, padding=1),
                nn.Conv1d(width, width, 3, padding=2, dilation=2),
            ]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.drop, self.scores = nn.Dropout(0.3), nn.Linear(2 * width, 9)

    def forward(self, x: Any) -> Any:
        h, m = x[:, :, :12], x[:, :, 12:]
        for window, norm in zip(self.windows, self.norms):
            h = norm(window(h.transpose(1, 2)).transpose(1, 2)).relu() * m
        steps = m.sum(1)
        mean = h.sum(1) / steps
        apart = (h - mean[:, None]) * m
        deviation = ((apart * apart).sum(1) / steps + 1e-4).sqrt()
        return self.scores(self.drop(torch.cat([mean, deviation], 1)))


class Peer(Follower):
    """PyTorch."""

    def __init__(self, x: np.ndarray, y: np.ndarray, epochs: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
        self.model = Network()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=speech.LR,
            weight_decay=speech.WEIGHT_DECAY,
            fused=True,
        )
        steps = epochs * -(-len(x) // speech.BATCH_SIZE)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, speech.LR, total_steps=steps, cycle_momentum=False
        )
        self.order: Any = ()

    def step(self) -> None:
        """One batch; a new order where all rows were seen."""
        if not len(self.order):
            self.order = torch.randperm(len(self.x))
        rows = self.order[: speech.BATCH_SIZE]
        self.order = self.order[speech.BATCH_SIZE :]
        self.optimizer.zero_grad(set_to_none=True)
        scores = self.model(self.x[rows])
        nn.functional.cross_entropy(scores, self.y[rows]).backward()
        self.optimizer.step()
        self.schedule.step()

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        """On test data."""
        self.model.eval()
        with torch.no_grad():
            said = self.model(torch.from_numpy(x)).argmax(1).numpy()
        return float((said == y).mean())


def main() -> None:
    """Both sides for each seed."""
    given = arguments("speech beside PyTorch")
    torch.set_num_threads(given.threads)
    epochs = given.epochs or speech.EPOCHS
    folder = Study("speech").folder("aeon", "--no-deps aeon")
    folder = folder / "datasets/data/JapaneseVowels"
    known, y = speech.read(folder / "JapaneseVowels_TRAIN.ts")
    new, truth = speech.read(folder / "JapaneseVowels_TEST.ts")
    x, x_new = speech.stacked(known, known), speech.stacked(new, known)
    table = Table(f"speech, one network, {epochs} epochs, {given.threads} threads")
    for seed in range(given.seeds):
        study = Study("speech", seed=seed, threads=given.threads)
        trainer = speech.trainer(study, next(iter(speech.KINDS)), 50)
        peer = Peer(x, y, epochs, seed)
        how = {"epochs": epochs, "batch_size": speech.BATCH_SIZE, "progress": False}
        trainer.fit((x, y), callbacks=peer, **how)
        ours = trainer.evaluate((x_new, truth))["accuracy"]
        theirs = peer.accuracy(x_new, truth)
        table.row(seed, ours, theirs, trainer.seconds_training, peer)
    table.end()


if __name__ == "__main__":
    main()
