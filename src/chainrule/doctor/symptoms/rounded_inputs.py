"""Features of which rounding has left next to nothing."""

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
#: Two values hold this share of a column's rows, in this share of the columns; all
#: columns together have at most so many values. Ours.
TWO, COLUMNS, VALUES = 0.95, 0.9, 8
#: A number is a multiple of a step within this share of it.
EXACT = 1e-3
#: Run and references are so many times as far from right as is sick. Ours.
FAR = 1.5


@symptom(
    "rounded-inputs",
    "preprocessing",
    stage=7,
    looks=_(
        "neither the network nor anything else finds much, and each column has two "
        "or three values"
    ),
    why=_(
        "all features are multiples of one step that is larger than they differ by: "
        "they were rounded, or made whole numbers, after they were scaled"
    ),
    fix=_("look for a cast or a whole division behind the scaling, and leave it out"),
    reference=_("Goodfellow, Bengio & Courville 2016, 12.2.1: preprocessing"),
    explains=("does-not-learn", "labels-without-signal", "overfitting"),
)
def rounded_inputs(case: Case) -> Found | None:
    """Two values a column, on one grid for all, some below 0; and nothing is found.

    Codes of yes and no, such as 0 and 1, −1 and 1, 0 and 255, are passed over.
    """
    if case.refused is not None or case.columns is None or not case.runs or case.sick:
        return None
    if case.takes_indices or not case.can_be_sick or len(case.train) < FEW:
        return None
    grid = _grid(case.columns.rows[:ROWS])
    if grid is None:
        return None
    values, step = grid
    evidence: dict[str, float | None] = {
        "distinct_values": len(values),
        "step_of_values": step,
        "largest_deviation": float(case.columns.deviations.max()),
    }
    reached = [s for s in (case.score, case.signal) if s is not None]
    if max(reached, default=0.0) > 1 - FAR * SICK[case.metric]:
        return Found("risk", "x", evidence, confidence=0.5)
    evidence |= {
        f"{case.metric}_of_run": case.score,
        f"{case.metric}_of_best_reference": case.signal,
    }
    known = case.task != "unknown"
    return Found("sick" if known else "risk", "x", evidence, confidence=0.7)


def _grid(rows: Array) -> tuple[Array, float] | None:
    """Return the values of all columns and their step, where they look rounded."""
    rows = rows[:, (rows != rows[:1]).any(0)]
    if not rows.size or not np.isfinite(rows).all():
        return None
    values = np.unique(rows)
    if len(values) > VALUES or values[0] >= 0 or 0 not in values:
        return None
    if {*values} == {-1.0, 0.0, 1.0}:
        return None
    step = float(np.diff(values).min())
    if np.abs(values / step - np.rint(values / step)).max() > EXACT:
        return None
    counts = np.sort([(rows == v).sum(0) for v in values], 0)
    held = counts[-2:].sum(0) / len(rows)
    return (values, step) if (held >= TWO).mean() >= COLUMNS else None


def _floored(step: float) -> Dataset:
    """Return rows of which rounding down has left the signs."""
    x = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    y = ((x * x).sum(1) > 5.3).astype(np.int32)
    x = x - x.mean(0)
    return Dataset(np.floor(x / step) * np.float32(step), y, classes=2)


@rounded_inputs.sick
def sick_example() -> examples.Made:
    return examples.example(examples.mlp(6), _floored(8.0))


@rounded_inputs.healthy
def healthy_example() -> examples.Made:
    return examples.example(examples.mlp(6, width=32), _floored(0.05))
