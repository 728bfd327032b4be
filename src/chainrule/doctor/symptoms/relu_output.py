"""A ReLU as the last operation in front of the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.network import RELU
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _


@symptom(
    "relu-output",
    "activation",
    stage=1,
    looks=_("many outputs are exactly 0, and some units never learn again"),
    why=_(
        "a ReLU gives no negative number: scores below 0 and negative targets cannot "
        "be reached, and an output that is 0 for all rows has gradient 0"
    ),
    fix=_(
        "end the network in the linear layer: remove the ReLU in front of the loss; "
        "where the loss takes probabilities, a sigmoid or a softmax takes its place"
    ),
    reference=_("book 3.2.3; Goodfellow, Bengio & Courville 2016, 6.2.2: output units"),
    explains=("dead-units", "does-not-learn", "too-few-epochs", "non-finite-loss"),
)
def relu_output(case: Case) -> Found | None:
    """Sick where the network does better without; a note where it does well with."""
    found = case.network
    if case.refused is not None or found is None or found.end is None:
        return None
    if found.end_kind != RELU or not case.runs:
        return None
    y = np.asarray(case.train.y)
    negative = float((y < 0).mean()) if case.task == "quantities" else None
    if case.task == "unknown" or (negative == 0 and not case.can_be_sick):
        return None
    evidence = {}
    if negative is not None:
        evidence["share_of_targets_below_0"] = negative
    if case.seen_at_end is not None and "" in case.seen_at_end:
        zero = case.seen_at_end[""] == 0
        evidence["share_of_outputs_that_are_0"] = float(zero.mean())
    last = found.activations(RELU)
    make, what = _instead(case.setup.loss)
    remove = changes.layer(case.setup, [last[-1].path], make, what) if last else None
    severity, best = (None, None)
    if remove is not None and case.can_be_sick:
        severity, best = case.judge(remove)
    if severity is None:
        if negative == 0:
            return None
        severity = "risk" if negative else "note"
    return Found(severity, found.where(), evidence, remove, best)


def _instead(loss: Any) -> tuple[Callable[[], nn.Module], str]:
    """Return what ends a network in front of a loss, and what to call that change."""
    if isinstance(loss, nn.BCELoss):
        return nn.Sigmoid, _("a sigmoid in place of the ReLU")
    if isinstance(loss, nn.CrossEntropyLoss) and not loss.from_logits:
        return nn.Softmax, _("a softmax in place of the ReLU")
    return nn.Identity, _("no ReLU in front of the loss")


@relu_output.sick
def sick_example() -> examples.Made:
    model = examples.mlp(2, 1).append(nn.ReLU())
    return examples.example(model, examples.waves(), loss=nn.MSELoss())


@relu_output.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(2, 1)
    return examples.example(model, examples.waves(), loss=nn.MSELoss())
