"""Batches of so few rows that a step follows the noise of these rows."""

from __future__ import annotations

from chainrule import nn, optim
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.subject import BATCH
from chainrule.text import _

#: Batches up to this are suspected: Masters & Luschi 2018 find 2 to 32 best, with rates
#: that suit them.
SMALL = 4


@symptom(
    "batch-too-small",
    "batch-size",
    stage=5,
    looks=_("the loss jumps up and down from step to step, and does not settle"),
    why=_(
        "the gradient of a row or two points anywhere: at a rate that suits larger "
        "batches the noise of the steps is larger than their gain"
    ),
    fix=_("a larger batch size, or a lower learning rate"),
    reference=_("book 2.6.3: mini-batches; Masters & Luschi 2018"),
    explains=("does-not-learn", "dead-units"),
)
def batch_too_small(case: Case) -> Found | None:
    """Small batches; sick where as many epochs of batches of 32 are better."""
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    setup = case.setup
    if setup.batch_size > SMALL or len(setup.train) < 2 * BATCH:
        return None
    change = changes.plan(setup, _("larger batches"), batch_size=BATCH)
    severity, best = case.judge(change)
    if severity is None:
        return None
    evidence = {"batch_size": setup.batch_size, "rows": len(setup.train)}
    return Found(severity, "batch_size", evidence, comparison=best)


@batch_too_small.sick
def sick_example() -> examples.Made:
    model = examples.mlp(width=32, act=nn.Tanh)
    return examples.example(model, lr=0.15, batch_size=1, epochs=12)


@batch_too_small.healthy
def healthy_example() -> examples.Made:
    return examples.example(optimizer=optim.SGD(lr=0.05), batch_size=1, epochs=20)
