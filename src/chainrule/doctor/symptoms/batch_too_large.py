"""Batches so large that a run has hardly any updates."""

from __future__ import annotations

from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.subject import BATCH
from chainrule.text import _

#: Runs of fewer updates are suspected. Ours: on the small tables of the tests healthy
#: runs took 100 and more.
UPDATES = 200


@symptom(
    "batch-too-large",
    "batch-size",
    stage=5,
    looks=_("an epoch is over at once, and the loss has hardly moved"),
    why=_(
        "each batch is one update: with batches near the size of the data a run has few"
    ),
    fix=_("a smaller batch size: the same epochs make more updates"),
    reference=_("book 2.6.3: mini-batches; Masters & Luschi 2018"),
    explains=("too-few-epochs", "does-not-learn"),
)
def batch_too_large(case: Case) -> Found | None:
    """Few updates; sick where as many epochs of small batches are better."""
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    setup = case.setup
    if not case.complete or setup.batch_size <= BATCH or setup.steps >= UPDATES:
        return None
    change = changes.plan(setup, _("smaller batches"), batch_size=BATCH)
    severity, best = case.judge(change)
    if severity is None:
        return None
    evidence = {
        "updates": setup.steps,
        "updates_per_epoch": setup.steps_per_epoch,
        "batch_size": setup.batch_size,
        "rows": len(setup.train),
    }
    return Found(severity, "batch_size", evidence, comparison=best)


@batch_too_large.sick
def sick_example() -> examples.Made:
    return examples.example(batch_size=300, epochs=12)


@batch_too_large.healthy
def healthy_example() -> examples.Made:
    return examples.example(batch_size=64, epochs=60)
