"""The autoencoder of shaken images beside PyTorch: same network, same budget.

python benchmarks/recipes/clustering.py --seeds 3
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from turns import Run, Trial, arguments, compare, epochs

import chainrule as cr
from chainrule import nn
from chainrule.recipes import clustering as recipe
from chainrule.recipes.evaluation.clustering import matched


def images(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels."""
    train = cr.data.mnist()[0].take(1500 if trial.quick else recipe.IMAGES)
    return train.x[:].reshape(len(train), 784), train.y


def passes(trial: Trial) -> int:
    """Epochs."""
    return 3 if trial.quick else recipe.EPOCHS


def quality(codes: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, float]:
    """Of k-means on codes whose numbers vary by 1."""
    from sklearn.cluster import KMeans

    codes = (codes - codes.mean(0)) / codes.std(0)
    found = KMeans(10, n_init=5, random_state=seed).fit_predict(codes)
    return {"accuracy": matched(found, labels)[0]}


def chainrule(trial: Trial) -> Run:
    x, labels = images(trial)
    cr.manual_seed(trial.seed)
    parts = recipe.layers(recipe.WIDTHS), recipe.layers(recipe.WIDTHS[::-1])
    model = nn.Sequential(recipe.augmentation(), *parts)
    adam = cr.optim.Adam(lr=cr.optim.OneCycleLR(recipe.LR))
    how: Any = {"seed": trial.seed, "metrics": (), **trial.engine_options}
    trainer = cr.Trainer(model, loss=nn.MSELoss(), optimizer=adam, **how)
    how = {"epochs": passes(trial), "batch_size": recipe.BATCH_SIZE}
    yield from epochs(trainer, (x, x), **how)
    return quality(recipe.outputs(model[1], x), labels, trial.seed)


def pytorch(trial: Trial) -> Run:
    """Adam (fused) and one cycle; images are shaken by grid_sample."""
    import torch

    torch.set_num_threads(trial.threads)
    torch.manual_seed(trial.seed)
    x, labels = images(trial)
    samples = torch.from_numpy(x)

    def chain(sizes: Any) -> list[Any]:
        made: list[Any] = []
        for pair in itertools.pairwise(sizes):
            made += [torch.nn.Linear(*pair), torch.nn.ReLU()]
            torch.nn.init.kaiming_normal_(made[-2].weight)
        return made[:-1]

    encoder = torch.nn.Sequential(*chain(recipe.WIDTHS))
    model = torch.nn.Sequential(encoder, *chain(recipe.WIDTHS[::-1]))
    size = recipe.BATCH_SIZE
    adam = torch.optim.Adam(model.parameters(), fused=True)
    steps = passes(trial) * -(-len(x) // size)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        adam, recipe.LR, total_steps=steps, cycle_momentum=False
    )
    yield
    for _ in range(passes(trial)):
        for rows in torch.randperm(len(x)).split(size):
            batch = samples[rows]
            loss = torch.nn.functional.mse_loss(model(shaken(batch)), batch)
            adam.zero_grad()
            loss.backward()
            adam.step()
            rate.step()
        yield
    with torch.no_grad():
        return quality(encoder(samples).numpy(), labels, trial.seed)


def shaken(x: Any) -> Any:
    """Turned by up to 15°, moved by up to 8 %, scaled by 0.9 to 1.1."""
    import torch

    n = len(x)
    angle = (2 * torch.rand(n) - 1) * np.deg2rad(15)
    factor = 0.9 + 0.2 * torch.rand(n)
    cos, sin = angle.cos() / factor, angle.sin() / factor
    move = (2 * torch.rand(n, 2) - 1) * 0.16
    right = -cos * move[:, 0] + sin * move[:, 1]
    lower = -sin * move[:, 0] - cos * move[:, 1]
    theta = torch.stack([cos, -sin, right, sin, cos, lower], 1).view(n, 2, 3)
    grid = torch.nn.functional.affine_grid(theta, [n, 1, 28, 28], align_corners=False)
    made = torch.nn.functional.grid_sample(
        x.view(n, 1, 28, 28), grid, align_corners=False
    )
    return made.view(n, 784)


if __name__ == "__main__":
    sides = {"Chainrule": chainrule, "PyTorch": pytorch}
    compare(arguments(__doc__), "clustering", "an autoencoder of shaken digits", sides)
