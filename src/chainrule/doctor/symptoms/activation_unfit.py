"""Activations between layers that overflow, have no derivative, or share one total."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.network import SOFTMAX
from chainrule.doctor.registry import Found, symptom
from chainrule.tensor import Tensor
from chainrule.text import _

#: Operations that grow exponentially, and those whose derivative is 0 wherever they
#: have one.
GROWING = ("exp", "expm1")
FLAT = ("less", "equal", "sign", "floor", "round", "ceil")


@symptom(
    "activation-unfit",
    "activation",
    stage=1,
    looks=_("the loss is NaN after a few steps, or layers in front never change"),
    why=_(
        "exp of exp of exp overflows, and a step has derivative 0: nothing reaches the "
        "layers before; the units of a softmax share a total of 1, and its derivative "
        "is small"
    ),
    fix=_("nn.ReLU(), nn.GELU() or nn.Tanh() between layers"),
    reference=_("book 2.7; Goodfellow, Bengio & Courville 2016, 6.3: hidden units"),
    explains=(
        *("non-finite-loss", "exploding-gradient", "vanishing-gradient", "dead-units"),
        *("does-not-learn", "learning-rate-too-large", "learning-rate-too-small"),
        *("too-few-epochs", "batch-too-large", "weights-badly-scaled"),
        *("over-regularised", "unscaled-inputs"),
    ),
)
def activation_unfit(case: Case) -> Found | None:
    """Read off the graph: exp, a step, a softmax between layers; sick where ReLU cures.

    A network that cannot be made better is left in peace.
    """
    found = case.network
    if case.refused is not None or found is None or not case.runs:
        return None
    known = found.activations(*GROWING, *FLAT, SOFTMAX)
    if known and found.end_kind == known[-1].kind:
        known = known[:-1]
    if not known or not case.can_be_sick:
        return None
    paths = [x.path for x in known]
    what = _("ReLU in place of {name}", name=known[0].kind)
    change = changes.activation(case.setup, paths, nn.ReLU, what)
    severity, best = (None, None) if change is None else case.judge(change)
    if severity is None:
        return None
    evidence = {"operation": known[0].kind, "layers": len(known)}
    return Found(severity, known[0].path, evidence, change, best)


class _Exp(nn.Module):
    """The exponential function as an activation."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


@activation_unfit.sick
def sick_example() -> examples.Made:
    return examples.example(examples.mlp(act=_Exp, depth=4), lr=0.03)


@activation_unfit.healthy
def healthy_example() -> examples.Made:
    return examples.example(examples.mlp(act=nn.GELU, depth=4))
