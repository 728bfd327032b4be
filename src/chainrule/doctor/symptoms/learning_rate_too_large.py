"""A learning rate at which the loss rises, oscillates or stalls, and falls at less."""

from __future__ import annotations

import numpy as np

from chainrule import optim
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.changes import rate_times
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: A lower rate is suspected to be better where its loss is below this share of yours.
SHARE = 0.9
#: So many of the lower rates are tried in full.
TRIED = 2


@symptom(
    "learning-rate-too-large",
    "learning-rate",
    stage=3,
    looks=_("the loss rises, jumps up and down, becomes NaN, or stays at chance"),
    why=_(
        "a step longer than the valley is wide lands on the other side, higher up: "
        "gradient descent is stable up to η = 2/λ, λ the largest curvature"
    ),
    fix=_("lower the learning rate"),
    reference=_("book 2.6.2; Smith 2017, cyclical rates: the range test"),
    explains=(
        *("non-finite-loss", "dead-units", "saturated-units", "exploding-gradient"),
        *("does-not-learn", "vanishing-gradient", "batch-too-large", "too-few-epochs"),
        *("over-regularised", "overfitting"),
    ),
)
def learning_rate_too_large(case: Case) -> Found | None:
    """A range test suspects; sick where the run at a lower rate is better."""
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    if case.never_begins:
        return None
    rates = case.rates
    asked = rates.get(1.0, 0.0)
    lower = [f for f, loss in rates.items() if f < 1 and loss < SHARE * asked]
    lower.sort(key=lambda f: rates[f])
    made = {f: c for f in lower[:TRIED] if (c := rate_times(case.setup, f))}
    severity, best = case.judge(*made.values()) if made else (None, None)
    if severity is None or best is None:
        return None
    first = lower[0]
    factors = {change.after: f for f, change in made.items()}
    evidence = {
        "loss_at_asked_rate": None if asked == float("inf") else asked,
        "loss_at_other_rate": rates[first],
        "other_rate_factor": first,
        "factor_of_fix": factors[best.change.after],
        "loss_at_first_step": case.trial.loss_at_start(),
    }
    losses = case.trial.losses
    curves = {"loss": np.where(np.isfinite(losses), losses, np.nan).tolist()}
    return Found(severity, "optimizer", evidence, comparison=best, curves=curves)


@learning_rate_too_large.sick
def sick_example() -> examples.Made:
    return examples.example(optimizer=optim.SGD(lr=100.0))


@learning_rate_too_large.healthy
def healthy_example() -> examples.Made:
    return examples.example(optimizer=optim.SGD(lr=0.3))
