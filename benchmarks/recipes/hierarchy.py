"""The network that ``hierarchy`` looks into beside PyTorch: same digits and steps.

python benchmarks/recipes/hierarchy.py --seeds 3
"""

from __future__ import annotations

from typing import Any

import pytorch
from cnn import images, shares
from turns import Run, Trial, arguments, compare

import chainrule as cr
from chainrule.recipes import hierarchy


def test(trial: Trial) -> cr.data.Dataset:
    """What both are measured on."""
    return cr.data.mnist()[1].take(1000 if trial.quick else 10000)


def ours(trial: Trial) -> Run:
    """The recipe's Trainer."""
    trainer = hierarchy.train(trial)
    yield from trial.epochs()
    return {"accuracy": trainer.evaluate(test(trial))["accuracy"]}


def theirs(trial: Trial) -> Run:
    """PyTorch's side; images are kept in bytes, as ours are."""
    pytorch.prepare(trial)
    _, *layers = hierarchy.train(trial).model.children()  # rows of pixels → images
    model = pytorch.twin(*layers)
    how: Any = {"lr": hierarchy.LR, "weight_decay": 0.1, "changed": shares}
    x, y = images(trial.train), trial.train.y
    yield from pytorch.epochs(model, x, y, **how, **trial.budget)
    asked = test(trial)
    return pytorch.accuracy(model, images(asked), asked.y, changed=shares)


if __name__ == "__main__":
    sides = {"Chainrule": ours, "PyTorch": theirs}
    compare(arguments(__doc__), "hierarchy", "a small CNN on digits", sides)
