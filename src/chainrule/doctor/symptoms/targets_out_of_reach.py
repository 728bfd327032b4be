"""Targets that the last activation cannot give."""

from __future__ import annotations

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.network import SIGMOID, SOFTMAX, TANH
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: The ranges of activations.
RANGES = {SIGMOID: (0.0, 1.0), SOFTMAX: (0.0, 1.0), TANH: (-1.0, 1.0)}


@symptom(
    "targets-out-of-reach",
    "activation",
    stage=1,
    looks=_(
        "the loss stops falling at a height, and outputs lie at the end of a range"
    ),
    why=_(
        "the last activation gives numbers of a range, and targets lie outside of it"
    ),
    fix=_("end the network in the linear layer, without an activation"),
    reference=_("Goodfellow, Bengio & Courville 2016, 6.2.2: output units"),
    explains=("saturated-units", "does-not-learn", "too-few-epochs"),
)
def targets_out_of_reach(case: Case) -> Found | None:
    """Measured: the share of targets outside of the range. Sick where removal cures."""
    found = case.network
    if case.refused is not None or case.task != "quantities" or not case.runs:
        return None
    if found is None or found.end is None or found.end_kind not in RANGES:
        return None
    low, high = RANGES[found.end_kind]
    y = np.asarray(case.train.y, np.float64)
    outside = float(((y < low) | (y > high)).mean())
    if not outside:
        return None
    last = found.activations(found.end_kind)
    what = _("no activation in front of the loss")
    change = (
        changes.layer(case.setup, [last[-1].path], nn.Identity, what) if last else None
    )
    severity, best = None, None
    if change is not None and case.can_be_sick:
        severity, best = case.judge(change)
    evidence = {
        "share_of_targets_out_of_reach": outside,
        "least_target": float(y.min()),
        "greatest_target": float(y.max()),
    }
    return Found(severity or "risk", found.where(), evidence, change, best)


@targets_out_of_reach.sick
def sick_example() -> examples.Made:
    made = examples.waves()
    model = examples.mlp(2, 1).append(nn.Sigmoid())
    rows = Dataset(made.x, made.y * 3 - 2)
    return examples.example(model, rows, loss=nn.MSELoss())


@targets_out_of_reach.healthy
def healthy_example() -> examples.Made:
    made = examples.waves()
    model = examples.mlp(2, 1).append(nn.Sigmoid())
    rows = Dataset(made.x, made.y * 0.25 + 0.5)
    return examples.example(model, rows, loss=nn.MSELoss(), epochs=60)
