"""Gradients that are lost on the way back to the first layers."""

from __future__ import annotations

from functools import partial

from chainrule import nn
from chainrule.doctor import changes, examples, initialising
from chainrule.doctor.case import Case
from chainrule.doctor.network import RELU, SQUASHING
from chainrule.doctor.rebuilding import shallower
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _, ngettext

#: ‖∂L/∂W‖ of the first weights against that of the last: AutoTrainer (Zhang et al.
#: 2021) calls a ratio below 10⁻³ vanishing.
RATIO = 1e-3


@symptom(
    "vanishing-gradient",
    "activation",
    stage=4,
    looks=_("the loss stays where it began, and the first layers never change"),
    why=_(
        "δ is multiplied by f′ and Wᵀ at every layer: derivatives below 1 (σ′ ≤ ¼, "
        "tanh′ ≤ 1) and small weights shrink it geometrically with the depth"
    ),
    fix=_("ReLU with weights of its variance, normalisation, or fewer layers"),
    reference=_("book 3.8; Glorot & Bengio 2010; He et al. 2015"),
    explains=(
        *("does-not-learn", "too-few-epochs", "learning-rate-too-small"),
        *("batch-too-large", "over-regularised"),
    ),
)
def vanishing_gradient(case: Case) -> Found | None:
    """Measured at the first step; sick where other activations or weights cure."""
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    norms = list(case.first("grad_norm").items())
    if len(norms) < 3 or not norms[-1][1] > 0:
        return None
    of_layers = [norm for name, norm in norms if not name.endswith("bias")]
    if not norms[0][1] / norms[-1][1] < RATIO or not of_layers[-1] > 0:
        return None
    evidence = {
        "grad_norm_of_first_weights": of_layers[0],
        "grad_norm_of_last_weights": of_layers[-1],
        "grad_norm_ratio": of_layers[0] / of_layers[-1],
    }
    curves = {"grad_norm_of_layers": of_layers}
    assert case.network is not None
    cause, advice = _causes(case)
    found = partial(
        Found,
        where=norms[0][0],
        evidence=evidence,
        curves=curves,
        cause=cause,
        advice=advice,
    )
    squashing = [x.path for x in case.network.activations(*SQUASHING)]
    if case.network.end_kind in SQUASHING:
        squashing = squashing[:-1]
    what = ngettext(
        "ReLU in place of {n} squashing activation",
        "ReLU in place of {n} squashing activations",
        n=len(squashing),
    )
    other = changes.activation(case.setup, squashing, nn.ReLU, what)
    relu = bool(case.network.activations(RELU))
    variance = initialising.variance(case.setup, relu=relu)
    if case.explained("vanishing-gradient"):
        return found("risk", change=other or variance)
    severity, best, part = case.judge_each(
        ("initialisation", variance),
        ("activation", other),
        ("architecture", shallower(case.setup)),
    )
    if severity is None:
        return found("risk", change=other or variance)
    return found(severity, comparison=best, component=part)


def _causes(case: Case) -> tuple[str | None, str | None]:
    """Return why the gradient vanishes, and what helps, by the activations there are.

    None: the words of the symptom, which speak of sigmoid and tanh.
    """
    assert case.network is not None
    inside = any(
        isinstance(m, initialising.RECURRENT) for m in case.setup.model.modules()
    )
    if inside or case.network.activations(*SQUASHING):
        return None, None
    if case.network.activations(RELU):
        cause = _(
            "δ is multiplied by f′ and Wᵀ at every layer: f′ of a ReLU is 0 or 1, so "
            "where about half of the units are 0, weights with a variance below "
            "2/inputs shrink it geometrically with the depth"
        )
        return cause, _(
            "weights of the variance that a ReLU keeps, 2/inputs; normalisation; or "
            "fewer layers"
        )
    cause = _(
        "δ is multiplied by f′ and Wᵀ at every layer: weights that are small for their "
        "number of inputs shrink it geometrically with the depth"
    )
    return cause, _(
        "initial weights that keep the variance, normalisation, or fewer layers"
    )


@vanishing_gradient.sick
def sick_example() -> examples.Made:
    return examples.example(examples.mlp(depth=8, act=nn.Sigmoid), epochs=20)


@vanishing_gradient.healthy
def healthy_example() -> examples.Made:
    return examples.example(examples.mlp(depth=2, act=nn.Sigmoid), lr=0.05, epochs=250)
