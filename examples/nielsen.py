"""Handwritten digits with the plainest network that can read them.

    784 pixels → 30 sigmoid → 10 sigmoid

All that is used is the chain rule and gradient descent: weights from N(0, 1), the
quadratic cost C = 1/2n Σ ‖y − a‖² with y the digit as a unit vector, batches of 10, a
learning rate of 3. The four equations of backpropagation that the source derives by
hand are what ``backward()`` walks through.

Source: Michael Nielsen, "Neural networks and deep learning" (2015), chapters 1 and 2,
http://neuralnetworksanddeeplearning.com.

    python examples/nielsen.py
"""

from __future__ import annotations

import numpy as np

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim

BATCH = 10


def network() -> nn.Sequential:
    """Weights and biases from N(0, 1)."""
    model = nn.Sequential(
        nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid()
    )
    for p in model.parameters():
        nn.init.normal_(p)
    return model


def setup(engine=None, dtype="float32", seed=0):
    """The model, and a function that makes step i and returns its loss."""
    cr.manual_seed(seed)
    model = network().to(dtype)
    optimizer = optim.SGD(model.parameters(), lr=3.0)
    cost = nn.HalfSquaredErrorLoss()

    def step(images, digits):
        optimizer.zero_grad()
        loss = cost(model(images), F.one_hot(digits, 10).astype(dtype))
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    train, _ = cr.data.mnist()
    batches = endless(train, dtype)
    return model, lambda i: run_step(*next(batches))


def endless(train, dtype):
    """Batches, epoch after epoch, in another order each time."""
    epoch = 0
    while True:
        for x, y in train.batches(BATCH, epoch=epoch):
            yield np.asarray(x, dtype), y
        epoch += 1


def accuracy(model, engine=None) -> float:
    """The share of the test images that are read right."""
    _, test = cr.data.mnist()

    def read(images):
        return model(images).argmax(1)

    if engine is not None:
        read = cr.compile(read, engine=engine)
    x = np.asarray(test.x[:], model[0].weight.dtype.name)
    with cr.no_grad():
        return float((read(cr.tensor(x)).numpy() == test.y).mean())


def run(engine=None, steps=60000, dtype="float32", seed=0) -> dict:
    """Train; the losses, and the accuracy on the test set."""
    model, update = setup(engine, dtype, seed)
    losses = [update(i).item() for i in range(steps)]
    return {"losses": losses, "accuracy": accuracy(model, engine)}


def main() -> None:
    """Ten epochs on the fastest engine."""
    made = run("auto")
    last = sum(made["losses"][-1000:]) / 1000
    print(f"quadratic cost {made['losses'][0]:.2f} → {last:.3f}")
    print(f"{made['accuracy']:.1%} of 10,000 test images are read right")


if __name__ == "__main__":
    main()
