"""A softmax or a sigmoid at the end of a network whose loss applies it once more."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.network import SIGMOID, SOFTMAX, kind_of, place
from chainrule.doctor.registry import Found, symptom
from chainrule.nn.losses.binary import BCEWithLogitsLoss
from chainrule.nn.losses.classes import CrossEntropyLoss
from chainrule.text import _


@symptom(
    "output-activation-twice",
    "activation",
    stage=1,
    looks=_("the loss stays near ln C, or the Trainer refuses the network"),
    why=_(
        "the loss applies the softmax (or sigmoid) itself: of probabilities between 0 "
        "and 1 it makes a nearly even answer again, with tiny gradients"
    ),
    fix=_("end the network in scores: remove the activation in front of the loss"),
    reference=_("book 3.3 (2): δ = ŷ − y holds for the loss of scores"),
    explains=(
        *("does-not-run", "does-not-learn", "vanishing-gradient", "too-few-epochs"),
        *("learning-rate-too-small", "batch-too-large", "over-regularised"),
        *("saturated-units", "weights-badly-scaled", "learning-rate-too-large"),
    ),
)
def output_activation_twice(case: Case) -> Found | None:
    """Read off the graph: an activation whose output the loss takes as a score."""
    if case.refused is not None or case.network is None:
        return None
    end, loss = case.network.end, case.setup.loss
    again = None
    if end is not None:
        if isinstance(loss, CrossEntropyLoss) and loss.from_logits:
            again = SOFTMAX if kind_of(end) == SOFTMAX else None
        elif isinstance(loss, BCEWithLogitsLoss) or case.sigmoid_in_loss:
            again = SIGMOID if kind_of(end) == SIGMOID else None
    where = place(end) if again is not None and end is not None else ""
    if again is None and (pair := case.twice) is not None:
        again, where = kind_of(pair[1]), place(pair[1])
    if again is None:
        return None
    last = case.network.activations(again)
    remove = None
    if last:
        what = _("no {name} in front of the loss", name=again)
        remove = changes.layer(case.setup, [last[-1].path], nn.Identity, what)
    severity, best = (None, None) if remove is None else case.judge(remove)
    refused = not case.runs
    if severity != "sick" and not refused and not case.stalls:
        severity = "risk"
    else:
        severity = "sick"
    evidence = {"applied_twice": again}
    if case.trial.error is not None:
        evidence["refused"] = case.trial.error.what
    return Found(
        severity, where, evidence, remove, best, confidence=1.0, component="activation"
    )


@output_activation_twice.sick
def sick_example() -> examples.Made:
    model = examples.mlp().append(nn.Softmax())
    return examples.example(model)


@output_activation_twice.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp().append(nn.Softmax())
    return examples.example(model, loss=nn.CrossEntropyLoss(from_logits=False))
