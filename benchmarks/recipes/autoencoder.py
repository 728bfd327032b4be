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

CODE = 30


def images(trial: Trial) -> list[np.ndarray]:
    """To learn from, and to test with."""
    rows = autoencoder.IMAGES if trial.quick else None
    return [part.x[:rows] for part in cr.data.mnist()]


def passes(trial: Trial) -> int:
    """Epochs."""
    return autoencoder.QUICK_EPOCHS if trial.quick else autoencoder.EPOCHS[CODE]


def chainrule(trial: Trial) -> Run:
    train, test = images(trial)
    trainer = autoencoder.deep_trainer(trial, CODE)
    samples = cr.data.Dataset(train, train)
    how = {"epochs": passes(trial), "batch_size": autoencoder.BATCH_SIZE}
    yield from epochs(trainer, samples, **how)
    rebuilt = np.asarray(trainer.predict(test))
    return {"error": autoencoder.squared_error(test, rebuilt)}


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

    hidden = autoencoder.QUICK_SIZES if trial.quick else autoencoder.SIZES
    sizes = (784, *hidden, CODE)
    model = torch.nn.Sequential(
        *chain(*sizes), *chain(*sizes[::-1]), torch.nn.Sigmoid()
    )
    steps = len(train) // autoencoder.BATCH_SIZE
    adam = torch.optim.AdamW(
        model.parameters(), weight_decay=autoencoder.DECAY, fused=True
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam,
        autoencoder.QUICK_LR if trial.quick else autoencoder.LR,
        total_steps=passes(trial) * steps,
        cycle_momentum=False,
    )
    yield
    for _ in range(passes(trial)):
        for rows in torch.randperm(len(train)).view(steps, -1):
            x = train[rows]
            loss = torch.nn.functional.mse_loss(model(x), x)
            adam.zero_grad()
            loss.backward()
            adam.step()
            rate.step()
        yield
    with torch.no_grad():
        return {"error": autoencoder.squared_error(test.numpy(), model(test).numpy())}


if __name__ == "__main__":
    sides = {"Chainrule": chainrule, "PyTorch": pytorch}
    compare(arguments(__doc__), "autoencoder", "autoencoder of thirty numbers", sides)
