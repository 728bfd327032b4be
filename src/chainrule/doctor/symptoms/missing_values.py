"""Numbers that stand for what is missing, such as −999, and are taken as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.setup import Setup
from chainrule.graph.node import Array
from chainrule.text import _
from chainrule.text.numbers import number

#: Rows that are looked at, and below which nothing is said.
ROWS, FEW = 4000, 30
#: The number repeats in at least so many rows and this share of them, and at most in
#: this share; it is so many deviations of the other numbers away from their mean. Ours.
LEAST, SHARE, MOST, FAR = 3, 0.002, 0.95, 6.0


@symptom(
    "missing-values",
    "preprocessing",
    stage=1,
    looks=_("the loss begins huge or jumps, and falls little"),
    why=_(
        "one number, far from all others, stands where a value is missing: the network "
        "takes it for a measurement"
    ),
    fix=_("put the median of the column there, and a column that says so"),
    reference=_("Little & Rubin 2019, Statistical Analysis with Missing Data"),
    explains=(
        *("unscaled-inputs", "learning-rate-too-large", "learning-rate-too-small"),
        *("exploding-gradient", "vanishing-gradient", "does-not-learn", "dead-units"),
        *("saturated-units", "weights-badly-scaled", "non-finite-loss"),
        *("too-few-epochs", "labels-without-signal", "overfitting", "batch-too-large"),
        *("activation-unfit", "inputs-differ", "over-regularised", "too-few-rows"),
    ),
)
def missing_values(case: Case) -> Found | None:
    """Sick where medians in their place cure; silent where the run does well anyway."""
    if case.refused is not None or case.features is None or not case.runs:
        return None
    if case.takes_indices or not case.can_be_sick or len(case.train) < FEW:
        return None
    value = _stands_out(case.features.rows[:ROWS])
    if value is None:
        return None
    severity, best = case.judge(_filled(value))
    if severity is None or best is None:
        return None
    assert case.columns is not None
    rows = case.columns.rows
    evidence: dict[str, Any] = {
        "number_that_repeats": value,
        "share_of_numbers_that_are_it": float((rows == value).mean()),
        "columns_with_it": int((rows == value).any(0).sum()),
    }
    return Found(severity, "x", evidence, comparison=best, confidence=0.9)


def _stands_out(rows: Array) -> float | None:
    """Return the number that repeats, far from the others of its columns."""
    found: dict[float, int] = {}
    for column in rows.T:
        for end in (column.min(), column.max()):
            same = column == end
            count = int(same.sum())
            if count < max(LEAST, SHARE * len(column)) or count > MOST * len(column):
                continue
            rest = column[~same]
            spread = float(rest.std())
            if spread and abs(end - rest.mean()) > FAR * spread:
                found[float(end)] = found.get(float(end), 0) + count
    return max(found, key=lambda v: found[v], default=None)


def _filled(value: float) -> Change:
    """Return the change that puts medians of the training rows in its place."""

    def apply(setup: Setup) -> None:
        x = np.asarray(setup.train.x[:], np.float64)
        known = np.where(x == value, np.nan, x)
        there = ~np.isnan(known).all(0)
        middle = np.zeros(x.shape[1:])
        middle[there] = np.nanmedian(known[:, there], 0)
        for name in ("train", "held_out"):
            part = getattr(setup, name)
            x = np.asarray(part.x[:], np.float64)
            filled = np.where(x == value, middle, x).astype(np.float32)
            setattr(setup, name, Dataset(filled, part.y, classes=part.classes))

    missing = f"x == {value!r}"
    middles = f"np.nanmedian(np.where({missing}, np.nan, x), 0)"
    after = f"x = np.where({missing}, {middles}, x)"
    what = _("medians in place of {value}", value=number(value))
    return Change(what, "x", after, apply, slots=("missing",))


def _gaps(value: float) -> Dataset:
    """Return moons of which a fifth of the numbers is missing."""
    made = examples.moons(600)
    x = np.array(made.x[:])
    x[np.random.default_rng(0).uniform(size=x.shape) < 0.2] = value
    return Dataset(x, made.y, classes=2)


@missing_values.sick
def sick_example() -> examples.Made:
    return examples.example(rows=_gaps(-999.0), epochs=20)


@missing_values.healthy
def healthy_example() -> examples.Made:
    return examples.example(rows=_gaps(0.0))
