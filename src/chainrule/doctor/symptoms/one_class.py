"""Targets that are all the same."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _


@symptom(
    "one-class",
    "labels",
    stage=0,
    looks=_("the accuracy is 100 % after a few steps, and means nothing"),
    why=_("all targets are the same: there is nothing to tell apart"),
    fix=_(
        "look at how the rows were chosen: a sorted file that was cut, a wrong column"
    ),
    reference=_("Goodfellow, Bengio & Courville 2016, 11.5: debugging strategies"),
)
def one_class(case: Case) -> Found | None:
    """One value in all rows."""
    if case.refused is not None or not case.single or len(case.train) < 2:
        return None
    y = np.asarray(case.train.y).reshape(len(case.train), -1)
    if not (y == y[:1]).all():
        return None
    evidence = {"rows": len(y), "only_target": str(y[0].tolist())[:60]}
    return Found("sick", "y", evidence, confidence=1.0)


@one_class.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    return examples.example(rows=Dataset(made.x, np.zeros_like(made.y), classes=2))


@one_class.healthy
def healthy_example() -> examples.Made:
    return examples.example()
