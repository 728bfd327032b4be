"""Training rows whose features are scaled, or spread, otherwise than held-out ones."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.columns import Columns, table
from chainrule.doctor.evidence import SICK
from chainrule.doctor.finding import Change
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.setup import Setup
from chainrule.text import _, joined

#: Half of the columns have deviations that differ by this factor, or means by so many
#: deviations: in large random parts both differ by little. Ours.
RATIO, OFF = 1.5, 1.0
#: Rows of each part below which nothing is said; standard errors that are no chance.
ROWS, ERRORS = 30, 2.0
#: Means and deviations are 0 and 1 to so many digits where a part was standardised by
#: its own numbers: the mean of n other rows is off by 1/√n.
STANDARD = 2e-4


@symptom(
    "inputs-differ",
    "preprocessing",
    stage=1,
    looks=_(
        "the training loss falls, and the validation loss is poor from the beginning"
    ),
    why=_(
        "the features of the training rows and of the held-out rows are of another "
        "size, or place: they were prepared otherwise, or noise was added to one part "
        "alone"
    ),
    fix=_("prepare all rows by the same numbers: those of the training rows"),
    reference=_("Goodfellow, Bengio & Courville 2016, 5.2: the same distribution"),
    explains=(
        *("overfitting", "does-not-learn", "wrong-labels", "too-few-rows"),
        *("too-few-epochs", "learning-rate-too-large", "labels-without-signal"),
    ),
)
def inputs_differ(case: Case) -> Found | None:
    """Sick where each part standardised by itself cures; or, where held-out rows teach.

    That is, a standard network of some held-out rows is much better on the others than
    the run, and one of the training rows.
    """
    if case.refused is not None or case.given_validation is None or not case.runs:
        return None
    if case.columns is None or case.takes_indices or not case.can_be_sick:
        return None
    held = case.setup.held_out
    if min(len(case.train), len(held)) < ROWS:
        return None
    if held.x.shape[1:] != case.train.x.shape[1:]:
        return None
    own, other = case.columns, Columns(table(held.x), None)
    varied = (own.deviations > 0) & (other.deviations > 0)
    if not varied.any():
        return None
    a, b = own.deviations[varied], other.deviations[varied]
    ratio = float(np.exp(np.median(np.log(a / b))))
    off = np.abs(own.means - other.means)[varied] / np.maximum(a, b)
    far = max(ratio, 1 / ratio) >= RATIO or np.median(off) >= OFF
    cause = None
    if not far:
        same = np.array_equal(own.means, other.means)  # the same rows, most likely
        if same or not (_is_standard(own) and _is_standard(other)):
            return None
        cause = _(
            "each part was standardised by its own numbers, so that their columns have "
            "mean 0 and deviation 1 alike: the same number stands for another "
            "measurement in each of them"
        )
    evidence: dict[str, float] = {
        "deviations_to_those_of_held_out_rows": ratio,
        "means_apart_in_deviations": float(np.median(off)),
    }
    severity, best = case.judge(_apart()) if far else ("risk", None)
    if severity == "sick":
        return Found("sick", "x", evidence, comparison=best)
    score = case.baseline if case.score is None else case.score
    reached = max(score, score if case.signal is None else case.signal)
    among = case.among
    if among is not None and among - reached > max(
        SICK[case.metric], ERRORS * case.noise(reached, among)
    ):
        evidence[f"{case.metric}_of_run"] = score
        evidence[f"{case.metric}_among_held_out_rows"] = among
        return Found("sick", "x", evidence, confidence=0.9, cause=cause)
    return Found(severity or "note", "x", evidence, comparison=best, cause=cause)


def _is_standard(columns: Columns) -> bool:
    """Return whether all columns have mean 0 and deviation 1, beyond chance."""
    varied = columns.deviations > 0
    means, deviations = columns.means[varied], columns.deviations[varied]
    return bool(
        (np.abs(means) < STANDARD).all() and (np.abs(deviations - 1) < STANDARD).all()
    )


def _apart() -> Change:
    """Return the change that standardises each part by its own numbers."""

    def apply(setup: Setup) -> None:
        for name in ("train", "held_out"):
            part = getattr(setup, name)
            x = np.asarray(part.x[:], np.float64)
            deviation = x.std(0)
            x = (x - x.mean(0)) / np.where(deviation > 0, deviation, 1.0)
            new = Dataset(x.astype(np.float32), part.y, classes=part.classes)
            setattr(setup, name, new)

    what = _("each part standardised, to see whether their scales differ")
    after = joined(" ", ["#", _("both parts, prepared by the same numbers")])
    return Change(what, "train.x, validation.x", after, apply, slots=("inputs",))


@inputs_differ.sick
def sick_example() -> examples.Made:
    train, held = examples.moons(500).split(0.6, seed=0)
    scaled = Dataset(held.x[:] * 8, held.y, classes=2)
    return examples.example(rows=train, validation=scaled)


@inputs_differ.healthy
def healthy_example() -> examples.Made:
    train, held = examples.moons(500).split(0.6, seed=0)
    return examples.example(rows=train, validation=held)
