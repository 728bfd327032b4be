"""A standard network: a reference for a run, and rows that are asked about each other.

Two hidden layers of ReLU on standardised features, trained by AdamW with one cycle of
rates: the usual first try. Where the user's network reads rows by a convolution, two
convolutions instead of the first layer. It depends on the data alone otherwise, not on
the user's network, loss or plan.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import evidence, reference
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
#: Draws of some rows, which tell how much chance there is in which ones are known.
DRAWS = 6
#: So many standard deviations of such draws away, it is no chance which ones. Ours.
DEVIATIONS = 4.0
#: Channels of the two convolutions, their width, and the least side of what they read.
CHANNELS, WINDOW, SIDE = (12, 24), 3, 4


def epochs(rows: int) -> int:
    """Return for how many epochs a standard network is trained on so many rows."""
    return min(EPOCHS, max(1, STEPS // -(-rows // BATCH)))


def steps(rows: int) -> int:
    """Return the number of training steps on so many rows."""
    return epochs(rows) * -(-rows // BATCH)


def seconds(
    engine: Any,
    rows: int,
    inputs: int,
    outputs: int,
    form: tuple[int, ...] | None = None,
) -> float:
    """Return the assumed seconds of training one on so many rows and columns.

    Args:
        engine: of the Trainer.
        rows, inputs, outputs: the sizes.
        form: as of :func:`answers`.
    """
    flops = 2.0 * BATCH * WIDTH * (inputs + WIDTH + outputs)
    if form is not None:
        (first, second), window = CHANNELS, WINDOW ** len(form[1:])
        places, fewer = math.prod(form[1:]), math.prod(n // 2 for n in form[1:])
        each = window * first * (form[0] * places + second * fewer)
        each += WIDTH * (_flat(form) + outputs)
        flops = 2.0 * BATCH * each
    each = evidence.step_seconds(engine, flops * evidence.BACKWARD)
    return steps(rows) * each + epochs(rows) * evidence.EPOCH


def _flat(form: tuple[int, ...]) -> int:
    """Return how many numbers the two convolutions leave."""
    return CHANNELS[1] * math.prod(n // 4 for n in form[1:])


def _model(inputs: int, outputs: int, form: tuple[int, ...] | None) -> nn.Module:
    """Return a standard network, drawn by the present stream."""
    if form is None:
        first: tuple[nn.Module, ...] = nn.Linear(inputs, WIDTH), nn.ReLU()
        last: tuple[nn.Module, ...] = nn.Linear(WIDTH, WIDTH), nn.ReLU()
    else:
        plane = len(form) == 3
        conv, pool = (nn.Conv2d, nn.MaxPool2d) if plane else (nn.Conv1d, nn.MaxPool1d)
        a, b = CHANNELS
        first = (
            *(nn.Unflatten(1, form), conv(form[0], a, WINDOW, padding=WINDOW // 2)),
            *(nn.ReLU(), pool(2), conv(a, b, WINDOW, padding=WINDOW // 2)),
            *(nn.ReLU(), pool(2), nn.Flatten()),
        )
        last = nn.Linear(_flat(form), WIDTH), nn.ReLU()
    return nn.Sequential(*first, *last, nn.Linear(WIDTH, outputs))


def _scaled(x: Array, rows: Array, form: tuple[int, ...] | None) -> Array:
    """Return rows standardised by x: column by column, or what is read as one."""
    if form is None:
        return levels(x, rows) * (4 / LEVELS)
    return np.clip((rows - x.mean()) / (x.std() or 1.0), -8, 8)


def answers(
    task: str,
    x: Array,
    y: Array,
    asked: Array,
    engine: Any,
    resources: Mapping[str, Any],
    form: tuple[int, ...] | None = None,
) -> Array | None:
    """Return a standard network's answers to asked rows; None: it gives no numbers.

    Args:
        task: ``classes``, ``binary`` or ``quantities``.
        x, y: rows to train on: features, and targets as columns, of classes one each.
        asked: features of the rows that are asked.
        engine, resources: of the Trainer.
        form: the shape of a row, channels first, that convolutions read; None: none do.
    """
    middle, scale = 0.0, 1.0
    if task == "classes":
        loss, targets = nn.CrossEntropyLoss(), y.argmax(1).astype(np.int32)
    elif task == "binary":
        loss, targets = nn.BCEWithLogitsLoss(), y.astype(np.float32)
    else:
        middle, scale = y.mean(0), np.where(y.std(0) > 0, y.std(0), 1.0)
        loss, targets = nn.MSELoss(), ((y - middle) / scale).astype(np.float32)
    a, b = (_scaled(x, part, form).astype(np.float32) for part in (x, asked))
    with stream(Generator(0)):
        model = _model(x.shape[1], y.shape[1], form)
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
    form: tuple[int, ...] | None = None,
) -> Array | None:
    """Return answers to rows, each by a network that was trained on other ones of them.

    Args:
        task, x, y, engine, resources, form: as of :func:`answers`.
    """
    order = permutation(len(x), 0, 0)
    found = np.zeros(y.shape)
    for k in range(FOLDS):
        asked = np.sort(order[k::FOLDS])
        known = np.setdiff1d(order, asked)
        said = answers(task, x[known], y[known], x[asked], engine, resources, form)
        if said is None:
            return None
        found[asked] = said
    return found


def draws(
    task: str,
    x: Array,
    y: Array,
    count: int,
    engine: Any,
    resources: Mapping[str, Any],
    form: tuple[int, ...] | None = None,
) -> list[float] | None:
    """Return the scores of networks that each know so many rows, drawn at random.

    Each is asked for the rest.

    Args:
        task, x, y, engine, resources, form: as of :func:`answers`.
        count: of rows that are known.
    """
    found = list[float]()
    for k in range(DRAWS):
        order = permutation(len(x), 0, k)
        known, asked = np.sort(order[:count]), np.sort(order[count:])
        said = answers(task, x[known], y[known], x[asked], engine, resources, form)
        score = None if said is None else reference.agreement(task, said, y[asked])
        if score is None:
            return None
        found.append(score)
    return found
