"""The measurements of one case: its truth, its diagnosis, what would have cured it."""

import functools
import json
import time
from typing import Any

import programs
import rows
from cases import Case, applied, single_changes

import chainrule as cr

#: Seeds of the truth.
SEEDS = 3
#: How far a sick run stays below its remedy at least, a healthy one at most: ten points
#: and two of accuracy; 20 % of R², and as small a part of it.
SICK = {"quantities": 0.20, "classes": 0.10, "binary": 0.10}
HEALTHY = {"quantities": 0.04, "classes": 0.02, "binary": 0.02}
#: A remedy that finds less than this cannot tell sick from healthy.
Record = dict[str, Any]


@functools.cache
def scores(program: str) -> tuple[float, ...]:
    """Return the scores of a program, given as JSON, over the seeds."""
    spec = json.loads(program)
    return tuple(programs.run(spec, seed) for seed in range(SEEDS))


def mean(spec: programs.Spec) -> float:
    """Return the mean score of a program over the seeds."""
    found = scores(json.dumps(spec, sort_keys=True))
    return sum(found) / len(found)


def verdict(case: Case, score: float, best: float) -> str:
    """Return ``sick``, ``healthy`` or ``between``."""
    task = rows.task(case.spec["rows"])
    behind = best - score
    if behind > SICK[task]:
        return "sick"
    return "healthy" if behind <= HEALTHY[task] else "between"


def truth(case: Case) -> Record:
    """Return what training says of a case."""
    start = time.process_time()
    own = scores(json.dumps(case.spec, sort_keys=True))
    best = mean(case.remedy)
    return {
        "scores": own,
        "remedy": best,
        "truth": verdict(case, sum(own) / len(own), best),
        "cpu": time.process_time() - start,
    }


def diagnosis(case: Case) -> Record:
    """Return what the doctor says of a case; of its first seed."""
    start = time.process_time()
    made = programs.parts(case.spec)
    train, given = programs.plan(case.spec, made)
    given["validation"] = made.validation
    found = cr.diagnose(programs.trainer(case.spec, made, 0), train, **given)
    findings = [
        {
            "code": f.code,
            "component": f.component,
            "severity": f.severity,
            "confidence": f.confidence,
            "gain": f.comparison and f.comparison.gain,
            "change": "" if f.change is None else f.change.after.splitlines()[0],
        }
        for f in found.findings
    ]
    taken = time.process_time() - start
    return {"findings": findings, "spent": found.spent, "cpu": taken}


def named(record: Record) -> set[str]:
    """Return the components that are to be judged: of the first two, and the sick."""
    found = record["findings"]
    sick = {f["component"] for f in found if f["severity"] == "sick"}
    return sick | {f["component"] for f in found[:2]}


def cause(case: Case, component: str, best: float) -> Record:
    """Return the best score that a single change of one component gives.

    One seed is enough to see that a change does not cure; the first that does ends it.
    """
    top, which = 0.0, None
    for change in single_changes(case, component):
        spec = applied(case.spec, change)
        one = programs.run(spec, 0)
        if one > top:
            top, which = one, change
        if verdict(case, one, best) == "sick":
            continue
        score = mean(spec)
        if verdict(case, score, best) != "sick":
            return {"score": score, "change": change, "cures": True}
    return {"score": top, "change": which, "cures": False}
