"""A column of the inputs that is the target: an answer that need only be copied."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.asked import is_one_hot
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.graph.node import Array
from chainrule.text import _

#: Rows that are looked at, and so many numbers at most.
ROWS, NUMBERS = 4000, 2_000_000
#: Rows below which it may be chance, of those that have not the usual target. Ours.
FEW = 20
#: 1 − r² of columns that are the same but for rounding.
SAME = 1e-8
#: So many columns are named.
NAMED = 3


@symptom(
    "target-among-inputs",
    "data",
    stage=0,
    looks=_("a score that is too good, from the first epochs on"),
    why=_(
        "a column of the inputs is the target itself in every row, or the target in "
        "another unit: the network only has to copy it. Either it was left in by "
        "mistake, or the targets are of another place, such as a word that is read "
        "already instead of the next one"
    ),
    fix=_(
        "will the column be there when the network is used? If not, leave it out; in "
        "sequences, look whether the target is the step after the last one"
    ),
    reference=_("Kaufman et al. 2012, Leakage in Data Mining"),
)
def target_among_inputs(case: Case) -> Found | None:
    """One of several columns is a line of the target, in training and held-out rows.

    Silent where all columns that vary are such ones: to find the line is the task then.
    And of several targets, such as those of an autoencoder or of a sequence.
    """
    if case.refused is not None or not case.single:
        return None
    parts = [
        _looked_at(part.x, np.asarray(part.y))
        for part in (case.part or case.train, case.setup.held_out)
    ]
    (x, y), (held, truth) = parts
    if y.shape[1:] != truth.shape[1:] or y.ndim > 1 or x.shape[1:] != held.shape[1:]:
        return None
    if not _varies(y) or not (truth != truth[:1]).any():
        return None
    x, y = np.concatenate([x, held]), np.concatenate([y, truth])
    with np.errstate(all="ignore"):
        off, apart = x - x.mean(0), y - y.mean()
        spread, size = (off * off).sum(0), float(apart @ apart)
        varying = (x != x[:1]).any(0) & np.isfinite(spread) & (spread > 0)
        lost = 1 - (apart @ off) ** 2 / (spread * size)
    found = np.flatnonzero(varying & (lost < SAME))
    if not len(found) or len(found) == varying.sum() or not np.isfinite(size):
        return None
    name = str if case.columns is None else case.columns.name
    which = ", ".join(name(int(k)) for k in found[:NAMED])
    where = _("{name}, columns {which}", name="x", which=which)
    evidence = {"columns_that_are_the_target": len(found), "rows_looked_at": len(x)}
    return Found("risk", where, evidence, confidence=0.9)


def _looked_at(x: Any, y: Array) -> tuple[Array, Array]:
    """Return some rows of features as a matrix, and their targets as numbers.

    Of several targets the columns are kept, but for one-hot rows.
    """
    width = max(1, int(np.prod(x.shape[1:])))
    step = max(1, -(-len(y) // max(1, min(ROWS, NUMBERS // width))))
    features = np.asarray(x[::step], np.float64).reshape(-1, width)
    targets = y[::step].reshape(len(features), -1)
    if targets.shape[1] == 1:
        targets = targets[:, 0]
    elif is_one_hot(targets):
        targets = targets.argmax(1)
    return features, targets.astype(np.float64)


def _varies(y: Array) -> bool:
    """Return whether so many rows differ from the usual target that none is chance."""
    if not np.isfinite(y).all() or not len(y):
        return False
    return bool(len(y) - np.unique(y, return_counts=True)[1].max() >= FEW)


def _next(step: int) -> Dataset:
    """Return sequences of four numbers, and the one so many steps behind the last."""
    noise = np.random.default_rng(0).normal(0, 0.1, 404)
    series = (np.sin(0.4 * np.arange(404)) + noise).astype(np.float32)
    x = np.stack([series[k : k + 4] for k in range(300)])
    return Dataset(x, series[3 + step : 303 + step, None])


@target_among_inputs.sick
def sick_example() -> examples.Made:
    return examples.example(examples.mlp(4, 1), _next(0), loss=nn.MSELoss())


@target_among_inputs.healthy
def healthy_example() -> examples.Made:
    return examples.example(examples.mlp(4, 1), _next(1), loss=nn.MSELoss())
