"""A network of single numbers: every weight and every product is a scalar of its own.

Nothing but the chain rule on scalars is needed to learn. Each neuron is

    h = tanh(w₁x₁ + … + wₙxₙ + b)

with each w a tensor of no axes, so that a step is a graph of several thousand scalar
nodes. The loss is the hinge of the margin with a penalty of the weights,

    ℒ = 1/N Σᵢ max(0, 1 − yᵢ ŷᵢ) + λ Σ w²,   yᵢ = ±1,

on the two moons, and gradient descent follows it.

Source: the idea is that of Andrej Karpathy, micrograd (2020),
https://github.com/karpathy/micrograd.

    python examples/micrograd.py
"""

from __future__ import annotations

from itertools import pairwise

import chainrule as cr
from chainrule import optim

SIZES = (2, 8, 8, 1)
BATCH = 4
PENALTY = 1e-4


class Neuron:
    """Weights and a bias, each a scalar."""

    def __init__(self, inputs: int, dtype: str) -> None:
        bound = (3 / inputs) ** 0.5
        self.weights = [
            cr.uniform(low=-bound, high=bound, dtype=dtype, requires_grad=True)
            for _ in range(inputs)
        ]
        self.bias = cr.tensor(0.0, dtype=dtype, requires_grad=True)

    def __call__(self, inputs: list[cr.Tensor]) -> cr.Tensor:
        z = self.bias
        for w, x in zip(self.weights, inputs, strict=True):
            z = z + w * x
        return z


class Network:
    """Layers of neurons; tanh everywhere but at the end."""

    def __init__(self, dtype: str = "float32") -> None:
        self.layers = [[Neuron(n, dtype) for _ in range(m)] for n, m in pairwise(SIZES)]

    def parameters(self) -> list[cr.Tensor]:
        neurons = [neuron for layer in self.layers for neuron in layer]
        return [p for neuron in neurons for p in (*neuron.weights, neuron.bias)]

    def __call__(self, inputs: list[cr.Tensor]) -> cr.Tensor:
        *hidden, (last,) = self.layers
        for layer in hidden:
            inputs = [neuron(inputs).tanh() for neuron in layer]
        return last(inputs)


def setup(engine=None, dtype="float32", seed=0):
    """The network, and a function that makes step i and returns its loss."""
    cr.manual_seed(seed)
    network = Network(dtype)
    parameters = network.parameters()
    optimizer = optim.SGD(parameters, lr=0.1)

    def step(points, labels):
        optimizer.zero_grad()
        loss = cr.tensor(0.0, dtype=dtype)
        for i in range(BATCH):
            score = network([points[i, 0], points[i, 1]])
            loss = loss + (1 - labels[i] * score).relu() / BATCH
        for p in parameters:
            loss = loss + PENALTY * p * p
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    data = cr.data.moons(200, noise=0.1, seed=seed)
    x = cr.tensor(data.x[:], dtype=dtype)
    y = cr.tensor(2 * data.y - 1, dtype=dtype)

    def update(i):
        rows = slice(i * BATCH % len(x), i * BATCH % len(x) + BATCH)
        return run_step(x[rows], y[rows])

    return network, update


def accuracy(network, engine=None) -> float:
    """The share of fresh moons on the right side."""

    def score(point):
        return network([point[0], point[1]])

    if engine is not None:
        score = cr.compile(score, engine=engine)
    data = cr.data.moons(100, noise=0.1, seed=1)
    points = cr.tensor(data.x[:], dtype=network.parameters()[0].dtype)
    with cr.no_grad():
        hits = [(score(p).item() > 0) == bool(y) for p, y in zip(points, data.y)]
    return sum(hits) / len(hits)


def run(engine=None, steps=1000, dtype="float32", seed=0) -> dict:
    """Train; the losses and the accuracy on other points."""
    network, update = setup(engine, dtype, seed)
    losses = [update(i).item() for i in range(steps)]
    return {"losses": losses, "accuracy": accuracy(network, engine)}


def main() -> None:
    """Train on the fastest engine and say how it went."""
    made = run("auto")
    first, last = sum(made["losses"][:50]) / 50, sum(made["losses"][-50:]) / 50
    print(f"hinge loss, mean of 50 steps: {first:.3f} → {last:.3f}")
    print(f"{made['accuracy']:.0%} of fresh points are on the right side")


if __name__ == "__main__":
    main()
