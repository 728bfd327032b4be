"""Batches of so few rows that a step follows the noise of these rows."""

from __future__ import annotations

import math

from chainrule import nn, optim
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.subject import BATCH
from chainrule.text import _

#: Layers that take mean and variance of a batch.
NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
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
    cause, advice = _of_one_row(case)
    return Found(
        severity, "batch_size", evidence, comparison=best, cause=cause, advice=advice
    )


def _of_one_row(case: Case) -> tuple[str | None, str | None]:
    """Return why a batch norm of single rows learns nothing, and what helps, or None.

    Only where each channel has one number in a row: of a picture it has many.
    """
    if case.setup.batch_size > 1:
        return None, None
    outputs, modules = case.seen or {}, case.setup.model.named_modules()
    norms = [n for n, m in modules if isinstance(m, NORMS) and n in outputs]
    if not any(math.prod(outputs[n].shape[2:]) == 1 for n in norms):
        return None, None
    cause = _(
        "batch norm takes the mean of the batch away, and of one row that is the row "
        "itself: while it trains its outputs are β whatever the input is, and nothing "
        "in front of it is learnt"
    )
    return cause, _(
        "batches of several rows, such as 32; or nn.LayerNorm, which needs no "
        "other rows"
    )


@batch_too_small.sick
def sick_example() -> examples.Made:
    model = examples.mlp(width=32, act=nn.Tanh)
    return examples.example(model, lr=0.15, batch_size=1, epochs=12)


@batch_too_small.healthy
def healthy_example() -> examples.Made:
    return examples.example(optimizer=optim.SGD(lr=0.05), batch_size=1, epochs=20)
