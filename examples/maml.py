"""Learning to learn: initial weights from which one gradient step goes a long way.

A task is a sine a·sin(x + φ) of a random amplitude and phase, known at ten points. From
weights θ one step of gradient descent leads to the task's own weights,

    θ′ = θ − α ∇ℒ_task(θ),

and what is minimised is the loss *after* that step, on ten other points:

    min over θ of  Σ over tasks  ℒ′_task(θ − α ∇ℒ_task(θ)).

Its gradient runs through the inner gradient, so that second derivatives are needed;
``cr.grad`` inside of what ``backward()`` walks gives them.

Source: Finn, Abbeel, Levine 2017, "Model-agnostic meta-learning for fast adaptation of
deep networks", section 5.1.

    python examples/maml.py
"""

from __future__ import annotations

import math

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim

TASKS, SHOTS, ALPHA = 4, 10, 0.02


def sines(dtype: str):
    """A random task: points and values to adapt with, and others to judge by."""
    amplitude = cr.uniform(low=0.1, high=5.0, dtype=dtype)
    phase = cr.uniform(high=math.pi, dtype=dtype)
    x = cr.uniform(2 * SHOTS, 1, low=-5.0, high=5.0, dtype=dtype)
    y = amplitude * (x + phase).sin()
    return (x[:SHOTS], y[:SHOTS]), (x[SHOTS:], y[SHOTS:])


def loss_of(weights, model, x, y):
    """The squared error of the network with these weights."""
    return F.mse_loss(cr.functional_call(model, weights, x), y)


def adapted(weights, model, x, y):
    """θ − α ∇ℒ(θ)."""
    slopes = cr.grad(loss_of)(weights, model, x, y)
    return {name: w - ALPHA * slopes[name] for name, w in weights.items()}


def setup(engine=None, dtype="float32", seed=0):
    """The model, and a function that makes step i and returns its loss."""
    cr.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
    ).to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        weights = dict(model.named_parameters())
        loss = cr.tensor(0.0, dtype=dtype)
        for _ in range(TASKS):
            known, other = sines(dtype)
            loss = loss + loss_of(adapted(weights, model, *known), model, *other)
        loss = loss / TASKS
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    return model, lambda i: run_step()


def judge(model, engine=None, tasks=200, dtype="float32") -> tuple[float, float]:
    """Mean losses on fresh tasks before and after one step."""

    def both():
        weights = dict(model.named_parameters())
        known, other = sines(dtype)
        after = adapted(weights, model, *known)
        return loss_of(weights, model, *other), loss_of(after, model, *other)

    if engine is not None:
        both = cr.compile(both, engine=engine)
    with cr.no_grad():
        pairs = [[loss.item() for loss in both()] for _ in range(tasks)]
    before, after = (sum(column) / tasks for column in zip(*pairs))
    return before, after


def run(engine=None, steps=10000, dtype="float32", seed=0, tasks=200) -> dict:
    """Train; the losses, and the mean loss on fresh tasks before and after a step."""
    model, update = setup(engine, dtype, seed)
    losses = [update(i).item() for i in range(steps)]
    before, after = judge(model, engine, tasks, dtype)
    return {"losses": losses, "before": before, "after": after}


def main() -> None:
    """Train on the fastest engine, then adapt to tasks never seen."""
    made = run("auto")
    print(f"fresh sines: squared error {made['before']:.2f} before", end=", ")
    print(f"{made['after']:.2f} after one gradient step on {SHOTS} points")


if __name__ == "__main__":
    main()
