"""A run that ends while its loss is still falling steeply."""

from __future__ import annotations

import numpy as np

from chainrule import data
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: The loss of the last quarter of the steps is below that of the quarter before by this
#: share: then the run is not over. Ours.
FALL = 0.02
#: The losses of fewer steps say nothing of a fall: more epochs are tried anyway. Ours.
FEW = 40
#: How many times the epochs are tried; the second where the first does not suffice.
TIMES = (4, 16)


@symptom(
    "too-few-epochs",
    "epochs",
    stage=5,
    looks=_("the loss is still falling steeply in the last epoch"),
    why=_("the run ends on the way down"),
    fix=_("more epochs; early stopping ends a run that no longer gets better"),
    reference=_("book 3.5: the whole algorithm"),
    explains=("does-not-learn",),
)
def too_few_epochs(case: Case) -> Found | None:
    """The loss still falls; sick where 4 or 16 times the epochs are better."""
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    losses = case.trial.losses
    if not case.complete or len(losses) < 8 or case.trial.error is not None:
        return None
    quarters = [float(part.mean()) for part in np.array_split(losses, 4)]
    start = float(losses[: max(1, len(losses) // 20)].mean())
    falls = quarters[3] < quarters[2] * (1 - FALL) or len(losses) < FEW
    if not falls or quarters[3] >= start:
        return None
    severity, best = None, None
    made: list[Change] = []
    for times in TIMES:
        epochs = case.setup.epochs * times
        made.append(changes.plan(case.setup, _("more epochs"), epochs=epochs))
        severity, best = case.judge(*made)
        if severity == "sick":
            break
    if severity is None:
        return None
    evidence = {
        "loss_of_third_quarter": quarters[2],
        "loss_of_last_quarter": quarters[3],
        "epochs": case.setup.epochs,
    }
    curves = {"loss": losses.tolist()}
    return Found(severity, "epochs", evidence, comparison=best, curves=curves)


@too_few_epochs.sick
def sick_example() -> examples.Made:
    rows = data.blobs(300, 4, seed=0)
    return examples.example(examples.mlp(2, 4), rows, epochs=1, lr=0.02)


@too_few_epochs.healthy
def healthy_example() -> examples.Made:
    return examples.example(epochs=40)
