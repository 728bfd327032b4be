"""A training that is refused: shapes, losses, dtypes that do not fit together."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import changes, examples, space
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change
from chainrule.doctor.network import SIGMOID
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.setup import run
from chainrule.errors import NonFiniteError, ShapeError
from chainrule.text import _


@symptom(
    "does-not-run",
    "architecture",
    stage=1,
    looks=_("fit() ends in an error before the first step"),
    why=_("model, loss and data do not fit together"),
    fix=_("do what the error says"),
    reference=_("the message of the error"),
)
def does_not_run(case: Case) -> Found | None:
    """Find a training that ``fit`` refuses, but for numbers that are not finite.

    What a step of Adam runs with, the optimiser was to blame for; and a loss of several
    classes, where that of one output runs in its place.
    """
    if case.refused is not None:
        return None
    error = case.trial.error
    if error is None or isinstance(error, NonFiniteError):
        return None
    if not any(p.requires_grad for __, p in case.setup.model.named_parameters()):
        return None  # frozen-parameters says it
    evidence = {"refused": error.what}
    evidence |= {"expected": error.expected} if error.expected else {}
    evidence |= {"got": error.got} if error.got else {}
    component = "architecture" if isinstance(error, ShapeError) else "loss"
    for part, change in (
        ("optimizer", space.adam(case.setup)),
        ("loss", _loss_of_one_output(case)),
    ):
        if change is None or run(case.prepared(change, steps=1)).error is not None:
            continue
        return Found(
            *("sick", part, evidence, change),
            advice=error.fix,
            confidence=1.0,
            component=part,
        )
    return Found(
        "sick", "", evidence, advice=error.fix, confidence=1.0, component=component
    )


def _loss_of_one_output(case: Case) -> Change | None:
    """Return the loss of one output in place of one of several classes, or None."""
    classes = isinstance(case.setup.loss, nn.CrossEntropyLoss | nn.NLLLoss)
    if not classes or case.network is None:
        return None
    sigmoid = case.network.end_kind == SIGMOID
    make = nn.BCELoss if sigmoid else nn.BCEWithLogitsLoss
    return changes.loss(case.setup, make, _("the loss of one output"))


@does_not_run.sick
def sick_example() -> examples.Made:
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(8, 2))
    return examples.example(model)


@does_not_run.healthy
def healthy_example() -> examples.Made:
    return examples.example()
