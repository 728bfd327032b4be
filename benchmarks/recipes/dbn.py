"""The first Boltzmann machine beside PyTorch and scikit-learn: same steps, same budget.

python benchmarks/recipes/dbn.py --seeds 3

``BernoulliRBM`` learns by persistent divergence without momentum, in double precision
or single as the data are; its step is the nearest that scikit-learn has. What is
compared is ‖v − v′‖² of test images, v′ without drawing h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from turns import Run, Trial, arguments, compare

import chainrule as cr
from chainrule.recipes import dbn, shuffled


def images(trial: Trial) -> list[np.ndarray]:
    """To learn from, and to test with."""
    return [part.x[: 2000 if trial.quick else None] for part in cr.data.mnist()]


def sizes(trial: Trial) -> tuple[int, int]:
    """Hidden units, and epochs."""
    settings = dbn.QUICK if trial.quick else dbn.FULL
    return settings.sizes[0], settings.epochs


def rebuilt(test: np.ndarray, w: Any, b: Any, c: Any) -> dict[str, float]:
    """One step to and fro with probabilities, by NumPy."""
    h = 1 / (1 + np.exp(-(test @ w.T + c)))
    again = 1 / (1 + np.exp(-(h @ w + b)))
    return {"error": float(np.square(test - again).sum(1).mean())}


def chainrule(trial: Trial) -> Run:
    train, test = images(trial)
    hidden, epochs = sizes(trial)
    cr.manual_seed(trial.seed + 1)
    machine = dbn.Boltzmann(train.shape[1], hidden)
    steps = epochs * (len(train) // dbn.BATCH_SIZE)
    _, step = dbn.training_step(trial, machine, steps)
    yield
    for epoch in range(epochs):
        for rows in shuffled(len(train), dbn.BATCH_SIZE, trial.seed + 1, epoch):
            step(train[rows])
        yield
    names = ("weight", "visible_bias", "hidden_bias")
    return rebuilt(test, *(getattr(machine, name).numpy() for name in names))


def pytorch(trial: Trial) -> Run:
    """ΔW written out, as in Hinton's own program; there is nothing to differentiate."""
    import torch

    torch.set_num_threads(trial.threads)
    torch.manual_seed(trial.seed)
    known, test = images(trial)
    hidden, epochs = sizes(trial)
    train = torch.from_numpy(known)
    w = 0.01 * torch.randn(hidden, 784)
    b, c = torch.zeros(784), torch.zeros(hidden)
    state = [torch.zeros_like(t) for t in (w, b, c)]
    decays = dbn.WEIGHT_DECAY, 0, 0
    size = dbn.BATCH_SIZE
    yield
    with torch.no_grad():
        for _ in range(epochs):
            for rows in torch.randperm(len(train)).view(-1, size):
                v = train[rows]
                h = torch.addmm(c, v, w.T).sigmoid_()
                drawn = (torch.rand_like(h) < h).float()
                v2 = torch.addmm(b, drawn, w).sigmoid_()
                h2 = torch.addmm(c, v2, w.T).sigmoid_()
                down = [h2.T @ v2 - h.T @ v, (v2 - v).sum(0), (h2 - h).sum(0)]
                for t, m, g, decay in zip((w, b, c), state, down, decays):
                    m.mul_(dbn.MOMENTUM).add_(g, alpha=1 / size).add_(t, alpha=decay)
                    t.sub_(m, alpha=dbn.LR)
            yield
    return rebuilt(test, w.numpy(), b.numpy(), c.numpy())


def sklearn(trial: Trial) -> Run:
    from sklearn.neural_network import BernoulliRBM

    train, test = images(trial)
    hidden, epochs = sizes(trial)
    model: Any = BernoulliRBM(
        hidden, learning_rate=dbn.LR, batch_size=dbn.BATCH_SIZE, random_state=trial.seed
    )
    order = np.random.default_rng(trial.seed)
    yield
    for _ in range(epochs):
        for rows in order.permutation(len(train)).reshape(-1, dbn.BATCH_SIZE):
            model.partial_fit(train[rows])
        yield
    parts = (model.components_, model.intercept_visible_, model.intercept_hidden_)
    return rebuilt(test, *parts)


if __name__ == "__main__":
    sides = {"Chainrule": chainrule, "PyTorch": pytorch, "scikit-learn": sklearn}
    compare(arguments(__doc__), "dbn", "a Boltzmann machine on digits", sides)
