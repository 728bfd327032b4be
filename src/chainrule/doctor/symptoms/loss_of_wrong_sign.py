"""A loss that rewards what it should punish."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change
from chainrule.doctor.heard import ENDS
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.setup import Setup
from chainrule.doctor.subject import is_own
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.tensor import Tensor, tensor
from chainrule.text import _

#: So many standard errors below chance are no chance.
ERRORS = 2.0
#: Where a loss of one's own is evaluated: distances from the targets, in deviations, of
#: so many rows.
DISTANCES = {
    "loss_at_targets": 0.0,
    "loss_half_a_deviation_off": 0.5,
    "loss_1_deviation_off": 1.0,
    "loss_2_deviations_off": 2.0,
}
ROWS = 256
#: Scores of the right class, those of the others with the other sign.
ANSWERS = {
    "loss_of_wrong_answers": -2.0,
    "loss_of_undecided_answers": 0.0,
    "loss_of_right_answers": 2.0,
}
#: A loss that rises by a smaller share of itself does not rise.
RISE = 1e-3


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
    """A loss of one's own that is smaller, the surer wrong answers are; −loss cures.

    On quantities: it is smaller, the farther its outputs are from the targets. One that
    takes no such answers is of the wrong sign where the score ends below chance.
    """
    if case.refused is not None or case.network is None or not case.single:
        return None
    if not is_own(case.setup.loss):
        return None  # below chance by such a loss is something else, such as other rows
    answers = _of_answers(case)
    if answers is not None and _rise(answers):
        best = case.compare(_negated(case.setup))
        # A network of distances, of which the least wins, does worse with −loss.
        if best is not None and best.gain >= -2 * best.noise:
            return Found("sick", "loss", answers, comparison=best, confidence=0.9)
    if answers is not None and _rise(dict(reversed(answers.items()))):
        return None  # it is right
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


def _of_answers(case: Case) -> dict[str, float] | None:
    """Return the loss of wrong, undecided and right answers; None: it takes none."""
    truth = _right(case)
    if truth is None or not case.runs:
        return None
    setup, y = case.setup.copy(), tensor(np.asarray(case.train.y[: len(truth)]))
    assert case.network is not None
    end = ENDS.get(case.network.end_kind)
    losses: dict[str, float] = {}
    with no_grad():
        for name, sure in ANSWERS.items():
            answers = tensor((sure * (2 * truth - 1)).astype(np.float32))
            answers = answers if end is None else end(answers)
            try:
                losses[name] = float(setup.loss(answers, y).item())
            except Exception:  # noqa: BLE001 - of the user's loss
                return None
    return losses


def _right(case: Case) -> Array | None:
    """Return the right answers of some rows as 0 and 1; None of what is no class."""
    assert case.network is not None
    y, output = np.asarray(case.train.y[:ROWS]), case.network.output
    shape = () if output is None else output.shape[1:]
    if y.dtype.kind in "iu" and y.ndim == 1 and len(shape) == 1:
        (classes,) = shape
        if not isinstance(classes, int) or classes < 2:
            return None
        return np.eye(classes)[y] if 0 <= y.min() <= y.max() < classes else None
    binary = shape == y.shape[1:] and {*np.unique(y)} == {0, 1}
    return y.astype(np.float64) if binary else None


def _rise(losses: dict[str, float]) -> bool:
    """Return whether losses rise from each to the next, beyond rounding."""
    return all(b - a > RISE * abs(a) for a, b in pairwise(losses.values()))


def _rewards_distance(case: Case) -> Found | None:
    """Compare the loss of the targets themselves with that of numbers around them."""
    y = np.asarray(case.train.y[:ROWS])
    output = None if case.network is None else case.network.output
    same = output is not None and output.shape[1:] == y.shape[1:]
    if y.dtype.kind != "f" or not same or not y.std() > 0:
        return None
    # To both sides alike: what is linear in the outputs prefers one of them.
    off = np.random.default_rng(0).normal(size=y.shape) * y.std()
    off, truth = np.concatenate([off, -off]), np.concatenate([y, y])
    evidence: dict[str, float] = {}
    setup = case.setup.copy()
    with no_grad():
        for name, distance in DISTANCES.items():
            near = tensor((truth + distance * off).astype(y.dtype))
            try:
                evidence[name] = float(setup.loss(near, tensor(truth)).item())
            except Exception:  # noqa: BLE001 - of the user's loss
                return None
    if not _rise(dict(reversed(evidence.items()))):
        return None
    change = _negated(case.setup)
    best = case.compare(change)
    return Found("sick", "loss", evidence, change, best, confidence=0.9)


def _negated(setup: Setup) -> Change:
    """Return the change of the loss to its negative."""

    def apply(setup: Setup) -> None:
        own: Any = setup.loss
        setup.loss, setup.other_loss = lambda p, t: -own(p, t), True

    name = getattr(setup.loss, "__name__", repr(setup.loss))
    what = _("the loss with the other sign")
    before, after = f"loss={name}", f"loss=lambda p, t: -{name}(p, t)"
    return Change(what, before, after, apply, slots=("loss",))


def _rewarded(scores: Tensor, labels: Tensor) -> Tensor:
    return -nn.functional.cross_entropy(scores, labels).clamp(max=50.0)


@loss_of_wrong_sign.sick
def sick_example() -> examples.Made:
    return examples.example(loss=_rewarded)


@loss_of_wrong_sign.healthy
def healthy_example() -> examples.Made:
    return examples.example(loss=nn.functional.cross_entropy)
