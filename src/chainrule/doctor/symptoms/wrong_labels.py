"""Training labels that contradict those of similar rows, where held-out ones do not."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.columns import ASKED, KNOWN, NEIGHBOURS, neighbours
from chainrule.doctor.evidence import SEEDS, SICK, is_near
from chainrule.doctor.finding import Change, Comparison
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.setup import Setup
from chainrule.doctor.standard import DEVIATIONS
from chainrule.doctor.subject import SCORED
from chainrule.graph.node import Array
from chainrule.random import permutation
from chainrule.text import _

#: By how much the shares of contradicted rows must differ, besides two standard errors
#: of the smaller part. Ours.
GAP, ERRORS = 0.1, 2.0
#: Rows of each part below which nothing is said; below which neighbours say nothing.
ROWS, FEW = 30, 50
#: The shares of rows that contradict their neighbours.
OWN = "share_of_training_rows_neighbours_contradict"
WITHIN = "share_of_held_out_rows_neighbours_contradict"


@symptom(
    "wrong-labels",
    "labels",
    stage=1,
    looks=_("the training loss stays high, or falls while validation gets worse"),
    why=_(
        "training rows have other labels than rows like them, or teach nothing about "
        "held-out rows, which do teach something about each other: some training "
        "labels are wrong, or belong to other rows"
    ),
    fix=_("look at rows whose neighbours say otherwise; leave out what is wrong"),
    reference=_("Wilson 1972, edited nearest neighbours; Northcutt et al. 2021"),
    explains=(
        *("overfitting", "does-not-learn", "learning-rate-too-large", "dead-units"),
        *("learning-rate-too-small", "too-few-epochs", "over-regularised"),
        *("batch-too-large", "batch-too-small", "labels-without-signal"),
        *("vanishing-gradient", "exploding-gradient", "loss-of-wrong-sign"),
    ),
)
def wrong_labels(case: Case) -> Found | None:
    """Held-out rows say more about each other than training rows do about them.

    Neighbours: more training rows than held-out rows contradict theirs; sick where the
    run does better without those. A standard network: sick where one of two thirds of
    the held-out rows is right in the rest, and neither the run nor one of all training
    rows is.
    """
    if case.refused is not None or case.given_validation is None or not case.single:
        return None
    if case.task == "unknown" or not case.runs or not case.can_be_sick:
        return None
    if min(len(case.train), len(case.setup.held_out)) < ROWS or case.fitted:
        return None
    if case.sick & {"inputs-differ", "too-few-rows", "imbalanced-classes"}:
        return None  # rows of another kind, or few, are no proof of wrong labels
    evidence, (severity, best) = _by_neighbours(case)
    if severity != "sick":
        more = _by_network(case, 1 - evidence[WITHIN] if evidence else -np.inf)
        if more:
            helped = best if best is not None and best.gain > 0 else None
            return Found("sick", "y", evidence | more, None, helped, confidence=0.9)
    return Found(severity, "y", evidence, comparison=best) if severity else None


def _by_neighbours(
    case: Case,
) -> tuple[dict[str, float], tuple[str | None, Comparison | None]]:
    """Return how many rows contradict their neighbours, and what omitting them does."""
    train, held = case.train, case.setup.held_out
    if case.labels is None or min(len(train), len(held)) < FEW:
        return {}, (None, None)
    # Of as many rows: the more there are, the better neighbours know each other.
    within = _contradicted(held.x, case.classes(held.y), min(ASKED, len(train)))
    own = _contradicted(train.x, case.classes(train.y), KNOWN)
    errors = ERRORS * 0.5 / np.sqrt(min(len(own), len(within)))
    if own.mean() - within.mean() < GAP + errors:
        return {}, (None, None)
    evidence = {OWN: float(own.mean()), WITHIN: float(within.mean())}
    return evidence, case.judge(_edited())


def _by_network(case: Case, among: float) -> dict[str, float]:
    """Return the scores that show it, if they do.

    As many right labels as held-out rows have would do at least what these do.
    """
    signal, bar = case.signal, SICK[case.metric]
    if signal is None:
        return {}
    score = case.as_it_is()
    reached = max(score, signal)
    if reached > 1 - bar:
        return {}
    spread = 0.0
    if among - reached <= bar and case.as_many is not None:
        found, spread = case.as_many
        among = max(among, found)
    near = is_near(among - reached, case.metric)
    if near and all(case.known_as_it_is(seed) for seed in range(1, SEEDS)):
        score = case.as_it_is()
        reached = max(score, signal)
    held = len(case.setup.held_out)
    few = np.sqrt(min(SCORED, held) / min(ASKED, held))
    noise = case.noise(reached, among) * few
    if among - reached <= max(bar, ERRORS * noise, DEVIATIONS * spread):
        return {}
    return {
        f"{case.metric}_among_held_out_rows": among,
        f"{case.metric}_of_best_reference": signal,
        f"{case.metric}_of_run": score,
    }


def _contradicted(x: Array, y: Array, most: int) -> Array:
    """Return a flag for each row: most of its neighbours have another label."""
    rows = np.sort(permutation(len(y), 0, 0)[:most])
    x = np.asarray(x[rows], np.float64).reshape(len(rows), -1)
    y = y[rows]
    near = neighbours(x, x, NEIGHBOURS + 1)
    itself = near == np.arange(len(rows))[:, None]
    itself[~itself.any(1), -1] = True  # among many equal rows it may not be there
    near = near[~itself].reshape(len(rows), NEIGHBOURS)
    votes = np.stack([(y[near] == c).sum(1) for c in range(y.max() + 1)], 1)
    return votes.argmax(1) != y


def _edited() -> Change:
    """Return the change that leaves out training rows that neighbours contradict."""

    def apply(setup: Setup) -> None:
        y = setup.train.y
        classes = _classes(y)
        wrong = _contradicted(setup.train.x, classes, KNOWN)
        if len(wrong) == len(y) and not wrong.all():
            setup.train = setup.train.rows(np.flatnonzero(~wrong))

    what = _("no training rows that their neighbours contradict")
    after = "train.rows(confirmed)  # by their neighbours"
    return Change(what, "train", after, apply, slots=("rows",))


def _classes(y: Array) -> Array:
    """Return targets as class numbers."""
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(1)
    return (y.reshape(-1) > 0.5).astype(np.int64) if y.dtype.kind == "f" else y


def _moons(share: float) -> tuple[Dataset, Dataset]:
    """Return training rows, a share of them with other labels, and held-out ones."""
    train, held = examples.moons(500).split(0.6, seed=0)
    drawn = np.random.default_rng(0)
    new = drawn.uniform(size=len(train)) < share
    y = np.where(new, drawn.permutation(train.y), train.y)
    return Dataset(train.x, y, classes=2), held


@wrong_labels.sick
def sick_example() -> examples.Made:
    train, held = _moons(1.0)
    return examples.example(rows=train, validation=held)


@wrong_labels.healthy
def healthy_example() -> examples.Made:
    train, held = _moons(0.1)
    return examples.example(rows=train, validation=held)
