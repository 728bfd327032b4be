"""Chance in a run: the same setup with other initial weights and orders.

A seed draws the initial weights, where they look like a draw, and the order of rows.
"""

from __future__ import annotations

import numpy as np

from chainrule.doctor import evidence
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change, Comparison


def by_seed(case: Case, seeds: int = evidence.SEEDS) -> list[float | None]:
    """Return the scores of the run as it is over seeds; [] beyond the budget."""
    for seed in range(1, seeds):
        if not case.known_as_it_is(seed):
            return []
    return [case.before[seed] for seed in range(seeds)]


def compared(
    case: Case, before: list[float | None], change: Change
) -> Comparison | None:
    """Return what a change does over the seeds, each with its own initial weights.

    The worst seed is asked first. None: there the change helps by less than half of
    what is sick, or the budget does not reach.
    """
    known = [case.baseline if s is None else s for s in before]
    after: dict[int, float | None] = {}
    for seed in sorted(range(len(known)), key=known.__getitem__):
        setup = case.drawn(change, seed=seed)
        if not case.budget.takes(case.cost(setup)):
            return None
        score = after[seed] = case.run_scored(setup)
        gain = (case.baseline if score is None else score) - known[seed]
        if len(after) == 1 and gain < evidence.SICK[case.metric] / 2:
            return None
    scores = tuple(after[seed] for seed in range(len(known)))
    means = [
        float(np.mean([case.baseline if s is None else s for s in part]))
        for part in (before, scores)
    ]
    noise = case.noise(*means)
    return Comparison(
        change,
        case.metric,
        tuple(before),
        scores,
        case.baseline,
        noise,
        case.share,
        case.prepared().steps,
        case.setup.steps,
    )
