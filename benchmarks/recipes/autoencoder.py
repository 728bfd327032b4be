"""The autoencoder of thirty numbers beside PyTorch: same network, same budget.

python benchmarks/recipes/autoencoder.py --seeds 3
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from turns import Run, Trial, arguments, compare, epochs

import chainrule as cr
from chainrule.recipes import autoencoder
from chainrule.recipes.evaluation.pca import squared_error

CODE = 30


def settings(trial: Trial) -> autoencoder.Settings:
    """The recipe's settings."""
    return autoencoder.QUICK if trial.quick else autoencoder.FULL


def images(trial: Trial) -> list[np.ndarray]:
    """To learn from, and to test with."""
    return [part.x[: settings(trial).images] for part in cr.data.mnist()]


def chainrule(trial: Trial) -> Run:
    train, test = images(trial)
    s = settings(trial)
    trainer = autoencoder.deep_trainer(trial, CODE, s)
    samples = cr.data.Dataset(train, train)
    how = {"epochs": s.epochs[0], "batch_size": autoencoder.BATCH_SIZE}
    yield from epochs(trainer, samples, **how)
    return {"error": squared_error(test, np.asarray(trainer.predict(test)))}


def pytorch(trial: Trial) -> Run:
    """SiLU, AdamW (fused) and one cycle; its own initial weights, drawn alike."""
    import torch

    torch.set_num_threads(trial.threads)
    torch.manual_seed(trial.seed)
    train, test = map(torch.from_numpy, images(trial))

    def chain(*sizes: int) -> list[Any]:
        layers: list[Any] = []
        for pair in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(*pair), torch.nn.SiLU()]
            torch.nn.init.kaiming_normal_(layers[-2].weight)
        return layers[:-1]

    s = settings(trial)
    sizes = (784, *s.sizes, CODE)
    model = torch.nn.Sequential(
        *chain(*sizes), *chain(*sizes[::-1]), torch.nn.Sigmoid()
    )
    steps = len(train) // autoencoder.BATCH_SIZE
    adam = torch.optim.AdamW(
        model.parameters(), weight_decay=autoencoder.WEIGHT_DECAY, fused=True
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam,
        s.lr,
        total_steps=s.epochs[0] * steps,
        cycle_momentum=False,
    )
    yield
    for _ in range(s.epochs[0]):
        for rows in torch.randperm(len(train)).view(steps, -1):
            x = train[rows]
            loss = torch.nn.functional.mse_loss(model(x), x)
            adam.zero_grad()
            loss.backward()
            adam.step()
            rate.step()
        yield
    with torch.no_grad():
        return {"error": squared_error(test.numpy(), model(test).numpy())}


if __name__ == "__main__":
    sides = {"Chainrule": chainrule, "PyTorch": pytorch}
    compare(arguments(__doc__), "autoencoder", "autoencoder of thirty numbers", sides)
