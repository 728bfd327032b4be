"""Gradients that grow on the way back, or from step to step."""

from __future__ import annotations

import numpy as np

from chainrule import nn, optim
from chainrule.doctor import changes, examples, initialising
from chainrule.doctor.case import Case
from chainrule.doctor.network import RELU
from chainrule.doctor.registry import Found, symptom
from chainrule.errors import NonFiniteError
from chainrule.text import _

#: ‖∂L/∂θ‖ at a step: AutoTrainer (Zhang et al. 2021) has 70 as its bound.
LARGE = 70.0
#: How many times the norm of the first step, in a run that then ends without numbers,
#: leaves no doubt. Ours.
GROWN = 1e3


@symptom(
    "exploding-gradient",
    "initialisation",
    stage=4,
    looks=_("the loss jumps by orders of magnitude, or becomes infinite"),
    why=_(
        "δ is multiplied by Wᵀ at every layer: with large weights it grows with depth"
    ),
    fix=_("clip_norm=1.0 of the optimiser, or weights that keep the variance"),
    reference=_("book 3.8; Pascanu, Mikolov & Bengio 2013"),
    explains=(
        *("non-finite-loss", "does-not-learn", "dead-units", "saturated-units"),
        *("too-few-epochs",),
    ),
)
def exploding_gradient(case: Case) -> Found | None:
    """Measured at each step of the trial; sick where clipping or other weights cure.

    Sick too where the norm has grown a thousandfold in a run that ends without numbers.
    """
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    norms = np.asarray(case.trial.steps.get("grad_norm", ()), np.float64)
    if not len(norms) or not (norms.max() > LARGE):
        return None
    assert case.network is not None
    evidence = {
        "grad_norm_at_first_step": float(norms[0]),
        "largest_grad_norm": float(norms.max()),
        "median_grad_norm": float(np.median(norms)),
        "step_of_largest": int(norms.argmax()) + 1,
    }
    relu = bool(case.network.activations(RELU))
    clipped = changes.clipped(case.setup)
    curves = {"grad_norm": norms.tolist()}
    grown = norms[0] > 0 and norms.max() > GROWN * norms[0]
    if isinstance(case.trial.error, NonFiniteError) and grown:
        return Found("sick", "", evidence, clipped, confidence=1.0, curves=curves)
    if case.explained("exploding-gradient"):
        return Found("risk", "", evidence, clipped, curves=curves)
    severity, best, part = case.judge_each(
        ("optimizer", clipped),
        ("initialisation", initialising.variance(case.setup, relu=relu)),
    )
    if severity is None:
        return None
    return Found(severity, "", evidence, comparison=best, component=part, curves=curves)


@exploding_gradient.sick
def sick_example() -> examples.Made:
    model = examples.spread(examples.mlp(depth=4, width=32, act=nn.GELU), 1.2)
    return examples.example(model, optimizer=optim.SGD(lr=0.05))


@exploding_gradient.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(depth=4, width=32)
    return examples.example(model, optimizer=optim.SGD(lr=0.2), epochs=60)
