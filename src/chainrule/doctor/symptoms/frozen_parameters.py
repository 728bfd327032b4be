"""Parameters that are kept from learning."""

from __future__ import annotations

from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.setup import Setup
from chainrule.text import _


@symptom(
    "frozen-parameters",
    "optimizer",
    stage=1,
    looks=_("fit() finds nothing to differentiate, or some layers never change"),
    why=_(
        "parameters with requires_grad=False have no gradient: no update changes them, "
        "and what they were drawn as is what they stay"
    ),
    fix=_("model.requires_grad_(True), or freeze only layers that are trained already"),
    reference=_("Yosinski et al. 2014: frozen layers, and layers that go on learning"),
    explains=(
        *("does-not-run", "does-not-learn", "too-few-epochs", "dead-units"),
        *("learning-rate-too-small", "vanishing-gradient", "batch-too-large"),
        *("over-regularised", "saturated-units"),
    ),
)
def frozen_parameters(case: Case) -> Found | None:
    """All are frozen, or some, and the run does better where they learn too."""
    if case.refused is not None:
        return None
    known = list(case.setup.model.named_parameters())
    frozen = [name for name, p in known if not p.requires_grad]
    if not frozen:
        return None
    change = _unfrozen(frozen)
    every = len(frozen) == len(known)
    severity, best = None, None
    if case.can_be_sick and (every or case.runs):
        severity, best = case.judge(change)
    if severity is None and not every:
        return None
    evidence = {"frozen_parameters": len(frozen), "parameters": len(known)}
    where = ", ".join(frozen[:3])
    if every:
        return Found("sick", where, evidence, change, best, confidence=1.0)
    return Found(severity or "note", where, evidence, change, best)


def _unfrozen(names: list[str]) -> Change:
    """Return the change that lets parameters learn."""

    def apply(setup: Setup) -> None:
        for name, p in setup.model.named_parameters():
            if name in names:
                p.requires_grad_(True)
        setup.optimizer.attach_parameters(dict(setup.model.named_parameters()))

    before = "\n".join(f"{name}: requires_grad=False" for name in names)
    after = "\n".join(f"{name}: requires_grad=True" for name in names)
    what = _("parameters that learn")
    return Change(what, before, after, apply, slots=("requires_grad",))


@frozen_parameters.sick
def sick_example() -> examples.Made:
    model = examples.mlp(depth=1)
    for layer in model:
        layer.requires_grad_(False)
    return examples.example(model)


@frozen_parameters.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(width=64)
    model[0].requires_grad_(False)  # random features, and a network behind them
    return examples.example(model, epochs=40)
