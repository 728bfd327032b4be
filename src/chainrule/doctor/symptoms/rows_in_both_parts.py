"""Rows that stand among the training rows and among the validation rows: a leak."""

from __future__ import annotations

from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.columns import shared
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: The share of validation rows that are training rows, from which it is said; and how
#: many times the share of training rows that repeat each other by themselves. Ours:
#: tables with few distinct rows repeat some of them in any split.
SHARE, TIMES = 0.05, 3.0


@symptom(
    "rows-in-both-parts",
    "data",
    stage=0,
    looks=_("the validation score is better than on new data"),
    why=_("validation rows that were trained on are remembered, not predicted"),
    fix=_(
        "split before anything is copied or augmented: train, test = data.split(0.8)"
    ),
    reference=_("Kaufman et al. 2012, Leakage in Data Mining"),
)
def rows_in_both_parts(case: Case) -> Found | None:
    """More than one in twenty, and more than the training rows repeat themselves."""
    if case.refused is not None or case.given_validation is None or not case.single:
        return None
    held = case.setup.held_out
    if held.x.shape[1:] != case.train.x.shape[1:]:
        return None
    found = shared(case.train.x.stored, held.x.stored)
    if found.share < SHARE or found.share < TIMES * found.repeats:
        return None
    evidence = {
        "share_of_validation_rows_trained_on": found.share,
        "share_of_training_rows_repeated": found.repeats,
        "validation_rows": found.looked_at,
    }
    return Found("risk", "validation", evidence, confidence=0.9)


@rows_in_both_parts.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    return examples.example(rows=made, validation=made.take(100))


@rows_in_both_parts.healthy
def healthy_example() -> examples.Made:
    train, held = examples.moons().split(0.8, seed=0)
    return examples.example(rows=train, validation=held)
