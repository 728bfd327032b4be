"""The game of generator and discriminator beside PyTorch: same networks, same budget.

python benchmarks/recipes/gan.py --seeds 3
EPOCHS=2 python benchmarks/recipes/gan.py --seeds 1      # for the seconds alone
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
from turns import compare

import chainrule as cr
from chainrule.recipes import Study, gan

EPOCHS = int(os.environ.get("EPOCHS", gan.EPOCHS))


def images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, test = cr.data.mnist()
    return train.x[:50_000], train.x[50_000:], test.x[:]


def chainrule(seed: int, threads: int) -> Any:
    train, *others = images()
    study = Study("gan", seed=seed, engine="native", threads=threads)
    _, loop = gan.game_loop(study, train)
    yield
    for epoch in range(EPOCHS):
        loop.run(epochs=epoch + 1)
        yield
    return gan.likelihood(gan.drawn(loop, gan.MADE, seed + 1), *others)


def pytorch(seed: int, threads: int) -> Any:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    known, *others = images()
    train = torch.from_numpy(2 * known - 1)
    widths, judged = gan.SIZES
    made: list[Any] = []
    for inputs, outputs in itertools.pairwise((gan.NOISE, *widths)):
        made += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs)]
        made.append(nn.LeakyReLU(0.2))
    g = nn.Sequential(*made, nn.Linear(widths[-1], 784), nn.Tanh())
    made = []
    for inputs, outputs in itertools.pairwise((784, *judged)):
        made += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
    d = nn.Sequential(*made, nn.Linear(judged[-1], 1))
    steps = len(train) // gan.BATCH_SIZE
    adams = [
        torch.optim.Adam(n.parameters(), lr=gan.LR, betas=gan.BETAS, fused=True)
        for n in (g, d)
    ]
    falls = [
        torch.optim.lr_scheduler.CosineAnnealingLR(adam, gan.EPOCHS * steps)
        for adam in adams
    ]
    softplus = nn.functional.softplus

    def noise(count: int) -> Any:
        return 2 * torch.rand(count, gan.NOISE) - 1

    yield
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train)).view(steps, -1):
            adams[1].zero_grad()
            with torch.no_grad():
                fake = g(noise(gan.BATCH_SIZE))
            loss = softplus(-d(train[rows])).mean() + softplus(d(fake)).mean()
            loss.backward()
            adams[1].step()
            adams[0].zero_grad()
            softplus(-d(g(noise(gan.BATCH_SIZE)))).mean().backward()
            adams[0].step()
            for fall in falls:
                fall.step()
        yield
    g.eval()
    with torch.no_grad():
        samples = ((g(noise(gan.MADE)) + 1) / 2).numpy()
    return gan.likelihood(samples, *others)


if __name__ == "__main__":
    compare("gan on digits", {"Chainrule": chainrule, "PyTorch": pytorch})
