"""The game of generator and discriminator beside PyTorch: same networks, same budget.

python benchmarks/recipes/gan.py --seeds 3
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from turns import Run, Trial, arguments, compare

import chainrule as cr
from chainrule.recipes import gan, shuffled
from chainrule.recipes.evaluation.parzen import likelihood


def images(trial: Trial) -> list[np.ndarray]:
    """To learn from, to choose a width by, and to measure on."""
    train, test = cr.data.mnist()
    parts = [train.x[:50_000], train.x[50_000:], test.x[:]]
    return [part[: 1000 if trial.quick else None] for part in parts]


def budget(trial: Trial) -> gan.Settings:
    """The recipe's settings."""
    return gan.QUICK if trial.quick else gan.FULL


def chainrule(trial: Trial) -> Run:
    train, *others = images(trial)
    s = budget(trial)
    cr.manual_seed(trial.seed)
    game = gan.GAN(s)
    _, step = gan.training_step(trial, game, s)
    yield
    for epoch in range(s.epochs):
        for rows in shuffled(len(train), gan.BATCH_SIZE, trial.seed, epoch):
            step(train[rows])
        yield
    samples = gan.generate(trial, game.mean, s.samples, trial.seed + 1)
    return likelihood(samples, *others)


def pytorch(trial: Trial) -> Run:
    import torch
    from torch import nn

    torch.set_num_threads(trial.threads)
    torch.manual_seed(trial.seed)
    known, *others = images(trial)
    s = budget(trial)
    train = torch.from_numpy(2 * known - 1)
    widths, judged = s.generator, s.discriminator

    def drawing() -> Any:
        made: list[Any] = []
        for inputs, outputs in itertools.pairwise((gan.NOISE, *widths)):
            made += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs)]
            made.append(nn.LeakyReLU(0.2))
        return nn.Sequential(*made, nn.Linear(widths[-1], 784), nn.Tanh())

    g, mean = drawing(), drawing()
    mean.load_state_dict(g.state_dict())
    followed = [
        [t for t in n.state_dict().values() if t.is_floating_point()] for n in (mean, g)
    ]
    made: list[Any] = []
    for inputs, outputs in itertools.pairwise((784, *judged)):
        made += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
    d = nn.Sequential(*made, nn.Linear(judged[-1], 1))
    steps = len(train) // gan.BATCH_SIZE
    adams = [
        torch.optim.Adam(n.parameters(), lr=s.lr, betas=gan.BETAS, fused=True)
        for n in (g, d)
    ]
    softplus = nn.functional.softplus

    def noise(count: int) -> Any:
        return 2 * torch.rand(count, gan.NOISE) - 1

    yield
    for _ in range(s.epochs):
        for rows in torch.randperm(len(train)).view(steps, -1):
            fake = g(noise(gan.BATCH_SIZE))
            adams[1].zero_grad()
            loss = softplus(-d(train[rows])).mean()
            loss = loss + softplus(d(fake.detach())).mean()
            loss.backward()
            adams[1].step()
            adams[0].zero_grad()
            d.requires_grad_(False)  # nobody asks for its gradients here
            softplus(-d(fake)).mean().backward()
            d.requires_grad_(True)
            adams[0].step()
            torch._foreach_lerp_(*followed, 1 - s.beta)
        yield
    mean.eval()
    with torch.no_grad():
        samples = ((mean(noise(s.samples)) + 1) / 2).numpy()
    return likelihood(samples, *others)


if __name__ == "__main__":
    sides = {"Chainrule": chainrule, "PyTorch": pytorch}
    compare(arguments(__doc__), "gan", "gan on digits", sides)
