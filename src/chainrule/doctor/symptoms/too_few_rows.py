"""So few training rows that the held-out rows alone would teach more."""

from __future__ import annotations

from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import SICK
from chainrule.doctor.registry import Found, symptom
from chainrule.doctor.standard import DEVIATIONS
from chainrule.text import _

#: Rows below which nothing is said; standard errors that are no chance. Ours.
ROWS, ERRORS = 30, 2.0


@symptom(
    "too-few-rows",
    "data",
    stage=1,
    looks=_("the training loss falls to nothing, and the validation score stays poor"),
    why=_(
        "a standard network that is given more rows, some of the held-out ones, does "
        "much better on the rest of them, and one that is given as few does not"
    ),
    fix=_(
        "more training rows; of few rows train on most, and judge by cross-validation"
    ),
    reference=_("Goodfellow, Bengio & Courville 2016, 5.3.1: cross-validation"),
    explains=(
        *("overfitting", "does-not-learn", "too-few-epochs", "learning-rate-too-large"),
        *("learning-rate-too-small", "labels-without-signal", "batch-too-large"),
    ),
)
def too_few_rows(case: Case) -> Found | None:
    """Asked where there are fewer training rows than two thirds of held-out ones."""
    if case.refused is not None or case.given_validation is None or not case.single:
        return None
    if case.task == "unknown" or not case.runs or not case.can_be_sick or case.fitted:
        return None
    rows, held = len(case.train), len(case.setup.held_out)
    if held < ROWS or rows >= case.known_among:
        return None
    score = case.baseline if case.score is None else case.score
    own = score if case.standard is None else case.standard
    reached = max(score, own)
    among, bar = case.among, SICK[case.metric]
    if among is None:
        return None
    least = max(bar, ERRORS * case.noise(reached, among))
    if among - reached <= least:
        return None
    if case.as_many is None:
        return None
    few, spread = case.as_many
    if rows >= ROWS and few - own > max(least, DEVIATIONS * spread):
        return None  # these rows are worth less than as many others
    evidence = {
        "rows": rows,
        "held_out_rows": held,
        f"{case.metric}_of_run": score,
        f"{case.metric}_among_held_out_rows": among,
        f"{case.metric}_of_as_many_held_out_rows": few,
    }
    return Found("sick", "x", evidence, confidence=0.9)


@too_few_rows.sick
def sick_example() -> examples.Made:
    train, held = examples.moons(600).split(12 / 600, seed=0)
    return examples.example(examples.mlp(), train, validation=held)


@too_few_rows.healthy
def healthy_example() -> examples.Made:
    train, held = examples.moons(600).split(0.3, seed=0)
    return examples.example(examples.mlp(), train, validation=held)
