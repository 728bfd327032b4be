"""A network that solves the heat equation: its derivatives are part of its loss.

A rod of length 1 starts at u(x, 0) = sin πx, its ends are kept at 0, and heat spreads:

    ∂u/∂t = α ∂²u/∂x²,   with the solution  u(x, t) = e^(−απ²t) sin πx.

The network û(x, t) never sees the solution. Its loss asks for the equation at points
inside, and for what is known on the border:

    ℒ = mean (∂û/∂t − α ∂²û/∂x²)² + mean (û(x, 0) − sin πx)² + mean û(0, t)² + û(1, t)²

∂û/∂x comes from ``cr.grad``, ∂²û/∂x² from ``cr.grad`` of that, and the step's own
gradient runs through all of them.

Source: Raissi, Perdikaris, Karniadakis 2019, "Physics-informed neural networks".

    python examples/physics_informed.py
"""

from __future__ import annotations

import math

import numpy as np

import chainrule as cr
from chainrule import nn, optim

ALPHA = 0.2
INSIDE, BORDER = 64, 32


def setup(engine=None, dtype="float32", seed=0):
    """The network, and a function that makes step i and returns its loss."""
    cr.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    ).to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def u(x, t):
        return model(cr.stack([x, t], axis=1))[:, 0]

    # Each u depends on its own x and t alone: the sum's gradient is each one's slope.
    def u_x(x, t):
        return cr.grad(lambda x: u(x, t).sum())(x)

    def u_xx(x, t):
        return cr.grad(lambda x: u_x(x, t).sum())(x)

    def u_t(x, t):
        return cr.grad(lambda t: u(x, t).sum())(t)

    def step():
        x, t = cr.uniform(2, INSIDE, dtype=dtype)
        start, time = cr.uniform(2, BORDER, dtype=dtype)
        left, right = cr.zeros_like(time), cr.ones_like(time)
        optimizer.zero_grad()
        equation = (u_t(x, t) - ALPHA * u_xx(x, t)).square().mean()
        at_start = (u(start, left) - (math.pi * start).sin()).square().mean()
        at_ends = (u(left, time).square() + u(right, time).square()).mean()
        loss = equation + at_start + at_ends
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    return model, lambda i: run_step()


def error(model) -> float:
    """The largest distance from the solution, on a grid."""
    x, t = (a.ravel() for a in np.meshgrid(*[np.linspace(0, 1, 41)] * 2))
    truth = np.exp(-ALPHA * math.pi**2 * t) * np.sin(math.pi * x)
    points = cr.tensor(np.stack([x, t], axis=1), dtype=model[0].weight.dtype)
    with cr.no_grad():
        return float(np.abs(model(points).numpy()[:, 0] - truth).max())


def run(engine=None, steps=3000, dtype="float32", seed=0) -> dict:
    """Train; the losses, and the largest error on a grid."""
    model, update = setup(engine, dtype, seed)
    losses = [update(i).item() for i in range(steps)]
    return {"losses": losses, "error": error(model)}


def main() -> None:
    """Solve the equation on the fastest engine."""
    made = run("auto")
    print(f"loss {made['losses'][0]:.3f} → {made['losses'][-1]:.5f}")
    print(f"largest error of u on a grid: {made['error']:.4f} (u goes from 0 to 1)")


if __name__ == "__main__":
    main()
