"""Remembering two numbers across a long sequence: an LSTM on the adding problem.

Each sequence has T random numbers, two of them marked; the answer is the sum of the
marked ones, known after the last step. The memory cell c keeps what it needs:

    i, f, o = σ(…),  g = tanh(…)      gates, each W x + U h + b
    c ← f ⊙ c + i ⊙ g,   h ← o ⊙ tanh c

The loop is ``cr.scan``, one node whatever T is; or Python's ``for``, which becomes T
copies of its body. Both compute the same numbers.

Source: Hochreiter & Schmidhuber 1997, "Long short-term memory", experiment 4; the
forget gate is of Gers, Schmidhuber, Cummins 2000.

    python examples/lstm.py
"""

from __future__ import annotations

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import nn, optim

LENGTH, HIDDEN, BATCH = 20, 32, 32


class LSTM(nn.Module):
    """The last hidden state of sequences (T, N, inputs), by scan or unrolled."""

    def __init__(self, inputs: int, hidden: int, unrolled: bool = False) -> None:
        self.gates = nn.Linear(inputs + hidden, 4 * hidden)
        self.hidden, self.unrolled = hidden, unrolled
        with cr.no_grad():  # remember at first
            self.gates.bias[hidden : 2 * hidden] = 1.0

    def cell(self, state, x):
        h, c = state
        z = self.gates(cr.cat([x, h], dim=1))
        i, f, o, g = z.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return (h, c), None

    def forward(self, xs):
        zero = cr.zeros(xs.shape[1], self.hidden, dtype=xs.dtype)
        state = (zero, zero)
        if self.unrolled:
            for x in xs:
                state, _ = self.cell(state, x)
        else:
            state, _ = cr.scan(self.cell, state, xs)
        return state[0]


def problem(count: int, dtype: str):
    """Sequences (T, N, 2) of numbers and marks, one mark in each half; sums (N, 1)."""
    numbers = cr.uniform(LENGTH, count, dtype=dtype)
    half = LENGTH // 2
    marks = cr.cat(
        [F.one_hot(cr.randint(0, half, (count,)), half).T for _ in range(2)], dim=0
    ).astype(dtype)
    return cr.stack([numbers, marks], axis=2), (numbers * marks).sum(0)[:, None]


def setup(engine=None, dtype="float32", seed=0, unrolled=False):
    """The model, and a function that makes step i and returns its loss."""
    cr.manual_seed(seed)
    model = nn.Sequential(LSTM(2, HIDDEN, unrolled), nn.Linear(HIDDEN, 1)).to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=5e-3, clip_norm=1.0)

    def step():
        optimizer.zero_grad()
        xs, sums = problem(BATCH, dtype)
        loss = F.mse_loss(model(xs), sums)
        loss.backward()
        optimizer.step()
        return loss

    run_step = step if engine is None else cr.compile(step, engine=engine)
    return model, lambda i: run_step()


def run(engine=None, steps=3000, dtype="float32", seed=0, unrolled=False) -> dict:
    """Train; the losses, and the error on fresh sequences."""
    model, update = setup(engine, dtype, seed, unrolled)
    losses = [update(i).item() for i in range(steps)]
    with cr.no_grad():
        xs, sums = problem(500, dtype)
        error = F.mse_loss(model(xs), sums).item()
    return {"losses": losses, "error": error}


def main() -> None:
    """Train on the fastest engine."""
    made = run("auto")
    print(f"squared error of the sum, {LENGTH} steps: {made['error']:.4f}", end=", ")
    print("that of always answering 1 is 1/6 = 0.1667")


if __name__ == "__main__":
    main()
