"""Classes of very different size."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: The largest class against the smallest: He & Garcia 2009 call 100 : 1 and more common
#: in trouble; from 10 : 1 on the constant answer is right in nine of ten rows.
RATIO = 10.0


@symptom(
    "imbalanced-classes",
    "labels",
    stage=0,
    looks=_("the accuracy looks good, and rare classes are never predicted"),
    why=_("a constant answer is right for most rows, so accuracy hides the rare class"),
    fix=_(
        'fit(…, class_weight="balanced"), and metrics=["balanced_accuracy"] to see it'
    ),
    reference=_("He & Garcia 2009, Learning from Imbalanced Data"),
)
def imbalanced_classes(case: Case) -> Found | None:
    """The largest class is at least ten times the smallest."""
    if case.refused is not None or case.labels is None:
        return None
    __, counts = np.unique(case.labels, return_counts=True)
    if len(counts) < 2 or counts.max() < RATIO * counts.min():
        return None
    evidence = {
        "rows_of_largest_class": int(counts.max()),
        "rows_of_smallest_class": int(counts.min()),
        "share_of_largest_class": float(counts.max() / counts.sum()),
    }
    return Found("risk", "y", evidence, confidence=0.8)


@imbalanced_classes.sick
def sick_example() -> examples.Made:
    made = examples.moons(600)
    keep = np.flatnonzero((made.y == 0) | (np.arange(600) % 15 == 0))
    return examples.example(rows=Dataset(made.x[:][keep], made.y[keep], classes=2))


@imbalanced_classes.healthy
def healthy_example() -> examples.Made:
    return examples.example()
