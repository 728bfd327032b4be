"""A loss that rewards what it should punish."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.setup import Setup
from chainrule.graph.context import no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.text import _

#: So many standard errors below chance are no chance.
ERRORS = 2.0
#: Where a loss of one's own is evaluated: distances from the targets, in deviations, of
#: so many rows.
DISTANCES, ROWS = (0.0, 0.5, 1.0, 2.0), 256


@symptom(
    "loss-of-wrong-sign",
    "loss",
    stage=2,
    looks=_("the loss falls, below 0 perhaps, and the score is worse than guessing"),
    why=_("the optimiser makes the loss small: one with the wrong sign makes errors"),
    fix=_("the loss with the other sign: −log p, (ŷ − y)², not their negatives"),
    reference=_("book 2.5: a loss is small where the answer is right"),
    explains=(
        *("learning-rate-too-small", "too-few-epochs", "does-not-learn"),
        *("learning-rate-too-large", "batch-too-large", "exploding-gradient"),
        *("vanishing-gradient", "dead-units", "over-regularised", "overfitting"),
        *("unscaled-inputs", "saturated-units"),
    ),
)
def loss_of_wrong_sign(case: Case) -> Found | None:
    """The loss falls, and the score ends below chance; sick where −loss cures.

    Of a function of one's own on quantities: it is smaller, the farther its outputs are
    from the targets.
    """
    if case.refused is not None or case.network is None or not case.single:
        return None
    if case.task == "unknown":
        return _rewards_distance(case)
    if not case.runs or not case.can_be_sick:
        return None
    trial, score, labels = case.trial, case.score, case.labels
    if trial.error is not None or score is None or labels is None:
        return None
    if not trial.loss_at_end() < trial.loss_at_start():
        return None
    chance = 1 / len(np.unique(labels))
    if score > chance - ERRORS * case.noise(score, chance):
        return None
    severity, best = case.judge(_negated(case.setup))
    if severity is None:
        return None
    evidence = {
        "loss_at_first_step": trial.loss_at_start(),
        "loss_at_end": trial.loss_at_end(),
        "accuracy_of_constant_answer": chance,
    }
    curves = {"loss": trial.losses.tolist()}
    return Found(severity, "loss", evidence, comparison=best, curves=curves)


def _rewards_distance(case: Case) -> Found | None:
    """Compare the loss of the targets themselves with that of numbers around them."""
    y = np.asarray(case.train.y[:ROWS])
    output = None if case.network is None else case.network.output
    same = output is not None and output.shape[1:] == y.shape[1:]
    if y.dtype.kind != "f" or not same or not y.std() > 0:
        return None
    off = np.random.default_rng(0).normal(size=y.shape) * y.std()
    losses: list[float] = []
    with no_grad():
        for distance in DISTANCES:
            near = tensor((y + distance * off).astype(y.dtype))
            try:
                losses.append(float(case.setup.loss(near, tensor(y)).item()))
            except Exception:  # noqa: BLE001 - of the user's loss
                return None
    if not all(b < a for a, b in pairwise(losses)):
        return None
    evidence = {
        f"loss at {distance:g} deviations from the targets": loss
        for distance, loss in zip(DISTANCES, losses, strict=True)
    }
    change = _negated(case.setup)
    return Found("sick", "loss", evidence, change, confidence=0.9)


def _negated(setup: Setup) -> Change:
    """Return the change of the loss to its negative."""

    def apply(setup: Setup) -> None:
        own: Any = setup.loss
        setup.loss = lambda p, t: -own(p, t)

    name = getattr(setup.loss, "__name__", repr(setup.loss))
    what = _("the loss with the other sign")
    return Change(what, f"loss={name}", f"loss=lambda p, t: -{name}(p, t)", apply)


def _rewarded(scores: Tensor, labels: Tensor) -> Tensor:
    return -nn.functional.cross_entropy(scores, labels).clamp(max=50.0)


@loss_of_wrong_sign.sick
def sick_example() -> examples.Made:
    return examples.example(loss=_rewarded)


@loss_of_wrong_sign.healthy
def healthy_example() -> examples.Made:
    return examples.example(loss=nn.functional.cross_entropy)
