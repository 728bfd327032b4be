"""The first Boltzmann machine beside PyTorch and scikit-learn: same steps, same budget.

python benchmarks/recipes/dbn.py --seeds 3
EPOCHS=2 python benchmarks/recipes/dbn.py --seeds 1      # for the seconds alone

``BernoulliRBM`` learns by persistent divergence without momentum, in double precision
or single as the data are; its step is the nearest that scikit-learn has. What is
compared is ‖v − v′‖² of test images, v′ without drawing h.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from turns import compare

import chainrule as cr
from chainrule.recipes import Study, dbn

EPOCHS = int(os.environ.get("EPOCHS", dbn.EPOCHS))
HIDDEN = dbn.SIZES[0]


def images() -> tuple[np.ndarray, np.ndarray]:
    train, test = cr.data.mnist()
    return train.x[:], test.x[:]


def rebuilt(test: np.ndarray, w: Any, b: Any, c: Any) -> dict[str, float]:
    """One step to and fro with probabilities, by NumPy."""
    h = 1 / (1 + np.exp(-(test @ w.T + c)))
    again = 1 / (1 + np.exp(-(h @ w + b)))
    return {"error": float(np.square(test - again).sum(1).mean())}


def chainrule(seed: int, threads: int) -> Any:
    train, test = images()
    study = Study("dbn", seed=seed, engine="native", threads=threads)
    machine, loop = dbn.machine_loop(study, train, HIDDEN, level=1)
    yield
    for epoch in range(EPOCHS):
        loop.run(epochs=epoch + 1)
        yield
    names = ("weight", "visible_bias", "hidden_bias")
    return rebuilt(test, *(getattr(machine, name).numpy() for name in names))


def pytorch(seed: int, threads: int) -> Any:
    """ΔW written out, as in Hinton's own program; there is nothing to differentiate."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    known, test = images()
    train = torch.from_numpy(known)
    w = 0.01 * torch.randn(HIDDEN, 784)
    b, c = torch.zeros(784), torch.zeros(HIDDEN)
    state = [torch.zeros_like(t) for t in (w, b, c)]
    size = dbn.BATCH_SIZE
    yield
    with torch.no_grad():
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(train)).view(-1, size):
                v = train[rows]
                h = torch.addmm(c, v, w.T).sigmoid_()
                drawn = (torch.rand_like(h) < h).float()
                v2 = torch.addmm(b, drawn, w).sigmoid_()
                h2 = torch.addmm(c, v2, w.T).sigmoid_()
                down = [h2.T @ v2 - h.T @ v, (v2 - v).sum(0), (h2 - h).sum(0)]
                for t, m, g, decay in zip((w, b, c), state, down, (dbn.DECAY, 0, 0)):
                    m.mul_(dbn.MOMENTUM).add_(g, alpha=1 / size).add_(t, alpha=decay)
                    t.sub_(m, alpha=dbn.LR)
            yield
    return rebuilt(test, w.numpy(), b.numpy(), c.numpy())


def sklearn(seed: int, threads: int) -> Any:
    from sklearn.neural_network import BernoulliRBM

    train, test = images()
    model: Any = BernoulliRBM(
        HIDDEN, learning_rate=dbn.LR, batch_size=dbn.BATCH_SIZE, random_state=seed
    )
    order = np.random.default_rng(seed)
    yield
    for _ in range(EPOCHS):
        for rows in order.permutation(len(train)).reshape(-1, dbn.BATCH_SIZE):
            model.partial_fit(train[rows])
        yield
    parts = (model.components_, model.intercept_visible_, model.intercept_hidden_)
    return rebuilt(test, *parts)


if __name__ == "__main__":
    sides = {"Chainrule": chainrule, "PyTorch": pytorch, "scikit-learn": sklearn}
    compare("a Boltzmann machine of 784 and 500 units", sides)
