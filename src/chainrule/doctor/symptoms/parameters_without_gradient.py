"""Parameters that no gradient reaches: behind a ``detach``, or in no product at all."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.tensor import Tensor
from chainrule.text import _


@symptom(
    "parameters-without-gradient",
    "architecture",
    stage=7,
    looks=_("the loss falls a little, and some weights stay as they were drawn"),
    why=_(
        "the loss does not depend on them: they are behind a detach, a rounding or a "
        "choice by arg max, or the forward pass leaves them out"
    ),
    fix=_(
        "look where their values leave the graph: x.detach(), .numpy(), no_grad(), or "
        "a module that forward does not call"
    ),
    reference=_("book 2.6: a weight moves along its own derivative"),
    explains=(
        *("does-not-learn", "too-few-epochs", "learning-rate-too-small"),
        *("learning-rate-too-large", "overfitting", "labels-without-signal"),
        *("weights-badly-scaled", "too-few-rows"),
    ),
)
def parameters_without_gradient(case: Case) -> Found | None:
    """Sick where the run is behind its references as well; else to know."""
    if case.refused is not None or not case.runs or case.trial.error is not None:
        return None
    names = case.without_gradient
    if not names:
        return None
    count = len(list(case.setup.model.named_parameters()))
    evidence: dict[str, float | None] = {
        "parameters_without_gradient": len(names),
        "parameters": count,
    }
    where = ", ".join(names[:3])
    if case.sick or not case.can_be_sick or not case.behind:
        return Found("note", where, evidence, confidence=0.9)
    evidence |= {
        f"{case.metric}_of_run": case.score,
        f"{case.metric}_of_best_reference": case.signal,
    }
    return Found("sick", where, evidence, confidence=0.9)


class _Cut(nn.Module):
    """A network whose first layer no gradient reaches, where it is cut."""

    def __init__(self, width: int, cut: bool) -> None:
        self.first, self.last = nn.Linear(2, width), nn.Linear(width, 2)
        self.cut = cut

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        return self.last(h.detach() if self.cut else h)


@parameters_without_gradient.sick
def sick_example() -> examples.Made:
    return examples.example(_Cut(2, cut=True), epochs=40)


@parameters_without_gradient.healthy
def healthy_example() -> examples.Made:
    return examples.example(_Cut(16, cut=False), epochs=40)
