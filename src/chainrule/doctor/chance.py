"""Chance in a run: the same setup with other initial weights and orders.

A seed draws the initial weights and the order of the rows. Weights that look as the
layers draw them, or as He's or Glorot's rule does, are drawn anew; others, which may
have been trained, are kept, and the order alone is another one.
"""

from __future__ import annotations

import numpy as np

from chainrule.doctor import evidence
from chainrule.doctor.case import Case
from chainrule.doctor.changes import is_of_product, keep_variance, redrawn
from chainrule.doctor.finding import Change, Comparison
from chainrule.doctor.setup import Setup, as_drawn
from chainrule.text import _

#: Deviations that differ by a smaller share, beside three standard errors of two draws,
#: are those of one rule.
ALIKE = 0.1


def other_draw(setup: Setup) -> Change | None:
    """Return the change of all initial weights to another draw of the same rule.

    None where no rule is known for one of them.
    """
    paths = {n.rpartition(".")[0] for n, __ in setup.model.named_parameters()}
    if paths <= as_drawn(setup.model):
        return redrawn(paths)
    own = _deviations(setup)
    known = dict[bool, float]()
    for relu in (True, False):
        fresh = setup.copy()
        keep_variance(fresh, relu=relu)
        other = _deviations(fresh)
        if own and all(_alike(own[n], found) for n, found in other.items()):
            known[relu] = sum(abs(own[n][0] - s) / s for n, (s, __) in other.items())
    return _by_rule(relu=min(known, key=known.__getitem__)) if known else None


def _alike(own: tuple[float, int], other: tuple[float, int]) -> bool:
    """Return whether two deviations, each of so many numbers, are those of one rule."""
    (a, n), (b, __) = own, other
    return abs(a - b) <= (ALIKE + 3 / np.sqrt(n)) * b


def _deviations(setup: Setup) -> dict[str, tuple[float, int]]:
    """Return the deviations of all weight matrices; none if some are not of layers."""
    found = {
        n: (float(np.std(p.numpy())), p.numpy().size)
        for n, p in setup.model.named_parameters()
        if p.ndim > 1
    }
    return found if all(is_of_product(setup.model, n) for n in found) else {}


def _by_rule(*, relu: bool) -> Change:
    def apply(setup: Setup) -> None:
        keep_variance(setup, relu=relu)

    return Change(_("other initial weights"), "weights", "", apply, slots=("weights",))


def by_seed(case: Case) -> list[float | None]:
    """Return the scores of the run as it is over the seeds; [] beyond the budget."""
    scores = [case.score]
    draw = other_draw(case.setup)
    for seed in range(1, evidence.SEEDS):
        setup = case.prepared(*([draw] if draw else []), seed=seed)
        if not case.budget.takes(case.cost(setup)):
            return []
        scores.append(case.run_scored(setup))
    return scores


def compared(
    case: Case, before: list[float | None], change: Change
) -> Comparison | None:
    """Return what a change does over the seeds, each with its own initial weights.

    The worst seed is asked first. None: there the change helps by less than half of
    what is sick, or the budget does not reach.
    """
    draw = other_draw(case.setup)
    known = [case.baseline if s is None else s for s in before]
    after: dict[int, float | None] = {}
    for seed in sorted(range(len(known)), key=known.__getitem__):
        made = [draw] if draw and seed else []
        setup = case.prepared(*made, change, seed=seed)
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
        change, case.metric, tuple(before), scores, case.baseline, noise, case.share
    )
