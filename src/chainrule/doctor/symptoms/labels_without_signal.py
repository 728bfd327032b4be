"""Labels that have nothing to do with the inputs, such as shuffled ones."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: How many standard errors above the constant answer count as nothing: two, the usual
#: bound of a one-sided test at 2.5 %.
ERRORS = 2.0
#: Rows below which nothing is said.
ROWS = 100


@symptom(
    "labels-without-signal",
    "labels",
    stage=8,
    looks=_("the training loss falls, and the validation score stays at chance"),
    why=_(
        "neither the nearest neighbours nor the network find anything about held-out "
        "rows: the labels may be shuffled against the inputs, or the inputs may not "
        "hold what is asked for"
    ),
    fix=_("look at a few rows by eye: does each label belong to its input?"),
    reference=_(
        "Zhang et al. 2017: networks fit random labels, and generalise nothing"
    ),
)
def labels_without_signal(case: Case) -> Found | None:
    """Both held-out scores are within two standard errors of the constant answer.

    Where that bound is nearer to 1 than to chance, as with a rare class and few
    held-out rows, scores there say nothing.
    """
    if case.refused is not None or len(case.train) < ROWS or "one-class" in case.found:
        return None
    if case.task not in ("classes", "binary") or case.score is None or case.sick:
        return None
    n = len(case.setup.held_out)
    if case.labels is None:
        return None
    chance = max(case.baseline, 1 / len(np.unique(case.labels)))
    bound = chance + ERRORS * float(np.sqrt(chance * (1 - chance) / min(n, 400)))
    if bound - chance > 1 - bound:
        return None  # too little is above chance for it to be told from nothing
    if case.score > bound or not case.complete:
        return None
    signal = case.signal
    if signal is None or signal > bound:
        return None
    evidence = {
        "accuracy_of_run": case.score,
        "accuracy_of_best_reference": signal,
        "accuracy_of_constant_answer": case.baseline,
        "held_out_rows": n,
    }
    return Found("risk", "y", evidence, confidence=0.6)


@labels_without_signal.sick
def sick_example() -> examples.Made:
    made = examples.moons(600)
    y = np.random.default_rng(0).permutation(made.y)
    return examples.example(rows=Dataset(made.x, y, classes=2))


@labels_without_signal.healthy
def healthy_example() -> examples.Made:
    return examples.example()
