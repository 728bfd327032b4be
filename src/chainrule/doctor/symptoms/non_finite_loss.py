"""A loss or a weight that stops being a number, and the operation that did it."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.errors import NonFiniteError
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.training.nonfinite import POLES


@symptom(
    "non-finite-loss",
    "numerics",
    stage=4,
    looks=_("the loss is NaN, or fit() ends with NonFiniteError"),
    why=_(
        "an operation was given numbers for which it has no finite result; all that "
        "follows is NaN"
    ),
    fix=_(
        "keep the operation's input within its domain (a floor, such as "
        "x.clamp(min=1e-6)), or take the stable form: cross-entropy from scores, "
        "logsumexp"
    ),
    reference=_("book 3.3; Goodfellow, Bengio & Courville 2016, 4.1"),
)
def non_finite_loss(case: Case) -> Found | None:
    """The first operation with its inputs, or whose derivative: see ``first_bad``."""
    if case.refused is not None:
        return None
    error = case.trial.error
    if not isinstance(error, NonFiniteError):
        return None
    evidence = {"refused": error.what, "step": len(case.trial.losses) + 1}
    found = case.first_bad
    where, cause, advice = "", None, None
    if found is not None:
        where = found.where
        evidence |= {
            "operation": found.call,
            "non_finite_numbers": found.count,
            "numbers": found.size,
            "pass": found.role,
        }
        if found.forward in POLES:
            cause, advice = _EDGE
    elif error.got:
        evidence["first_seen"] = error.got
    return Found("sick", where, evidence, confidence=1.0, cause=cause, advice=advice)


#: Why a derivative is no number where the result is one, and what helps.
_EDGE = (
    _(
        "the operation has a result there, and no finite derivative: that of √x is "
        "1/(2√x), and at 0 it has no value. In the backward pass 0 · ∞ is NaN, also "
        "where the result is not used"
    ),
    _(
        "keep the input of the operation off that point: (x + 1e-12).sqrt(), or "
        "cr.where(x > 0, x, 1.0) in front of it; a where() behind it does not help"
    ),
)


class _Roots(nn.Module):
    """Two roots, the inner one of a number below 0."""

    def __init__(self) -> None:
        self.inner = examples.mlp(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + (x - 4.0).sqrt().sqrt()


@non_finite_loss.sick
def sick_example() -> examples.Made:
    return examples.example(_Roots())


@non_finite_loss.healthy
def healthy_example() -> examples.Made:
    return examples.example()
