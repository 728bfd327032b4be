"""Networks for images with augmentation beside PyTorch: same layers, same budget.

python benchmarks/recipes/own_images.py --seeds 3
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytorch
import torch
from turns import Run, Trial, arguments, compare

import chainrule as cr
from chainrule.recipes import own_images


@cache
def images(quick: bool) -> cr.data.Dataset:
    """The shapes, read from a folder of their own."""
    return own_images.images(Trial("own-images", quick=quick), None)


def data(trial: Trial) -> Any:
    """To learn from and to ask about."""
    return images(trial.quick).split(0.8, seed=0, stratify=True)


def ours(trial: Trial) -> Run:
    """The recipe's Trainer."""
    train, test = data(trial)
    trainer = own_images.learn(trial, "augmented", train, test, True)
    yield from trial.epochs()
    return {"accuracy": trainer.evaluate(test)["accuracy"]}


def theirs(trial: Trial) -> Run:
    """Augmentation by grid_sample."""
    train, test = data(trial)
    pytorch.prepare(trial)
    untrained = own_images.learn(trial, "augmented", train, test, True).model
    _, *layers = untrained.children()
    model = pytorch.twin(*layers)
    how: Any = {"lr": own_images.LR, "weight_decay": own_images.WEIGHT_DECAY}
    how |= trial.budget
    yield from pytorch.epochs(model, train.x[:], train.y, changed=changed, **how)
    return pytorch.accuracy(model, test.x[:], test.y)


def changed(x: Any) -> Any:
    """Mirrored, turned, moved, scaled, with a piece blotted out: as the recipe's."""
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
    sides = {"Chainrule": ours, "PyTorch": theirs}
    what = "shapes of animals, augmented"
    compare(arguments(__doc__), "own-images", what, sides)
