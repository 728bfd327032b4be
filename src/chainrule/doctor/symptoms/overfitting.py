"""A validation loss that rises while the training loss falls."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: The last validation loss against the least one, from which it is said; the rise as a
#: share of what validation had gained until then, from which it is said, and from which
#: it is a risk; the rows and the epochs below which nothing is said. Ours.
NOTED, RISEN, RISK, ROWS, EPOCHS = 1.15, 0.05, 0.25, 30, 5


@symptom(
    "overfitting",
    "regularisation",
    stage=6,
    looks=_("the training loss falls on, and the validation loss rises"),
    why=_(
        "the network remembers the training rows: what it learns holds for them alone"
    ),
    fix=_(
        "training.EarlyStopping(restore_best=True), weight decay, dropout, a smaller "
        "network, or more rows"
    ),
    reference=_("Prechelt 1998, Early Stopping – But When?"),
)
def overfitting(case: Case) -> Found | None:
    """Measured at the end of each epoch of the trial run."""
    if case.refused is not None or not case.runs or case.trial.error is not None:
        return None
    if any(stop.restore_best for stop in case.setup.stopping):
        return None  # the run ends with the weights of its best epoch
    rows = case.trial.rows
    if len(rows) < EPOCHS or len(case.setup.held_out) < ROWS or case.sick:
        return None
    held = np.array([row["validation_loss"] for row in rows], np.float64)
    train = np.array([row["train_loss"] for row in rows], np.float64)
    best = int(held.argmin())
    last = float(np.median(held[-3:]))
    risen = float(last - held[best]) / max(float(held[0] - held[best]), 1e-12)
    if last < NOTED * held[best] or risen < RISEN or train[-1] > 0.95 * train[best]:
        return None
    evidence = {
        "least_validation_loss": float(held[best]),
        "epoch_of_least": best + 1,
        "last_validation_loss": last,
        "share_of_gain_lost_again": min(risen, 1.0),
        "train_loss_in_that_epoch": float(train[best]),
        "last_train_loss": float(train[-1]),
    }
    severity = "risk" if risen > RISK else "note"
    curves = {"train_loss": train.tolist(), "validation_loss": held.tolist()}
    return Found(severity, "", evidence, confidence=0.8, curves=curves)


@overfitting.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    wrong = np.random.default_rng(0).uniform(size=len(made)) < 0.2
    rows = Dataset(made.x, np.where(wrong, 1 - made.y, made.y), classes=2)
    return examples.example(examples.mlp(width=64), rows, epochs=150)


@overfitting.healthy
def healthy_example() -> examples.Made:
    return examples.example()
