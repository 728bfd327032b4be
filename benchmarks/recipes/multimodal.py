"""The recipe ``multimodal`` beside PyTorch: the same network, pictures and steps.

python benchmarks/recipes/multimodal.py --seeds 3
"""

from __future__ import annotations

from typing import Any

import PIL.Image
import torch
from following import Follower, Table, arguments
from torch import nn

from chainrule.recipes import Study, multimodal
from chainrule.training import Callback, RunState


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
        self.table = nn.Embedding(len(multimodal.WORDS) + 1, width, padding_idx=0)
        self.language, self.joined = nn.Linear(width, width), nn.Linear(width, width)
        self.scores = nn.Linear(width, len(multimodal.ANSWERS))

    def forward(self, images: Any, words: Any) -> Any:
        a = self.convolutions(images.float() / 255 - 0.5)
        seen = torch.cat([a.amax((2, 3)), a.mean((2, 3))], 1)
        v = self.vision(self.norm(seen)).tanh().unsqueeze(1)
        q = self.language(self.table(words).sum(2)).tanh()
        return self.scores(self.joined(v * q).relu())


class Peer(Follower):
    """PyTorch, on the pictures of the same batches."""

    def __init__(self, data: Any, epochs: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.batches = multimodal.Batches(data, seed)
        self.steps = len(data) // multimodal.BATCH_SIZE
        self.model = Network().to(memory_format=torch.channels_last)  # type: ignore
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=multimodal.LR,
            weight_decay=multimodal.WEIGHT_DECAY,
            fused=True,
        )
        total = epochs * self.steps
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, multimodal.LR, total_steps=total, cycle_momentum=False
        )

    def step(self) -> None:
        """One batch."""
        epoch, step = divmod(self.done, self.steps)
        work = self.batches.take(RunState(epoch=epoch, step=step), 1)
        assert work is not None
        given = {name: torch.from_numpy(array) for name, array in work.inputs.items()}
        images = given["images"].to(memory_format=torch.channels_last)
        self.optimizer.zero_grad(set_to_none=True)
        scores = self.model(images, given["words"]).flatten(0, 1)
        truth, asked = given["answers"].long().flatten(), given["asked"].flatten()
        losses = nn.functional.cross_entropy(scores, truth, reduction="none")
        ((losses * asked).sum() / asked.sum()).backward()
        self.optimizer.step()
        self.schedule.step()

    def accuracy(self, data: Any) -> float:
        """On test data."""
        self.model.eval()
        with torch.no_grad():
            images, words = map(torch.from_numpy, (data.images, data.words))
            said = self.model(images, words).argmax(-1).numpy()
        return multimodal.share(said, data)


class Following(Study):
    """A study whose loops a peer follows."""

    peer: Callback

    def loop(self, name: str, loop: Any, **end: Any) -> Any:
        """The recipe's loop, observed."""
        loop.observers.append(self.peer)
        self.last = super().loop(name, loop, **end)
        return self.last


def main() -> None:
    """Both sides for each seed."""
    given = arguments("multimodal beside PyTorch")
    torch.set_num_threads(given.threads)
    epochs = given.epochs or multimodal.EPOCHS
    folder = Study("multimodal").folder("easy_vqa", "--no-deps easy-vqa") / "data"
    train, test = (
        multimodal.Pictures(folder / part, PIL.Image.open) for part in ("train", "test")
    )
    table = Table(f"multimodal, {epochs} epochs, {given.threads} threads")
    for seed in range(given.seeds):
        study = Following("multimodal", seed=seed, threads=given.threads)
        study.peer = peer = Peer(train, epochs, seed)
        _, program = multimodal.learn(study, "both", train, epochs)
        said = multimodal.answered(program, test).argmax(-1)
        seconds = sum(row["seconds"] for row in study.last.state.history.epochs)
        ours, theirs = multimodal.share(said, test), peer.accuracy(test)
        table.row(seed, ours, theirs, seconds, peer)
    table.end()


if __name__ == "__main__":
    main()
