"""A class of the held-out rows that no training row has."""

from __future__ import annotations

import numpy as np

from chainrule import data
from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import SICK
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _, joined


@symptom(
    "class-not-trained-on",
    "labels",
    stage=1,
    looks=_("one class is never predicted, and all its rows are taken for another one"),
    why=_(
        "no training row has this label: it was given another one, or its rows were "
        "left out, for instance by a split of sorted rows"
    ),
    fix=_("look at how the labels were made, and split shuffled rows"),
    reference=_("Goodfellow, Bengio & Courville 2016, 5.2: training and test sets"),
    explains=("does-not-learn", "overfitting", "wrong-labels", "too-few-epochs"),
)
def class_not_trained_on(case: Case) -> Found | None:
    """Sick where more held-out rows than what counts as sick have such a class."""
    if case.refused is not None or case.given_validation is None:
        return None
    if case.labels is None or case.task not in ("classes", "binary"):
        return None
    held = case.classes(case.setup.held_out.y)
    missing = np.setdiff1d(held, case.labels)
    if not len(missing):
        return None
    share = float(np.isin(held, missing).mean())
    evidence = {
        "classes_not_trained_on": joined(", ", (str(c) for c in missing)),
        "share_of_held_out_rows_of_them": share,
        "held_out_rows": len(held),
    }
    sick = share > SICK["accuracy"]
    return Found("sick" if sick else "risk", "y", evidence, confidence=1.0)


@class_not_trained_on.sick
def sick_example() -> examples.Made:
    train, held = data.blobs(300, 3, seed=0).split(0.6, seed=0)
    y = np.where(train.y == 1, 0, train.y)
    rows = Dataset(train.x, y, classes=3)
    return examples.example(examples.mlp(2, 3), rows, validation=held)


@class_not_trained_on.healthy
def healthy_example() -> examples.Made:
    train, held = data.blobs(300, 3, seed=0).split(0.6, seed=0)
    return examples.example(examples.mlp(2, 3), train, validation=held)
