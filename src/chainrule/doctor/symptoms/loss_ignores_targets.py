"""A loss that does not depend on the targets, or on part of the outputs or rows."""

from __future__ import annotations

from functools import partial
from typing import Any

from chainrule import nn, optim
from chainrule.data.adapter import kinds
from chainrule.doctor import changes, examples, network
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change
from chainrule.doctor.network import SIGMOID, SOFTMAX
from chainrule.doctor.registry import Found, symptom
from chainrule.tensor import Tensor
from chainrule.text import _


@symptom(
    "loss-ignores-targets",
    "loss",
    stage=1,
    looks=_("the loss falls to nothing, and the answers have nothing to do with y"),
    why=_(
        "the loss is the same whichever target stands beside which output, or has no "
        "derivative by some of the outputs: what it does not depend on is not learnt"
    ),
    fix=_("a loss of each output and its own target, such as the library's"),
    reference=_("book 2.5: a loss is small where the answer is right"),
    explains=(
        *("targets-broadcast", "does-not-learn", "too-few-epochs", "loss-unfit"),
        *("learning-rate-too-small", "learning-rate-too-large", "over-regularised"),
        *("labels-without-signal", "wrong-labels", "overfitting", "batch-too-large"),
        *("imbalanced-classes", "vanishing-gradient", "exploding-gradient"),
    ),
)
def loss_ignores_targets(case: Case) -> Found | None:
    """The loss is called with targets in another order; sick where a usual one cures.

    Also where some columns of the outputs, or some rows, have no part in it.
    """
    if case.refused is not None or case.network is None or not case.runs:
        return None
    hears = case.heard
    if hears is None or not case.can_be_sick or _reshapes(case):
        return None
    if hears.pairs and not hears.deaf_columns and not hears.deaf_rows:
        return None
    change = _usual(case)
    if change is None:
        return None
    severity, best = case.judge(change)
    if severity is None and hears.pairs:
        return None
    evidence: dict[str, Any] = {}
    if not hears.pairs:
        given, other = hears.losses
        evidence |= {"loss": given, "loss_with_targets_in_another_order": other}
    else:
        evidence["share_of_outputs_without_derivative"] = hears.deaf_columns
        evidence["share_of_rows_without_derivative"] = hears.deaf_rows
    return Found(severity or "risk", "loss", evidence, change, best)


def _reshapes(case: Case) -> bool:
    """Return whether targets of another shape than the outputs are the cause."""
    output = None if case.network is None else case.network.output
    if case.evaluation is None or output is None:
        return False
    of = kinds(case.train)
    spread = network.spread_out(*case.evaluation, of.types_of(of.y))
    return spread is not None and case.train.y.shape[1:] != output.shape[1:]


def _usual(case: Case) -> Change | None:
    """Return the change to the usual loss of the task; None: it has it, or none."""
    end = "" if case.network is None else case.network.end_kind
    make: Any = None
    if case.task == "classes":
        make = nn.NLLLoss if end == "log_softmax" else nn.CrossEntropyLoss
        if end == SOFTMAX:
            make = partial(nn.CrossEntropyLoss, from_logits=False)
    elif case.task == "binary":
        make = nn.BCELoss if end == SIGMOID else nn.BCEWithLogitsLoss
    elif case.task == "quantities":
        make = nn.MSELoss
    if make is None or repr(case.setup.loss) == repr(make()):
        return None
    return changes.loss(case.setup, make, _("the usual loss"))


def _size(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.square().mean() + 0 * targets.float().mean()


@loss_ignores_targets.sick
def sick_example() -> examples.Made:
    return examples.example(loss=_size)


def _own(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs - targets) ** 2).mean()


@loss_ignores_targets.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(2, 1)
    return examples.example(
        model, examples.waves(), loss=_own, optimizer=optim.Adam(lr=0.02), epochs=60
    )
