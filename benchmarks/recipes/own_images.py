"""Networks for images with augmentation beside PyTorch: same layers, same budget.

python benchmarks/recipes/own_images.py --seeds 3
python benchmarks/recipes/own_images.py --seeds 3 --digits      # recipe classical's
EPOCHS=2 python benchmarks/recipes/own_images.py --seeds 1      # for the seconds alone
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

import numpy as np
from turns import compare

import chainrule as cr
from chainrule import nn
from chainrule.recipes import Study, classical, own_images
from chainrule.training import Callback

DIGITS = "--digits" in sys.argv and not sys.argv.remove("--digits")
RECIPE: Any = classical if DIGITS else own_images
EPOCHS = int(os.environ.get("EPOCHS", RECIPE.EPOCHS))
DECAY = 0.05


class Pause(Callback):
    """An epoch is a piece."""

    def on_epoch(self, trainer: cr.Trainer) -> None:
        trainer.stop()


@cache
def data() -> tuple[Any, ...]:
    """Images (n, 1, 28, 28) and labels, to learn from and to ask about."""
    if DIGITS:
        x, y, [(rest, held)] = classical.mnist(Study("classical"))
        x = x[:, None].astype(np.float32)
        return x[rest], y[rest], x[held], y[held]
    whole = own_images.images(Study("own-images"), None)
    train, test = whole.split(0.8, seed=0, stratify=True)
    return train.x[:], train.y, test.x[:], test.y


def network() -> nn.Module:
    if DIGITS:
        return classical.network(28)
    return own_images.network((1, 28, 28), 10, augmented=True)


def chainrule(seed: int, threads: int) -> Any:
    x, y, asked, wanted = data()
    cr.manual_seed(seed)
    how: Any = {"engine": "native", "threads": threads, "seed": seed, "metrics": ()}
    adam = cr.optim.AdamW(lr=cr.optim.OneCycleLR(RECIPE.LR), weight_decay=DECAY)
    trainer = cr.Trainer(network(), loss=nn.CrossEntropyLoss(), optimizer=adam, **how)
    samples = cr.data.Dataset(x, y, classes=10)
    how = {"callbacks": Pause(), "progress": False}
    yield
    trainer.fit(samples, epochs=EPOCHS, batch_size=RECIPE.BATCH_SIZE, **how)
    yield
    for _ in range(1, EPOCHS):
        trainer.resume(samples, **how)
        yield
    return {"accuracy": float(np.mean(trainer.predict(asked).argmax(1) == wanted))}


def pytorch(seed: int, threads: int) -> Any:
    """AdamW (fused) and one cycle, channels last; augmentation by grid_sample."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    x, y, asked, wanted = data()
    model = torch.nn.Sequential(*twins(network())).to(memory_format=torch.channels_last)
    samples, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
    size = RECIPE.BATCH_SIZE
    steps = -(-len(x) // size)
    adam = torch.optim.AdamW(
        model.parameters(), weight_decay=DECAY, betas=(0.9, 0.999), fused=True
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam, RECIPE.LR, total_steps=EPOCHS * steps, cycle_momentum=False
    )
    yield
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(size):
            scores = model(shifted(samples[rows]) if DIGITS else changed(samples[rows]))
            loss = torch.nn.functional.cross_entropy(scores, labels[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            rate.step()
        yield
    model.eval()
    with torch.no_grad():
        said = model(torch.from_numpy(asked)).argmax(1).numpy()
    return {"accuracy": float(np.mean(said == wanted))}


def twins(model: nn.Module) -> list[Any]:
    """PyTorch's layers, made with our arguments; what augments is left out."""
    import torch

    made = []
    for layer in model.children():
        if isinstance(layer, nn.Sequential | nn.RandomCrop):
            continue
        kind, kept = getattr(torch.nn, type(layer).__name__), {}
        if isinstance(layer, nn.Conv2d):
            outputs, inputs, *_ = layer.weight.shape
            kept = {"in_channels": inputs, "out_channels": outputs, "kernel_size": 3}
            kept |= {"padding": 1, "bias": layer.bias is not None}
        elif isinstance(layer, nn.Linear):
            kept = dict(zip(("out_features", "in_features"), layer.weight.shape))
        elif isinstance(layer, nn.BatchNorm2d):
            kept = {"num_features": layer.weight.shape[0]}
        elif isinstance(layer, nn.MaxPool2d):
            kept = {"kernel_size": 2}
        elif isinstance(layer, nn.Dropout):
            kept = {"p": layer.p}
        made.append(kind(**kept))
    return made


def shifted(x: Any) -> Any:
    """Up to two pixels each way."""
    import torch

    rows, columns = torch.randint(0, 5, (2, len(x), 1)) + torch.arange(28)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))[:, 0]
    every = torch.arange(len(x))[:, None, None]
    return padded[every, rows[:, :, None], columns[:, None]][:, None]


def changed(x: Any) -> Any:
    """Mirrored, turned, moved, scaled, with a piece blotted out: as the recipe's."""
    import torch

    n = len(x)
    x = torch.where(torch.rand(n, 1, 1, 1) < 0.5, x.flip(3), x)
    angle = (2 * torch.rand(n) - 1) * np.deg2rad(12)
    factor = 0.85 + 0.3 * torch.rand(n)
    cos, sin = angle.cos() / factor, angle.sin() / factor
    move = (2 * torch.rand(n, 2) - 1) * 0.2
    right = -cos * move[:, 0] + sin * move[:, 1]
    lower = -sin * move[:, 0] - cos * move[:, 1]
    theta = torch.stack([cos, -sin, right, sin, cos, lower], 1).view(n, 2, 3)
    grid = torch.nn.functional.affine_grid(theta, x.shape, align_corners=False)
    x = torch.nn.functional.grid_sample(x, grid, align_corners=False)
    area = (0.02 + 0.13 * torch.rand(n, 1)) * 784
    root = torch.exp(torch.empty(n, 1).uniform_(np.log(0.3), np.log(3.3)) / 2)
    inside = []
    for side in (area.sqrt() * root, area.sqrt() / root):
        side = side.round().clamp(0, 28)
        first = (torch.rand(n, 1) * (29 - side)).floor()
        at = torch.arange(28)
        inside.append((at >= first) & (at < first + side))
    covered = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x.masked_fill(covered & (torch.rand(n, 1, 1, 1) < 0.3), 0.0)


if __name__ == "__main__":
    what = "5,000 digits, shifted" if DIGITS else "shapes of animals, augmented"
    compare(what, {"Chainrule": chainrule, "PyTorch": pytorch})
