"""A learning rate at which a run ends long before it has learnt what it could."""

from __future__ import annotations

import numpy as np

from chainrule import optim
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.changes import rate_times
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: A higher rate is suspected to be better where its loss is below this share of yours.
SHARE = 0.9


@symptom(
    "learning-rate-too-small",
    "learning-rate",
    stage=3,
    looks=_("the loss falls slowly and evenly, and is still falling at the end"),
    why=_("the steps are so short that the run ends on the way"),
    fix=_("raise the learning rate"),
    reference=_("book 2.6.2; Smith 2017, cyclical rates: the range test"),
    explains=(
        *("too-few-epochs", "does-not-learn", "batch-too-large", "over-regularised"),
    ),
)
def learning_rate_too_small(case: Case) -> Found | None:
    """A range test suspects; sick where the whole run at a higher rate is better.

    A shortened run says nothing: the asked one has more steps.
    """
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    if not case.complete or "learning-rate-too-large" in case.found:
        return None
    if case.never_begins:
        return None
    rates = case.rates
    asked = rates.get(1.0, 0.0)
    higher = [f for f, loss in rates.items() if f > 1 and loss < SHARE * asked]
    made = {f: c for f in higher if (c := rate_times(case.setup, f))}
    severity, best = case.judge(*made.values()) if made else (None, None)
    if severity is None or best is None:
        return None
    first = min(higher, key=lambda f: rates[f])
    factors = {change.after: f for f, change in made.items()}
    evidence = {
        "loss_at_asked_rate": asked,
        "loss_at_other_rate": rates[first],
        "other_rate_factor": first,
        "factor_of_fix": factors[best.change.after],
    }
    curves = {"loss": np.asarray(case.trial.losses).tolist()}
    return Found(severity, "optimizer", evidence, comparison=best, curves=curves)


@learning_rate_too_small.sick
def sick_example() -> examples.Made:
    return examples.example(optimizer=optim.SGD(lr=1e-4))


@learning_rate_too_small.healthy
def healthy_example() -> examples.Made:
    return examples.example(optimizer=optim.SGD(lr=0.3))
