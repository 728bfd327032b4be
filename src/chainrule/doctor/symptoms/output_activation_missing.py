"""Scores, which may be any number, in front of a loss that takes probabilities."""

from __future__ import annotations

import numpy as np

from chainrule import nn
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.network import SIGMOID, SOFTMAX
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _


@symptom(
    "output-activation-missing",
    "activation",
    stage=1,
    looks=_("the loss is refused, is NaN, or falls below 0"),
    why=_(
        "the loss takes the logarithm of the outputs as of probabilities, and the "
        "network gives scores, which leave 0 … 1"
    ),
    fix=_("take the loss of scores, or end the network in the activation"),
    reference=_("book 3.2.3 and 3.3 (2): ŷ = softmax(z)"),
    explains=("does-not-run", "non-finite-loss", "does-not-learn", "dead-units"),
)
def output_activation_missing(case: Case) -> Found | None:
    """Measured: outputs outside 0 … 1 under a loss of probabilities."""
    if case.refused is not None or case.network is None or case.network.end is None:
        return None
    loss = case.setup.loss
    if isinstance(loss, nn.BCELoss):
        make, wanted = nn.BCEWithLogitsLoss, "nn.Sigmoid()"
    elif isinstance(loss, nn.CrossEntropyLoss) and not loss.from_logits:
        make, wanted = nn.CrossEntropyLoss, "nn.Softmax()"
    elif isinstance(loss, nn.NLLLoss):
        make, wanted = nn.CrossEntropyLoss, "nn.LogSoftmax()"
    else:
        return None
    if case.network.end_kind in (SIGMOID, SOFTMAX) or case.seen is None:
        return None
    outputs = case.seen.get("")
    if outputs is None:
        return None
    rows = outputs.reshape(len(outputs), -1).astype(np.float64)
    if isinstance(loss, nn.NLLLoss):
        outside = float((rows > 0).mean())
        with np.errstate(over="ignore"):
            sums = np.exp(rows).sum(1)
    else:
        outside = float(((rows < 0) | (rows > 1)).mean())
        sums = rows.sum(1) if wanted == "nn.Softmax()" else np.ones(1)
    off = float(np.abs(sums - 1).max())
    leaves = case.trial.error is not None  # as training goes on
    if not outside and off < 1e-3 and not leaves:
        return None
    change = changes.loss(case.setup, make, _("the loss of scores"))
    best = None if change is None else case.compare(change)
    evidence = {"share_of_outputs_out_of_range": outside, "loss": repr(loss)}
    if case.trial.error is not None:
        evidence["refused"] = case.trial.error.what
    advice = _("loss={loss}, or end the network in {end}", loss=make(), end=wanted)
    where = case.network.where()
    severity = "sick" if case.trial.error is not None or case.can_be_sick else "risk"
    return Found(severity, where, evidence, change, best, confidence=1.0, advice=advice)


@output_activation_missing.sick
def sick_example() -> examples.Made:
    rows = examples.binary(examples.moons())
    return examples.example(examples.mlp(2, 1), rows, loss=nn.BCELoss())


@output_activation_missing.healthy
def healthy_example() -> examples.Made:
    rows = examples.binary(examples.moons())
    model = examples.mlp(2, 1).append(nn.Sigmoid())
    return examples.example(model, rows, loss=nn.BCELoss())
