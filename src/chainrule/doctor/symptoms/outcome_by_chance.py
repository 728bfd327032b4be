"""A run whose outcome is decided by its seed: others of the same setup fail."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import chance, evidence, examples, space
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Comparison
from chainrule.doctor.registry import Found, symptom
from chainrule.random import Generator
from chainrule.random.generator import stream
from chainrule.text import _, ngettext

#: The mean score of the seeds is below the best one by this share of what is sick, from
#: which treatments are tried; and above which share of it they have cured. Ours.
FAR, CURED = 0.5, 0.2
#: What makes the outcome a matter of luck: where it is there, although the first seeds
#: are well, so many are tried, and a few that fail are a risk. Ours.
SUSPECT = {
    *("relu-output", "dead-units", "saturated-units", "weights-badly-scaled"),
    *("vanishing-gradient", "exploding-gradient", "activation-unfit"),
}
SEEDS = 6


@symptom(
    "outcome-by-chance",
    "initialisation",
    stage=9,
    looks=_("one seed gives a good score, and the next one a poor score"),
    why=_(
        "with other initial weights and another order of the rows the same setup gives "
        "another score: that a run of it learns is luck"
    ),
    fix=_("what was tried and helped with every seed; judge a setup by several seeds"),
    reference=_("Goodfellow, Bengio & Courville 2016, 8.4: initialisation"),
)
def outcome_by_chance(case: Case) -> Found | None:
    """Runs of other seeds are far below the best one.

    Looked for where nothing else is sick. Each of the usual treatments is tried with
    the worst seed, and with all of them where it helps there. A single failure of six
    is a risk.
    """
    if case.refused is not None or not case.runs or case.sick:
        return None
    if case.share < evidence.TELLS:
        return None  # other seeds may still catch up
    if case.fitted or case.task == "unknown" or case.never_begins:
        return None
    sick = evidence.SICK[case.metric]
    for seeds in (evidence.SEEDS, *([SEEDS] if SUSPECT & case.found else [])):
        before = chance.by_seed(case, seeds)
        known = [case.baseline if s is None else s for s in before]
        if not known:
            case.not_examined["seeds"] = _("other seeds: the budget is spent")
            return None
        mean, top = sum(known) / len(known), max(known)
        case.examined["seeds"] = ngettext(
            "the run with {n} seed", "the run with {n} seeds", n=len(known)
        )
        if top - mean >= max(FAR * sick, 2 * case.noise(top, mean)):
            break
    else:
        return None
    best: Comparison | None = None
    for change in space.unique([*case.proposed, *space.usual(case)]):
        found = chance.compared(case, before, change)
        if found is not None and (best is None or found.gain > best.gain):
            best = found
            after = mean + best.gain
            if best.gain > sick and after > top - CURED * sick:
                break
    numbers = {
        f"{case.metric}_of_best_seed": top,
        f"{case.metric}_of_worst_seed": min(known),
    }
    severity = evidence.severity(best)
    well = sum(top - score < FAR * sick for score in known)
    if len(known) > evidence.SEEDS and severity == "sick" and 2 * well > len(known):
        severity = "risk"  # most runs are well
    if severity == "sick" and not case.complete:
        severity = "risk"  # a seed may learn in the steps that are left
    if severity == "sick" and len(known) < SEEDS:
        more = chance.by_seed(case, SEEDS)
        poor = sum(
            top - (case.baseline if s is None else s) >= FAR * sick for s in more
        )
        if poor == 1:
            severity = "risk"  # a single one of six
    if severity is None or best is None:
        return Found("risk", "", numbers, confidence=0.5)
    part = space.component(case.setup, best.change)
    return Found(severity, "", numbers, comparison=best, component=part)


def _narrow(width: int) -> nn.Sequential:
    """Return eight hidden layers of ReLU, with a draw that learns."""
    with stream(Generator(2)):
        layers: list[nn.Module] = []
        for i in range(8):
            layers += [nn.Linear(width if i else 2, width), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(width, 2))


@outcome_by_chance.sick
def sick_example() -> examples.Made:
    return examples.example(_narrow(5), epochs=40)


@outcome_by_chance.healthy
def healthy_example() -> examples.Made:
    return examples.example(_narrow(24), epochs=40)
