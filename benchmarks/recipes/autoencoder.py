"""The autoencoder of thirty numbers beside PyTorch: same network, same budget.

python benchmarks/recipes/autoencoder.py --seeds 3
EPOCHS=2 python benchmarks/recipes/autoencoder.py --seeds 1      # for the seconds alone
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
from turns import compare

import chainrule as cr
from chainrule.recipes import Study, autoencoder
from chainrule.training import Callback

CODE = 30
EPOCHS = int(os.environ.get("EPOCHS", autoencoder.EPOCHS[CODE]))


class Pause(Callback):
    """An epoch is a piece."""

    def on_epoch(self, trainer: cr.Trainer) -> None:
        trainer.stop()


def images() -> tuple[np.ndarray, np.ndarray]:
    train, test = cr.data.mnist()
    return train.x[:], test.x[:]


def chainrule(seed: int, threads: int) -> Any:
    train, test = images()
    study = Study("autoencoder", seed=seed, engine="native", threads=threads)
    trainer = autoencoder.deep_trainer(study, CODE)
    samples = cr.data.Dataset(train, train)
    how: Any = {"callbacks": Pause(), "progress": False}
    yield
    trainer.fit(samples, epochs=EPOCHS, batch_size=autoencoder.BATCH_SIZE, **how)
    yield
    for epochs in range(1, EPOCHS):
        trainer.resume(samples, epochs=EPOCHS, **how)
        assert trainer.epoch == epochs + 1
        yield
    rebuilt = np.asarray(trainer.predict(test))
    return {"error": autoencoder.squared_error(test, rebuilt)}


def pytorch(seed: int, threads: int) -> Any:
    """SiLU, AdamW (fused) and one cycle; its own initial weights, drawn alike."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    train, test = (torch.from_numpy(x) for x in images())

    def chain(*sizes: int) -> list[Any]:
        layers: list[Any] = []
        for pair in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(*pair), torch.nn.SiLU()]
            torch.nn.init.kaiming_normal_(layers[-2].weight)
        return layers[:-1]

    sizes = (784, *autoencoder.SIZES, CODE)
    model = torch.nn.Sequential(
        *chain(*sizes), *chain(*sizes[::-1]), torch.nn.Sigmoid()
    )
    steps = len(train) // autoencoder.BATCH_SIZE
    adam = torch.optim.AdamW(
        model.parameters(), weight_decay=autoencoder.DECAY, fused=True
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam, autoencoder.LR, total_steps=EPOCHS * steps, cycle_momentum=False
    )
    yield
    for _ in range(EPOCHS):
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
    compare(
        "autoencoder 784-1000-500-250-30",
        {"Chainrule": chainrule, "PyTorch": pytorch},
    )
