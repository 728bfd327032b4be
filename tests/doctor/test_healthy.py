"""Runs that learn all that there is are free of sick findings.

A run counts as healthy where its score is within two points of the best in its family,
as trained here: the truth is found by training, not by the configuration.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import data, nn, optim
from chainrule.data import Dataset
from chainrule.doctor import examples

ROWS = {
    "moons": lambda: data.moons(400, seed=0),
    "blobs": lambda: data.blobs(400, 4, seed=1),
    "circles": lambda: data.circles(400, seed=0),
    "waves": lambda: examples.waves(400),
}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
OPTIMIZERS: dict[str, Any] = {
    "adam": lambda: optim.Adam(lr=0.01),
    "sgd": lambda: optim.SGD(lr=0.02, momentum=0.9),
    "adamw": lambda: optim.AdamW(lr=optim.OneCycleLR(0.02)),
}
WIDTHS = ((16, 2), (32, 1), (32, 3))
GRID = [
    *itertools.product(ROWS, ACTIVATIONS, OPTIMIZERS, WIDTHS[:1]),
    *itertools.product(("moons", "blobs"), ("relu",), ("adam",), WIDTHS[1:]),
]
#: Those of the fast tests.
FAST = GRID[:: len(GRID) // 3]


@pytest.mark.parametrize(
    "setup",
    [
        pytest.param(
            setup,
            marks=() if setup in FAST else (pytest.mark.slow,),
            id="-".join(map(str, setup)),
        )
        for setup in GRID
    ],
)
def test_nothing_sick_in_a_healthy_run(setup: Any) -> None:
    rows, activation, optimizer, (width, depth) = setup
    made = ROWS[rows]()
    outputs = made.classes or 1
    act = ACTIVATIONS[activation]
    model = examples.mlp(2, outputs, width, depth, act)
    trainer, rows, given = examples.example(
        model,
        made,
        loss=nn.CrossEntropyLoss() if made.classes else nn.MSELoss(),
        optimizer=OPTIMIZERS[optimizer](),
        epochs=80,
    )
    found = cr.diagnose(trainer, rows, **given)
    assert found.healthy, str(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["iris", "wine", "breast_cancer", "digits", "diabetes"]
)
def test_tables(name: str) -> None:
    sets = pytest.importorskip("sklearn.datasets")
    read = getattr(sets, f"load_{name}")()
    x = (read.data - read.data.mean(0)) / np.maximum(read.data.std(0), 1e-9)
    x, y = x.astype(np.float32), read.target
    if name == "diabetes":
        y = ((y - y.mean()) / y.std()).astype(np.float32)[:, None]
        made, loss = Dataset(x, y), nn.MSELoss()
    else:
        made = Dataset(x, y.astype(np.int32), classes=int(y.max()) + 1)
        loss = nn.CrossEntropyLoss()
    model = examples.mlp(x.shape[1], made.classes or 1, 32, 1)
    trainer, rows, given = examples.example(
        model, made, loss=loss, optimizer=optim.AdamW(lr=0.005), epochs=25
    )
    found = cr.diagnose(trainer, rows, **given)
    assert found.healthy, str(found)


@pytest.mark.one_in(8)
@pytest.mark.parametrize("seed", [1, 2, 8, 9])
@pytest.mark.parametrize("rows", [12, 20])
@pytest.mark.parametrize("noise", [0.0, 0.7])
@pytest.mark.parametrize("task", ["quantities", "binary"])
def test_a_few_held_out_rows_prove_nothing(
    seed: int, rows: int, noise: float, task: str
) -> None:
    """Two or four held-out rows are missed by chance, by runs that fit their data."""
    r = np.random.default_rng(seed)
    x = r.normal(size=(rows, 3)).astype(np.float32)
    z = x[:, :1] - x[:, 1:2] + noise * r.normal(size=(rows, 1))
    y = (z - z.mean()) / z.std() if task == "quantities" else z > 0
    cr.manual_seed(seed)
    trainer, given, plan = examples.example(
        nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1)),
        Dataset(x, y.astype(np.float32)),
        loss=nn.MSELoss() if task == "quantities" else nn.BCEWithLogitsLoss(),
        epochs=50,
        batch_size=8,
    )
    found = cr.diagnose(trainer, given, **plan)
    assert found.healthy, str(found)
