"""A loss of quantities on labels of classes, or one of labels on quantities."""

from __future__ import annotations

import numpy as np

from chainrule import data, nn
from chainrule.data import Dataset
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.rebuilding import class_outputs
from chainrule.doctor.registry import Found, symptom
from chainrule.nn import output_semantics
from chainrule.text import _

#: So many whole numbers from 0 on may be labels.
CLASSES = 20


@symptom(
    "loss-unfit",
    "loss",
    stage=1,
    looks=_("the network answers numbers between classes, and hardly tells them apart"),
    why=_(
        "a squared error of class numbers says that class 2 lies between 1 and 3: the "
        "order of names is learnt, and not which class it is"
    ),
    fix=_("one output a class, nn.CrossEntropyLoss(), and integer labels"),
    reference=_("book 2.5.1 and 3.3: cross-entropy for classes"),
    explains=("does-not-run", "too-few-epochs", "does-not-learn"),
)
def loss_unfit(case: Case) -> Found | None:
    """A loss of quantities, or of two classes, and targets that are numbers of classes.

    Three classes or more, which the data set names or which are all whole numbers from
    0 on. Under a loss of quantities they may be quantities all the same, so it is a
    risk; one of two classes has no place for a third.
    """
    if case.refused is not None or not case.single:
        return None
    if case.endless and case.task == "quantities":
        return _without_end(case)
    if case.asks_sides:
        cause = _(
            "outputs that grow without end are better for the loss than the targets "
            "themselves: like a margin it asks for the side of a number, and not for "
            "the number"
        )
        evidence = {"distinct_targets": len(np.unique(case.train.y))}
        return Found("risk", "loss", evidence, confidence=0.5, cause=cause)
    binary = output_semantics.threshold(case.setup.loss) is not None
    if case.task != "quantities" and not binary:
        return None
    y = np.asarray(case.train.y).reshape(len(case.train), -1)
    if y.shape[1] != 1 or len(y) < 2 * CLASSES:
        return None
    values = np.unique(y)
    count = len(values)
    counted = bool((values == np.arange(count)).all()) and 3 <= count <= CLASSES
    if not counted or count < 3:
        return None
    named = case.train.classes is not None or case.train.y.dtype.kind in "iu"
    evidence = {
        "distinct_targets": count,
        "rows": len(y),
        "loss": repr(case.setup.loss),
    }
    if binary:
        change = class_outputs(case.setup, count)
        best = None if change is None else case.compare(change)
        cause = _(
            "the loss tells two classes apart by one output, 0 or 1, and there are more"
        )
        return Found("sick", "loss", evidence, change, best, 1.0, cause=cause)
    return Found("risk", "loss", evidence, confidence=0.9 if named else 0.5)


def _without_end(case: Case) -> Found | None:
    """Return what the squared error does in place of a loss without a least value."""
    if not case.runs or not case.can_be_sick:
        return None
    change = changes.loss(case.setup, nn.MSELoss, _("the usual loss"))
    severity, best = (None, None) if change is None else case.judge(change)
    if severity is None:
        return None
    evidence = {
        "loss_at_first_step": case.trial.loss_at_start(),
        "loss_at_end": case.trial.loss_at_end(),
    }
    cause = _(
        "the loss falls without end as outputs grow: no answer is its best one, as of "
        "the cross-entropy where targets are not within 0 and 1"
    )
    return Found(severity, "loss", evidence, change, best, cause=cause)


@loss_unfit.sick
def sick_example() -> examples.Made:
    made = data.blobs(300, 4, seed=0)
    rows = Dataset(made.x, made.y.astype(np.float32)[:, None])
    return examples.example(examples.mlp(2, 1), rows, loss=nn.MSELoss())


@loss_unfit.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(2, 1)
    return examples.example(model, examples.waves(), loss=nn.MSELoss())
