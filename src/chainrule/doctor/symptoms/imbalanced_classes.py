"""Classes of very different size."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import SICK
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: The largest class against the smallest: He & Garcia 2009 call 100 : 1 and more common
#: in trouble; from 10 : 1 on the constant answer is right in nine of ten rows.
RATIO = 10.0
#: A class is rarer among the training rows than among held-out ones by this factor: one
#: of so many of these is needed to tell. Ours.
RARER, LEAST = 5.0, 10


@symptom(
    "imbalanced-classes",
    "labels",
    stage=1,
    looks=_("the accuracy looks good, and rare classes are never predicted"),
    why=_(
        "rare classes weigh little in the loss and in the accuracy: both look good "
        "where a rare class is never predicted"
    ),
    fix=_(
        'fit(…, class_weight="balanced"), and metrics=["balanced_accuracy"] to see it'
    ),
    reference=_("He & Garcia 2009, Learning from Imbalanced Data"),
    explains=("does-not-learn", "overfitting", "too-few-epochs", "wrong-labels"),
)
def imbalanced_classes(case: Case) -> Found | None:
    """The largest class is at least ten times the smallest.

    Sick where classes are much rarer among the training rows than among held-out ones,
    and more of those are taken for others than what counts as sick.
    """
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
    lost = _lost(case)
    if lost > SICK["accuracy"]:
        cause = _(
            "classes that are rare among the training rows are not rare among held-out "
            "ones, and most of those are taken for others"
        )
        evidence["share_of_held_out_rows_of_rare_classes_lost"] = lost
        return Found("sick", "y", evidence, confidence=0.8, cause=cause)
    return Found("risk", "y", evidence, confidence=0.8)


def _lost(case: Case) -> float:
    """Return the share of held-out rows that are of rarer classes, and misjudged."""
    if case.given_validation is None or not case.runs or not case.can_be_sick:
        return 0.0
    said, labels = case.answers, case.labels
    if said is None or labels is None:
        return 0.0
    known = case.classes(case.setup.held_out.y)[: len(said)]
    rarer = [
        c
        for c in np.unique(labels)
        if (known == c).sum() >= LEAST
        and (known == c).mean() > RARER * (labels == c).mean()
    ]
    of_them = np.isin(known, rarer)
    if not of_them.any() or (said[of_them] != known[of_them]).mean() < 0.5:
        return 0.0
    return float((of_them & (said != known)).mean())


@imbalanced_classes.sick
def sick_example() -> examples.Made:
    made = examples.moons(600)
    keep = np.flatnonzero((made.y == 0) | (np.arange(600) % 15 == 0))
    return examples.example(rows=Dataset(made.x[:][keep], made.y[keep], classes=2))


@imbalanced_classes.healthy
def healthy_example() -> examples.Made:
    return examples.example()
