"""The textbook's 2-2-1 sigmoid network: a training step in all its numbers.

    x = (1, ½), y = 1, η = 0.5     numbers of our own; the book gives none
    ℒ = ½(ŷ − y)²                  the loss of 3.7

`cr.explain` prints one pass forward and back: z⁽ˡ⁾, a⁽ˡ⁾, ŷ, ℒ, δ⁽ˡ⁾, ∂ℒ/∂W⁽ˡ⁾ and
∂ℒ/∂b⁽ˡ⁾, each with its formula. Then one step of gradient descent (3.4.3) is done three
times: by hand, from the numbers just printed; by the optimiser, after a `backward()`;
and by a Trainer, whose whole step is one compiled graph. What to look at: the three
give the same weights, and the loss falls by nearly as much as the gradient promised.

    chainrule train two-two-one
    python -m chainrule.recipes.two_two_one
"""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import Experiment
from chainrule.text import _, padded, say, tr
from chainrule.training import Devices, EngineName

SUMMARY = _("3.2.2 with every number: one pass forward and back, one step of descent")
LR = 0.5
X, Y = np.array([[1.0, 0.5]]), np.array([[1.0]])  # one sample; in memory it is a row
START = {
    "0.weight": np.array([[0.1, 0.4], [-0.2, 0.3]]),
    "0.bias": np.array([0.1, -0.1]),
    "2.weight": np.array([[0.5, -0.6]]),
    "2.bias": np.array([0.2]),
}
#: Weights are equal up to rounding where they differ by no more than this.
EQUAL = 1e-15


def network() -> nn.Module:
    """Return the 2-2-1 sigmoid network with its textbook weights."""
    model = nn.Sequential(
        nn.Linear(2, 2, dtype="float64"),
        nn.Sigmoid(),
        nn.Linear(2, 1, dtype="float64"),
        nn.Sigmoid(),
    )
    model.load_state_dict(START)
    return model


# -- one step, in three ways -----------------------------------------------------------


def by_hand(explanation: Any, lr: float) -> dict[str, np.ndarray]:
    """Print and return a gradient-descent step W ← W − η ∂ℒ/∂W computed by hand."""
    new = {}
    for layer in reversed(explanation.layers):
        weight = layer.weight_name, layer.W, layer.dW
        for name, θ, gradient in (weight, (layer.bias_name, layer.b, layer.db)):
            new[name] = (θ - lr * gradient).reshape(START[name].shape)
            symbol = layer.symbol(name)
            print(f"  {symbol} ← {symbol} − η ∂ℒ/∂{symbol}")
            put(
                f"  {' ' * len(symbol)} = ",
                θ,
                f" − {lr:g} · ",
                gradient,
                " = ",
                θ - lr * gradient,
            )
    return new


def by_optimizer(lr: float) -> dict[str, np.ndarray]:
    """Return the network's weights after one optimiser step with eager tensors."""
    model, loss = network(), nn.HalfSquaredErrorLoss()
    optimizer = optim.SGD(model.parameters(), lr=lr)
    x, y = cr.tensor(X, dtype="float64"), cr.tensor(Y, dtype="float64")
    loss(model(x), y).backward()
    optimizer.step()
    return model.state_dict()


def by_trainer(
    lr: float, engine: EngineName, threads: int | None, devices: Devices | None = None
) -> dict[str, np.ndarray]:
    """Return the network's weights after one Trainer step: one epoch, one sample."""
    model = network()
    trainer = cr.Trainer(
        model,
        loss=nn.HalfSquaredErrorLoss(),
        optimizer=optim.SGD(lr=lr),
        engine=engine,
        threads=threads,
        devices=devices,
    )
    trainer.fit(cr.data.Dataset(X, Y), epochs=1, batch_size=1, progress=False)
    return model.state_dict()


def put(*pieces: str | np.ndarray) -> None:
    """Print text and matrices side by side."""
    blocks = [[p] if isinstance(p, str) else matrix(p) for p in pieces]
    for i in range(max(map(len, blocks))):
        print("".join(b[i] if i < len(b) else " " * len(b[0]) for b in blocks).rstrip())


def put_title(text: str) -> None:
    """Print a title followed by a horizontal rule."""
    print("\n" + padded(f"── {text} ", 80, "─"))


def matrix(values: np.ndarray) -> list[str]:
    """Return the text lines of a matrix in brackets, or of a single number."""
    if values.size == 1:
        return [f"{values.item():.6f}"]
    rows = ["  ".join(f"{v:9.6f}" for v in row) for row in np.atleast_2d(values)]
    if len(rows) == 1:
        return [f"[{rows[0]}]"]
    brackets = ["⎡⎤", *["⎢⎥"] * (len(rows) - 2), "⎣⎦"]
    return [f"{left}{row}{right}" for (left, right), row in zip(brackets, rows)]


# -- the whole -------------------------------------------------------------------------


def run(experiment: Experiment, *, lr: float = LR) -> dict[str, Any]:
    """Print a training step's numbers, and compare it by hand, optimiser, Trainer.

    Args:
        experiment: nothing here is random.
        lr: η.
    """
    loss = nn.HalfSquaredErrorLoss()
    experiment.network(_("the network, with the numbers of its sample"), network(), X)
    before: Any = cr.explain(network(), X, Y, loss)
    print(before)

    put_title(tr("the update (3.4.3), η = {lr:g}", lr=lr))
    steps = {
        "by hand": by_hand(before, lr),
        "by the optimiser": by_optimizer(lr),
        "by the Trainer": by_trainer(lr, **experiment.engine_options),
    }
    hand = steps["by hand"]
    apart = {
        way: max(float(abs(state[name] - hand[name]).max()) for name in START)
        for way, state in steps.items()
    }
    put_title(tr("the same step by others"))
    for way, name in (
        ("by the optimiser", tr("by the optimiser")),
        ("by the Trainer", tr("by the Trainer")),
    ):
        off = tr(
            "the weights differ from those by hand by {apart:.1e}", apart=apart[way]
        )
        if apart[way] == 0:
            off = tr("the weights are those by hand to the last bit")
        print(f"  {padded(name, 17)} {off}")

    model = network()
    model.load_state_dict(hand)
    after = cr.explain(model, X, Y, loss)
    squares = sum(
        float((g**2).sum()) for layer in before.layers for g in (layer.dW, layer.db)
    )
    put_title(tr("after it"))
    print(f"  ŷ   {before.predictions.item():.6f} → {after.predictions.item():.6f}")
    print(f"  ℒ   {before.loss:.6f} → {after.loss:.6f}")
    say(
        "  It fell by {loss:.6f}. A straight slope would give η ‖∇ℒ‖² = "
        "{squares:.6f} (2.6.2).",
        loss=before.loss - after.loss,
        squares=lr * squares,
    )
    return {
        "learning_rate": lr,
        "prediction": before.predictions.item(),
        "loss": before.loss,
        "layers": [
            {
                "z": layer.z.ravel().tolist(),
                "a": layer.a.ravel().tolist(),
                "delta": layer.delta.ravel().tolist(),
                "dW": layer.dW.tolist(),
                "db": layer.db.ravel().tolist(),
            }
            for layer in before.layers
        ],
        "updated": {name: hand[name].tolist() for name in START},
        "prediction_after": after.predictions.item(),
        "loss_after": after.loss,
        "promised": lr * squares,
        "difference": max(apart.values()),
        "equal": max(apart.values()) <= EQUAL,
    }


if __name__ == "__main__":
    run(Experiment("two-two-one"))
