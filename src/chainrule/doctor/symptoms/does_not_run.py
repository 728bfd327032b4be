"""A training that is refused: shapes, losses, dtypes that do not fit together."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import examples, space
from chainrule.doctor.case import Case
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

    What a step of Adam runs with, the optimiser was to blame for.
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
    change = space.adam(case.setup)
    by_optimizer = run(case.prepared(change, steps=1)).error is None
    component = "architecture" if isinstance(error, ShapeError) else "loss"
    return Found(
        "sick",
        "optimizer" if by_optimizer else "",
        evidence,
        change if by_optimizer else None,
        advice=error.fix,
        confidence=1.0,
        component="optimizer" if by_optimizer else component,
    )


@does_not_run.sick
def sick_example() -> examples.Made:
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(8, 2))
    return examples.example(model)


@does_not_run.healthy
def healthy_example() -> examples.Made:
    return examples.example()
