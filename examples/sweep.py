"""Twenty small networks, one for each learning rate, and one compilation.

A learning rate that is too small does not arrive, one that is too large overshoots;
between them lies a valley about a decade wide. The rate is an input of the compiled
step and not part of it: η changes, the program stays. So do the weights, which are
state: each run starts from the same ones.

Source: on the learning rate as the one hyper-parameter to tune first, Bengio 2012,
"Practical recommendations for gradient-based training of deep architectures".

    python examples/sweep.py
"""

from __future__ import annotations

import math

import numpy as np

import chainrule as cr
from chainrule import nn, optim

RUNS, BATCH = 20, 32


def rates(count=RUNS, highest=10.0) -> list[float]:
    """From 0.001 to the highest, evenly by their logarithms."""
    return [float(eta) for eta in np.geomspace(1e-3, highest, count)]


def setup(engine=None, dtype="float32", seed=0):
    """A function that trains from the same start with a learning rate."""
    cr.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3)
    ).to(dtype)
    optimizer = optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    start = model.state_dict()
    fresh = optimizer.state_dict()
    loss_of = nn.CrossEntropyLoss()

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    data = cr.data.spiral(BATCH * 20, classes=3, noise=0.05, seed=seed)
    x, y = np.asarray(data.x[:], dtype), data.y

    def restart(lr):
        model.load_state_dict(start)
        optimizer.load_state_dict(fresh)
        optimizer.lr = lr

    def update(i):
        rows = slice(i * BATCH % len(x), i * BATCH % len(x) + BATCH)
        return run_step(x[rows], y[rows])

    return restart, update


def run(
    engine=None, steps=400, dtype="float32", seed=0, count=RUNS, highest=10.0
) -> dict:
    """Train with each rate; the last losses (of 20 steps), and the best rate."""
    restart, update = setup(engine, dtype, seed)
    ends = []
    for lr in rates(count, highest):
        restart(lr)
        losses = [update(i).item() for i in range(steps)]
        ends.append(sum(losses[-20:]) / len(losses[-20:]))
    best = min(range(count), key=lambda i: ends[i] if ends[i] == ends[i] else math.inf)
    return {"losses": ends, "best": rates(count, highest)[best]}


def main() -> None:
    """A bar for each rate: the shorter, the better."""
    made = run("auto")
    for lr, loss in zip(rates(), made["losses"]):
        bar = "█" * round(20 * min(loss, 2)) if loss == loss else "not a number"
        print(f"η = {lr:9.4f}  {loss:7.3f}  {bar}")
    print(f"best: η = {made['best']:.3g}")


if __name__ == "__main__":
    main()
