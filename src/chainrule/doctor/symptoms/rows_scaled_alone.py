"""Rows that were scaled one by one: how large a row is, is gone."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import SICK
from chainrule.doctor.registry import Found, symptom
from chainrule.graph.node import Array
from chainrule.text import _

#: Rows that are looked at, and below which nothing is said.
ROWS, FEW = 2000, 30
#: Numbers that differ by a smaller share are the same but for rounding.
SAME = 1e-3
#: Run and references are so many times as far from right as is sick. Ours.
FAR = 1.5


@symptom(
    "rows-scaled-alone",
    "preprocessing",
    stage=7,
    looks=_("neither the network nor anything else finds much"),
    why=_(
        "each row was divided by its own length, or brought to its own range: how "
        "large its numbers were is lost, and columns no longer mean the same"
    ),
    fix=_("scale columns, by the training rows: nn.Standardize.of(train.x)"),
    reference=_("LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, 4.3"),
    explains=("does-not-learn", "labels-without-signal", "overfitting"),
)
def rows_scaled_alone(case: Case) -> Found | None:
    """All rows have one length, or reach from 0 to 1; and nothing is found.

    Silent where the run or a reference does well: of texts and pictures it is usual.
    """
    if case.refused is not None or case.columns is None or not case.runs or case.sick:
        return None
    if case.takes_indices or not case.can_be_sick or len(case.train) < FEW:
        return None
    how = _scaled(case.columns.rows[:ROWS])
    if how is None or case.task == "unknown":
        return None
    among = None if case.given_validation is None else case.among
    twice = case.of_twice_the_rows  # what more rows teach is not lost
    reached = [s for s in (case.score, case.signal, among, twice) if s is not None]
    if max(reached, default=0.0) > 1 - FAR * SICK[case.metric]:
        return None
    evidence = {
        how: float(len(case.columns.rows)),
        f"{case.metric}_of_run": case.score,
        f"{case.metric}_of_best_reference": case.signal,
    }
    return Found("sick", "x", evidence, confidence=0.6)


def _scaled(rows: Array) -> str | None:
    """Return by what all rows are the same, as evidence is named."""
    if not np.isfinite(rows).all() or (rows == rows[:1]).all():
        return None
    lengths = np.sqrt((rows * rows).sum(1))
    # A row of zeros has no length that it could be divided by.
    some = lengths[lengths > 0]
    if len(some) > FEW and np.abs(some - 1).max() < SAME:
        return None if rows.shape[1] > 1 and _one_hot(rows) else "rows_of_length_1"
    low, high = rows.min(1), rows.max(1)
    wide = high > low
    if rows.shape[1] > 2 and wide.sum() > FEW and not low.any():
        inner = (rows > SAME) & (rows < 1 - SAME)
        if np.abs(high[wide] - 1).max() < SAME and inner[wide].any(1).mean() > 0.5:
            return "rows_from_0_to_1"
    return None


def _one_hot(rows: Array) -> bool:
    """Return whether rows are 0 but for a single number: codes of a class."""
    return bool(((rows != 0).sum(1) <= 1).all())


def _unit(far: float) -> Dataset:
    """Return rows of length 1, of which the lengths have told the class."""
    x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    y = ((x * x).sum(1) > 2.4).astype(np.int32)
    x[y == 1] *= np.float32(far)
    return Dataset(x / np.sqrt((x * x).sum(1, keepdims=True)), y, classes=2)


@rows_scaled_alone.sick
def sick_example() -> examples.Made:
    return examples.example(examples.mlp(3), _unit(1.0))


@rows_scaled_alone.healthy
def healthy_example() -> examples.Made:
    x, y = _unit(1.0).x[:], (_unit(1.0).x[:][:, 0] > 0).astype(np.int32)
    return examples.example(examples.mlp(3), Dataset(x, y, classes=2))
