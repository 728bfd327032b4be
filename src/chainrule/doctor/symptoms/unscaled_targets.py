"""Targets of a regression whose numbers are far from the outputs of a network."""

from __future__ import annotations

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: Means or deviations from this on, and below this: a fresh network gives numbers of
#: about 1, and Adam moves the bias of the output by about lr a step.
LARGE, TINY = 30.0, 0.01


@symptom(
    "unscaled-targets",
    "preprocessing",
    stage=1,
    looks=_("the loss is huge and falls slowly, or the outputs stay at 0"),
    why=_(
        "a fresh network gives numbers of about 1: it spends the run on getting to the "
        "size of the targets, or the gradient of a squared error explodes"
    ),
    fix=_("end the network in nn.Unstandardize.of(train.y)"),
    reference=_("Bishop 1995, Neural Networks for Pattern Recognition, 8.2"),
    explains=(
        *("learning-rate-too-large", "learning-rate-too-small", "exploding-gradient"),
        *("does-not-learn", "non-finite-loss", "dead-units", "too-few-epochs"),
        *("weights-badly-scaled", "batch-too-large", "vanishing-gradient"),
        *("saturated-units", "targets-out-of-reach", "over-regularised"),
    ),
)
def unscaled_targets(case: Case) -> Found | None:
    """Sick where standardised targets cure: R² does not depend on their unit."""
    if case.refused is not None or case.task != "quantities" or not case.runs:
        return None
    if not case.can_be_sick:
        return None
    y = np.asarray(case.train.y, np.float64).reshape(len(case.train), -1)
    largest = float(max(np.abs(y.mean(0)).max(), y.std(0).max()))
    if TINY < largest < LARGE:
        return None
    severity, best = case.judge(changes.standardised_targets(case.setup))
    if severity is None or best is None:
        return None
    evidence = {
        "largest_mean_or_deviation": largest,
        "loss_at_first_step": case.trial.loss_at_start(),
    }
    return Found(severity, "y", evidence, comparison=best)


@unscaled_targets.sick
def sick_example() -> examples.Made:
    made = examples.waves()
    rows = Dataset(made.x, made.y * 300 + 20000)
    return examples.example(examples.mlp(2, 1), rows, loss=nn.MSELoss())


@unscaled_targets.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(2, 1)
    return examples.example(model, examples.waves(), loss=nn.MSELoss())
