"""Sigmoid and tanh units at the ends of their range, where their derivative is 0."""

from __future__ import annotations

import numpy as np

from chainrule import nn
from chainrule.doctor import changes, examples, initialising
from chainrule.doctor.case import Case
from chainrule.doctor.network import SIGMOID, SQUASHING
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: An output this near to the end of the range has a derivative of 1 % of the largest or
#: less; and the share of such outputs in a layer that is suspected. Glorot & Bengio
#: 2010 show such layers; the share is ours.
NEAR, SHARE = 0.005, 0.8


@symptom(
    "saturated-units",
    "activation",
    stage=4,
    looks=_("activations are all 0 or 1 (−1 or 1), and the loss hardly falls"),
    why=_("at the ends of its range the derivative of a sigmoid or tanh is next to 0"),
    fix=_("scale the inputs, take smaller initial weights, or ReLU"),
    reference=_("book 2.7; Glorot & Bengio 2010"),
    explains=("vanishing-gradient", "does-not-learn", "too-few-epochs"),
)
def saturated_units(case: Case) -> Found | None:
    """Measured on up to 256 rows, with initial weights; sick where a change cures."""
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    assert case.network is not None
    if case.seen is None:
        return None
    outputs, shares = case.seen, dict[str, float]()
    layers = case.network.activations(*SQUASHING)
    for layer in layers:
        if layer.path in outputs and layer.path:
            a = outputs[layer.path].astype(np.float64)
            a = a if layer.kind == SIGMOID else (a + 1) / 2
            shares[layer.path] = float(((a < NEAR) | (a > 1 - NEAR)).mean())
    if not shares:
        return None
    worst = max(shares, key=lambda p: shares[p])
    if shares[worst] < SHARE:
        return None
    evidence = {
        "share_of_outputs_at_ends": shares[worst],
        "rows_looked_at": case.rows_seen,
    }
    variance = initialising.variance(case.setup, relu=False)
    what = _("ReLU in place of squashing activations")
    paths = [x.path for x in layers]
    if case.network.end_kind in SQUASHING:
        paths = paths[:-1]
    other = changes.activation(case.setup, paths, nn.ReLU, what)
    scaled = None
    if not case.takes_indices and case.columns is not None:
        scaled = changes.standardised(case.setup, case.feature_axes)
    if case.explained("saturated-units"):
        return Found("risk", worst, evidence, variance)
    severity, best, part = case.judge_each(
        ("initialisation", variance), ("activation", other), ("preprocessing", scaled)
    )
    if severity is None:
        return Found("note", worst, evidence)
    return Found(severity, worst, evidence, comparison=best, component=part)


@saturated_units.sick
def sick_example() -> examples.Made:
    model = examples.mlp(act=nn.Tanh)
    for name, p in model.named_parameters():
        if name.endswith("bias") and name != "4.bias":
            nn.init.constant_(p, 12.0)
    return examples.example(model, lr=0.003, epochs=20)


@saturated_units.healthy
def healthy_example() -> examples.Made:
    return examples.example(examples.mlp(act=nn.Tanh))
