"""Initial weights so large or small that signals explode or vanish in the network."""

from __future__ import annotations

import math

from chainrule import nn
from chainrule.doctor import examples, initialising
from chainrule.doctor.case import Case
from chainrule.doctor.network import RELU
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: std(W)·√(inputs) of a layer that keeps the variance is 1 (Glorot & Bengio 2010) to √2
#: (He et al. 2015), 0.58 as layers draw them here. Ten times less or more is suspected.
LEAST, MOST = 0.05, 8.0


@symptom(
    "weights-badly-scaled",
    "initialisation",
    stage=2,
    looks=_("the loss begins huge, or the outputs are the same for all rows"),
    why=_(
        "each layer multiplies the size of its input by std(W)·√(inputs): far from 1 "
        "the signal and its gradient explode or vanish with the depth"
    ),
    fix=_("weights that keep the variance: nn.init.kaiming_normal_, xavier_normal_"),
    reference=_("Glorot & Bengio 2010; He et al. 2015"),
    explains=(
        *("vanishing-gradient", "exploding-gradient", "does-not-learn", "dead-units"),
        *("saturated-units", "learning-rate-too-large", "learning-rate-too-small"),
        *("too-few-epochs", "batch-too-large", "non-finite-loss", "over-regularised"),
    ),
)
def weights_badly_scaled(case: Case) -> Found | None:
    """Suspected by the weights; sick where weights of another size cure."""
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    if "constant-weights" in case.found:
        return None
    gains = {
        n: float(p.numpy().astype("float64").std()) * inputs**0.5
        for n, p in case.setup.model.named_parameters()
        if p.ndim > 1 and (inputs := initialising.inputs_of(case.setup, n))
    }
    bad = {n: g for n, g in gains.items() if not LEAST <= g <= MOST}
    if not bad:
        return None
    assert case.network is not None
    relu = bool(case.network.activations(RELU))
    change = initialising.variance(case.setup, relu=relu)
    severity, best = case.judge(change)
    if severity is None:
        return None
    worst = max(bad, key=lambda n: abs(_log(bad[n])))
    evidence = {
        "gain_of_weights": bad[worst],
        "layers_out_of_range": len(bad),
        "loss_at_first_step": case.trial.loss_at_start(),
    }
    spread = case.first("activation_std")
    if (path := worst.rpartition(".")[0]) in spread:
        evidence["output_deviation_at_first_step"] = spread[path]
    return Found(severity, worst, evidence, comparison=best)


def _log(gain: float) -> float:
    return math.log(max(gain, 1e-30))


@weights_badly_scaled.sick
def sick_example() -> examples.Made:
    model = examples.spread(examples.mlp(depth=6), 0.0003)
    return examples.example(model, epochs=15)


@weights_badly_scaled.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(depth=4)
    for name, p in model.named_parameters():
        if name.endswith("weight"):
            nn.init.kaiming_normal_(p, nonlinearity="relu")
    return examples.example(model)
