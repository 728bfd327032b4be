"""A run that is far behind its references, where no other symptom names the cause."""

from __future__ import annotations

import numpy as np

from chainrule import nn
from chainrule.doctor import changes, examples, space
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import RISK, TELLS
from chainrule.doctor.finding import Change, Comparison
from chainrule.doctor.registry import Found, symptom
from chainrule.tensor import Tensor
from chainrule.text import _

#: Rows below which a score says nothing.
ROWS = 50
#: The share of the asked steps from which a trial that is behind is no mere beginning.
PART = 0.25
#: Single changes are tried until the budget is down to so many runs, which are for sets
#: of them.
SETS = 8


@symptom(
    "does-not-learn",
    "architecture",
    stage=9,
    looks=_(
        "the score stays far below that of the nearest neighbours, a linear fit or a "
        "standard network, or at that of a constant answer"
    ),
    why=_(
        "the nearest neighbours, a linear fit or a standard network predict held-out "
        "rows, and the network does so much worse: what it needs does not reach the "
        "output, or no gradient reaches the weights"
    ),
    fix=_(
        "what was tried and helped; else begin with a network that learns, one hidden "
        "layer, and change one thing"
    ),
    reference=_("Goodfellow, Bengio & Courville 2016, 11.5: debugging strategies"),
)
def does_not_learn(case: Case) -> Found | None:
    """A trial run far behind its references, or at the constant answer.

    Looked for where nothing else is sick. The usual treatments are tried, then sets of
    them: sick where they cure, or where a complete run finds next to nothing, or much
    less than a standard network. A risk where references find nothing either, or nobody
    could ask them.
    """
    if case.refused is not None or not case.runs or case.sick or case.never_begins:
        return None
    far = case.prepared().steps >= PART * case.setup.steps
    helped: Comparison | None = None
    part: str | None = None
    if far and case.can_be_sick and (case.behind or case.stalls):
        severity, helped, part = _singles(case)
        if severity == "sick":
            cause = (
                _(
                    "so few rows can be known by heart, and the network does not learn "
                    "them; of the usual treatments this one cures"
                )
                if case.fitted
                else _(
                    "references find more about held-out rows than the network does; "
                    "of the usual treatments this one cures"
                )
            )
            return Found(
                *("sick", "", _evidence(case)),
                comparison=helped,
                component=part,
                cause=cause,
            )
        if (found := _together(case)) is not None:
            return found
        if severity is None:
            helped, part = None, None
    return _uncured(case, helped, part) if case.share >= TELLS else None


def _singles(case: Case) -> tuple[str | None, Comparison | None, str | None]:
    """Try the usual treatments, one at a time."""
    tried = list[tuple[str, Change | None]]()
    unusual = [*space.unusual(case)]  # which are tried in any case
    for one in space.usual(case):
        short = case.budget.left < SETS * case.cost(case.prepared())
        if short and one not in unusual:
            break
        case.compare(one)
        tried.append((space.component(case.setup, one), one))
    return case.judge_each(*tried)


def _uncured(case: Case, helped: Comparison | None, part: str | None) -> Found | None:
    """Return what is said of a run that nothing cures: how far it is behind."""
    score = case.score
    level = case.baseline + 2 * case.noise(score, case.baseline)
    poor = score is None or score <= min(level, 1 - 1e-9)
    explained = case.found & {"labels-without-signal", "one-class"}
    lost = case.stalls or case.far_behind
    if not lost and (not poor or explained or len(case.train) < ROWS):
        return None
    evidence = _evidence(case)
    curves = {"loss": np.asarray(case.trial.losses).tolist()}
    if (batch := case.one_batch) is not None:
        evidence |= {
            "loss_of_one_batch": batch[0],
            "loss_after_updates_on_it": batch[1],
        }
    severity, cause = "sick", None
    if case.fitted:
        cause = _(
            "so few rows can be known by heart, and the network hardly learns them"
        )
    if not lost:
        severity = "risk"
        cause = _("the run is no better than a constant answer; no cause was found")
    return Found(
        *(severity, "", evidence, None, helped),
        confidence=0.5,
        curves=curves,
        cause=cause,
        component=part,
    )


def _together(case: Case) -> Found | None:
    """Try changes together, of which none cures alone, until one set does."""
    for change in space.combined(case):
        severity, best = case.judge(change)
        if severity == "sick" and best is not None:
            break
    else:
        return None
    best = _needed(case, best)
    alone = {(c.change.before, c.change.after): c.gain for c in case.compared}
    order = sorted(
        best.change.single, key=lambda c: -alone.get((c.before, c.after), 0.0)
    )
    cause = (
        _(
            "so few rows can be known by heart, and the network does not learn them; "
            "none of the usual treatments cures alone, and these together do"
        )
        if case.fitted
        else _(
            "references find more about held-out rows than the network does; none of "
            "the usual treatments cures alone, and these together do"
        )
    )
    part = space.component(case.setup, order[0])
    return Found("sick", "", _evidence(case), None, best, cause=cause, component=part)


def _needed(case: Case, best: Comparison) -> Comparison:
    """Leave out the changes of a set without which it is about as good."""
    for one in best.change.single:
        rest = [c for c in best.change.single if c != one]
        if not rest:
            break
        severity, other = case.judge(changes.together(rest))
        loss = RISK[case.metric]
        if severity == "sick" and other and other.gain >= best.gain - loss:
            best = other
    return best


def _evidence(case: Case) -> dict[str, float | None]:
    """Return what the run found beside what references find."""
    metric = case.metric
    return {
        f"{metric}_of_run": case.score,
        f"{metric}_of_constant_answer": case.baseline,
        f"{metric}_of_best_reference": case.signal,
        "loss_at_first_step": case.trial.loss_at_start(),
        "loss_at_end": case.trial.loss_at_end(),
    }


class _Blind(nn.Module):
    """A network that does not look at its inputs."""

    def __init__(self) -> None:
        self.inner = examples.mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x * 0.0)


@does_not_learn.sick
def sick_example() -> examples.Made:
    return examples.example(_Blind())


@does_not_learn.healthy
def healthy_example() -> examples.Made:
    return examples.example()
