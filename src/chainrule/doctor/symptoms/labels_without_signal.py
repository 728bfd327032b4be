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
        "neither the run nor any reference finds anything about held-out rows: the "
        "labels are shuffled against the inputs, or the inputs have lost what is asked "
        "for, by a reshape or a sort of one of the two"
    ),
    fix=_(
        "look at a few rows by eye, as the network gets them: does each label belong "
        "to its input, and is a row still a row?"
    ),
    reference=_(
        "Zhang et al. 2017: networks fit random labels, and generalise nothing"
    ),
)
def labels_without_signal(case: Case) -> Found | None:
    """Run and references find nothing, within two standard errors of a constant answer.

    Where that bound is nearer to 1 than to chance, as with a rare class and few
    held-out rows, scores there say nothing.
    """
    if case.refused is not None or len(case.train) < ROWS or "one-class" in case.found:
        return None
    if case.score is None or case.sick or not case.complete:
        return None
    chance = _chance(case)
    if chance is None:
        return None
    n = min(len(case.setup.held_out), 400)
    if case.metric == "accuracy":
        spread = float(np.sqrt(chance * (1 - chance) / n))
    else:
        spread = float(np.sqrt(2 / n))  # of R², where a constant answer is right
    bound = chance + ERRORS * spread
    if bound - chance > 1 - bound:
        return None  # too little is above chance for it to be told from nothing
    if case.score > bound:
        return None
    signal = case.signal
    if signal is None or signal > bound:
        return None
    evidence = {
        f"{case.metric}_of_run": case.score,
        f"{case.metric}_of_best_reference": signal,
        f"{case.metric}_of_constant_answer": case.baseline,
        "held_out_rows": len(case.setup.held_out),
    }
    return Found("sick", "y", evidence, confidence=0.6)


def _chance(case: Case) -> float | None:
    """Return the score of an answer that knows no inputs; None: nobody knows it."""
    if case.task == "quantities" and case.metric == "r2":
        return case.baseline
    if case.task not in ("classes", "binary") or case.labels is None:
        return None
    return max(case.baseline, 1 / len(np.unique(case.labels)))


@labels_without_signal.sick
def sick_example() -> examples.Made:
    made = examples.moons(600)
    y = np.random.default_rng(0).permutation(made.y)
    return examples.example(rows=Dataset(made.x, y, classes=2))


@labels_without_signal.healthy
def healthy_example() -> examples.Made:
    return examples.example()
