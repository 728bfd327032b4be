"""Whole training steps against PyTorch: same weights, same batches, same losses.

Skipped, and said so, where PyTorch is not installed (``pip install -e '.[parity]'``).
"""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from tests.ways import WAYS

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install -e '.[parity]'"
)
pytestmark = pytest.mark.parity

STEPS, BATCH = 100, 32
#: Relative difference of the losses over 100 steps.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
OPTIMIZERS = {
    "sgd": (
        lambda p: optim.SGD(p, lr=0.05),
        lambda p: torch.optim.SGD(p, lr=0.05),
    ),
    "adam": (
        lambda p: optim.Adam(p, lr=1e-3),
        lambda p: torch.optim.Adam(p, lr=1e-3),
    ),
}


@pytest.fixture(scope="module")
def batches():
    train, _ = cr.data.mnist()
    rows = np.random.default_rng(0).permutation(len(train))[: STEPS * BATCH]
    rows = rows.reshape(STEPS, BATCH)
    return [(np.asarray(train.x[r]), train.y[r]) for r in rows]


def textbook_network(dtype: str) -> nn.Sequential:
    cr.manual_seed(0)
    return nn.Sequential(
        nn.Linear(784, 128, dtype=dtype),
        nn.ReLU(),
        nn.Linear(128, 64, dtype=dtype),
        nn.ReLU(),
        nn.Linear(64, 10, dtype=dtype),
    )


def their_losses(state, dtype, make_optimizer, batches):
    kind = getattr(torch, dtype)
    layers = torch.nn
    model = layers.Sequential(
        layers.Linear(784, 128, dtype=kind),
        layers.ReLU(),
        layers.Linear(128, 64, dtype=kind),
        layers.ReLU(),
        layers.Linear(64, 10, dtype=kind),
    )
    model.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    optimizer = make_optimizer(model.parameters())
    losses = []
    for x, y in batches:
        optimizer.zero_grad()
        scores = model(torch.tensor(x.astype(dtype)))
        loss = layers.functional.cross_entropy(scores, torch.tensor(y).long())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), {k: v.numpy() for k, v in model.state_dict().items()}


def our_losses(name, dtype, engine, batches):
    model = textbook_network(dtype)
    optimizer = OPTIMIZERS[name][0](model.parameters())
    loss_function = nn.CrossEntropyLoss()

    def step(x, y):
        model.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = step if engine == "eager" else cr.compile(step, engine=engine)
    got = [float(run(cr.tensor(x.astype(dtype)), cr.tensor(y))) for x, y in batches]
    return np.array(got), model.state_dict()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_losses_of_100_steps(name, dtype, batches):
    start, theirs = textbook_network(dtype).state_dict(), OPTIMIZERS[name][1]
    wanted, weights = their_losses(start, dtype, theirs, batches)
    for engine in WAYS:
        got, state = our_losses(name, dtype, engine, batches)
        difference = np.abs(got - wanted) / wanted
        at = f"{engine}, step {difference.argmax()}"
        assert difference.max() <= TOLERANCE[dtype], at
        for key, mine in state.items():
            np.testing.assert_allclose(
                mine, weights[key], rtol=0, atol=TOLERANCE[dtype] * 100, err_msg=at
            )
