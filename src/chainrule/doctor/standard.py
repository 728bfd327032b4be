"""A standard network: a reference for a run, and rows that are asked about each other.

Two hidden layers of ReLU on standardised features, trained by AdamW with one cycle of
rates: the usual first try. It depends on the data alone, not on the user's network,
loss or plan.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import evidence
from chainrule.doctor.columns import LEVELS, levels
from chainrule.errors import ChainruleError, ChainruleWarning
from chainrule.graph.node import Array
from chainrule.random import Generator, permutation
from chainrule.random.generator import stream
from chainrule.training import Trainer

#: Units of each of the two hidden layers, peak of the rate, decay, rows of a batch.
WIDTH, RATE, DECAY, BATCH = 64, 0.01, 0.01, 32
#: Training steps, in at most so many epochs.
STEPS, EPOCHS = 1000, 120
#: Parts of the rows that are asked about each other: each by a network of the others.
FOLDS = 3


def epochs(rows: int) -> int:
    """Return for how many epochs a standard network is trained on so many rows."""
    return min(EPOCHS, max(1, STEPS // -(-rows // BATCH)))


def steps(rows: int) -> int:
    """Return the number of training steps on so many rows."""
    return epochs(rows) * -(-rows // BATCH)


def seconds(engine: Any, rows: int, inputs: int, outputs: int) -> float:
    """Return the assumed seconds of training one on so many rows and columns."""
    flops = 2.0 * BATCH * WIDTH * (inputs + WIDTH + outputs)
    each = evidence.step_seconds(engine, flops * evidence.BACKWARD)
    return steps(rows) * each + epochs(rows) * evidence.EPOCH


def answers(
    task: str,
    x: Array,
    y: Array,
    asked: Array,
    engine: Any,
    resources: Mapping[str, Any],
) -> Array | None:
    """Return a standard network's answers to asked rows; None: it gives no numbers.

    Args:
        task: ``classes``, ``binary`` or ``quantities``.
        x, y: rows to train on: features, and targets as columns, of classes one each.
        asked: features of the rows that are asked.
        engine, resources: of the Trainer.
    """
    middle, scale = 0.0, 1.0
    if task == "classes":
        loss, targets = nn.CrossEntropyLoss(), y.argmax(1).astype(np.int32)
    elif task == "binary":
        loss, targets = nn.BCEWithLogitsLoss(), y.astype(np.float32)
    else:
        middle, scale = y.mean(0), np.where(y.std(0) > 0, y.std(0), 1.0)
        loss, targets = nn.MSELoss(), ((y - middle) / scale).astype(np.float32)
    a, b = ((levels(x, part) * (4 / LEVELS)).astype(np.float32) for part in (x, asked))
    with stream(Generator(0)):
        model = nn.Sequential(
            *(nn.Linear(x.shape[1], WIDTH), nn.ReLU()),
            *(nn.Linear(WIDTH, WIDTH), nn.ReLU()),
            nn.Linear(WIDTH, y.shape[1]),
        )
    optimizer = optim.AdamW(lr=optim.OneCycleLR(RATE), weight_decay=DECAY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChainruleWarning)
            trainer = Trainer(
                model, loss=loss, optimizer=optimizer, engine=engine, **resources
            )
            classes = y.shape[1] if task == "classes" else None
            trainer.fit(
                Dataset(a, targets, classes=classes),
                epochs=epochs(len(x)),
                batch_size=min(BATCH, len(x)),
                progress=False,
            )
            said = np.asarray(trainer.predict(b), np.float64)
    except ChainruleError:
        return None
    if not np.isfinite(said).all():
        return None
    if task == "binary":
        return 1 / (1 + np.exp(-np.clip(said, -50, 50)))
    # Beyond all targets that were seen nothing is known.
    return (
        np.clip(said * scale + middle, y.min(0), y.max(0))
        if task == "quantities"
        else said
    )


def among(
    task: str,
    x: Array,
    y: Array,
    engine: Any,
    resources: Mapping[str, Any],
    most: int | None = None,
) -> Array | None:
    """Return answers to rows, each by a network that was trained on other ones of them.

    Args:
        task, x, y, engine, resources: as of :func:`answers`.
        most: of so many of the others at most.
    """
    order = permutation(len(x), 0, 0)
    found = np.zeros(y.shape)
    for k in range(FOLDS):
        asked = np.sort(order[k::FOLDS])
        known = np.sort(order[~np.isin(order, asked)][:most])
        said = answers(task, x[known], y[known], x[asked], engine, resources)
        if said is None:
            return None
        found[asked] = said
    return found
