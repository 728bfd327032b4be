"""A softmax over labels that do not exclude each other."""

from __future__ import annotations

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import changes, examples
from chainrule.doctor.asked import are_labels, is_one_hot
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change
from chainrule.doctor.network import SOFTMAX
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _


@symptom(
    "softmax-over-labels",
    "activation",
    stage=1,
    looks=_("of several labels that a row has, one is found at most; none is always 1"),
    why=_(
        "the outputs of a softmax add up to 1: two labels that are both true get one "
        "half each, and a row without a label cannot be said"
    ),
    fix=_("a sigmoid for each label, and nn.BCELoss(), or scores and its logits"),
    reference=_("Goodfellow, Bengio & Courville 2016, 6.2.2: output units"),
    explains=(
        *("learning-rate-too-small", "too-few-epochs", "over-regularised"),
        *("does-not-learn", "vanishing-gradient", "dead-units", "batch-too-large"),
    ),
)
def softmax_over_labels(case: Case) -> Found | None:
    """Rows of 0 and 1 with several ones, or none; sick where sigmoids cure."""
    if case.refused is not None or case.network is None or not case.single:
        return None
    y = np.asarray(case.train.y)
    loss = case.setup.loss
    inside = isinstance(loss, nn.CrossEntropyLoss) and loss.from_logits
    softmax = case.network.end_kind == SOFTMAX
    if not (softmax or inside) or not are_labels(y) or is_one_hot(y):
        return None
    ends = case.network.activations(SOFTMAX) if softmax else []
    made = [_sigmoids(case, [ends[-1].path] if ends else [], mend) for mend in (0, 1)]
    severity, best = case.judge(*(c for c in made if c is not None))
    sums = y.sum(1)
    evidence = {
        "share_of_rows_with_several_labels": float((sums > 1).mean()),
        "share_of_rows_without_a_label": float((sums == 0).mean()),
        "outputs": y.shape[1],
    }
    where = case.network.where() if softmax else "loss"
    change = next((c for c in made if c is not None), None)
    return Found(severity or "risk", where, evidence, change, best, confidence=0.95)


def _sigmoids(case: Case, ends: list[str], mend: int) -> Change | None:
    """Return the change to a decision for each label, with its loss or without."""
    setup = case.setup
    made: list[Change | None] = []
    if ends:
        what = _("a sigmoid in place of the softmax")
        made.append(changes.layer(setup, ends, nn.Sigmoid, what))
    elif case.network is not None and case.network.end_kind == SOFTMAX:
        return None  # the softmax is no module: it stays, and scores are wanted
    if mend or not ends:
        make = nn.BCELoss if ends else nn.BCEWithLogitsLoss
        made.append(changes.loss(setup, make, _("a loss for each label")))
    if None in made:
        return None
    return changes.together([c for c in made if c is not None])


def _many(n: int = 400) -> Dataset:
    """Return rows of three labels, each by a plane of its own."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    y = x @ rng.normal(size=(6, 3)) + 0.5 > 0
    return Dataset(x, y.astype(np.float32))


@softmax_over_labels.sick
def sick_example() -> examples.Made:
    model = examples.mlp(6, 3).append(nn.Softmax())
    return examples.example(model, _many(), loss=nn.BCELoss())


@softmax_over_labels.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(6, 3).append(nn.Sigmoid())
    return examples.example(model, _many(), loss=nn.BCELoss())
