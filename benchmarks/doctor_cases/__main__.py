"""Programs that people asked about: what the doctor finds in them, and in their cure.

    python benchmarks/doctor_cases                     # what is missing, then the table
    python benchmarks/doctor_cases --only xor-slow     # one case
    python benchmarks/doctor_cases --out mine.jsonl    # where results go, a line each
    python benchmarks/doctor_cases --json              # the lines, for machines

First each program and its twin, with the accepted fix applied, are trained with three
seeds: sick is what stays more than ten points of accuracy (20 % of R²) below its twin,
and a twin is healthy that is near the better of two learners of scikit-learn. What is
neither is not counted. Then the doctor looks at both, with weights of each seed. A run
that was stopped goes on where it was; a line is written as soon as it is known.
"""

import argparse
import contextlib
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import programs
from programs import Program

import chainrule as cr
from chainrule.doctor import Case
from chainrule.doctor.setup import run
from chainrule.errors import ChainruleError

#: Seeds of the truth.
SEEDS = (0, 1, 2)
#: Sick from this far below the twin: points of accuracy, of R².
SICK = {"accuracy": 0.10, "R²": 0.20}
#: A twin may stay this far below scikit-learn's best: half of what is sick.
NEAR = {"accuracy": 0.05, "R²": 0.10}
#: A fix may stay this far below the twin: two points, and 4 % of R².
CURED = {"accuracy": 0.02, "R²": 0.04}
#: Findings that may name the cause.
FIRST = 2


def trained(program: Program, seed: int, truth: Any) -> dict[str, Any]:
    """Train a program; one that ends in an error has the constant answer's score."""
    train, held = program.rows()
    base = programs.constant(programs_truth(train[1], truth), truth)
    trainer = program.trainer(seed)
    started = time.process_time()
    error = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(
                train,
                epochs=program.epochs,
                batch_size=min(program.batch, len(train[1])),
                progress=False,
            )
            score = programs.score(trainer, held, truth)
    except ChainruleError as found:
        error, score = found.what, base
    spent = time.process_time() - started
    return {"score": score, "error": error, "constant": base, "cpu": round(spent, 2)}


def programs_truth(y: Any, truth: Any) -> Any:
    """Return training targets for the constant answer, in the truth's form."""
    y = np.asarray(y)
    usable = y.shape[1:] == np.asarray(truth).shape[1:] and y.dtype.kind in "iuf"
    return y if usable and not programs.is_quantity(y) else truth


def ceiling(program: Program, truth: Any) -> float:
    """Return the best score of three learners of scikit-learn on the twin's rows."""
    from sklearn import ensemble, neural_network, pipeline, preprocessing

    (x, y), (held_x, _) = program.rows()
    x, held_x = (a.reshape(len(a), -1) for a in (x, held_x))
    wide = preprocessing.StandardScaler()
    if programs.is_quantity(truth):
        y = np.asarray(y).reshape(len(y), -1)
        learners = [
            ensemble.ExtraTreesRegressor(100, random_state=0),
            pipeline.make_pipeline(wide, _network(neural_network.MLPRegressor)),
        ]
    else:
        y = programs.classes(y)
        learners = [
            ensemble.ExtraTreesClassifier(100, random_state=0),
            pipeline.make_pipeline(
                wide,
                _network(neural_network.MLPClassifier),
            ),
        ]
    best = -1.0
    for learner in learners:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = learner.fit(x, y).predict(held_x)
        if programs.is_quantity(truth):
            known = np.asarray(truth, np.float64).reshape(len(truth), -1)
            off = ((said.reshape(known.shape) - known) ** 2).sum()
            best = max(best, 1 - off / ((known - known.mean(0)) ** 2).sum())
        else:
            best = max(best, float((said == programs.classes(truth)).mean()))
    return best


def _network(kind: Any) -> Any:
    return kind(hidden_layer_sizes=(64,), max_iter=400, random_state=0)


def truth_of(case: dict[str, Any]) -> dict[str, Any]:
    """Train a case and its twin with all seeds, and say whether it can be counted."""
    sick, twin = (programs.program(case, healthy=h) for h in (False, True))
    truth = programs.right_targets(case, healthy=True)
    metric = "R²" if programs.is_quantity(truth) else "accuracy"
    runs = {
        name: [trained(p, seed, right) for seed in SEEDS]
        for name, p, right in (
            ("sick", sick, programs.right_targets(case, healthy=False)),
            ("twin", twin, truth),
        )
    }
    means = {n: float(np.mean([r["score"] for r in made])) for n, made in runs.items()}
    best = ceiling(twin, truth)
    return {
        "metric": metric,
        "sick": [round(r["score"], 4) for r in runs["sick"]],
        "twin": [round(r["score"], 4) for r in runs["twin"]],
        "constant": round(runs["sick"][0]["constant"], 4),
        "ceiling": round(best, 4),
        "errors": sorted({r["error"] for n in runs for r in runs[n] if r["error"]}),
        "cpu": round(sum(r["cpu"] for n in runs for r in runs[n]), 2),
        "is sick": is_below(runs["sick"], means["twin"] - SICK[metric]),
        "is healthy": bool(means["twin"] > best - NEAR[metric]),
    }


def is_below(runs: list[dict[str, Any]], bar: float) -> bool:
    """Return whether runs are below a score, in the mean and most of them."""
    scores = np.array([r["score"] for r in runs])
    return bool(scores.mean() < bar and (scores < bar).mean() > 0.5)


def seen(program: Program, seed: int) -> dict[str, Any]:
    """Return what the doctor says of a program whose weights a seed drew."""
    train, held = program.rows()
    started, wall = time.process_time(), time.perf_counter()
    made: dict[str, Any] = {"crash": None, "healthy": None, "findings": []}
    try:
        diagnosis = cr.diagnose(
            program.trainer(seed),
            train,
            validation=held,
            epochs=program.epochs,
            batch_size=program.batch,
        )
    except Exception as error:  # a crash is a result
        made["crash"] = f"{type(error).__name__}: {error}"[:300]
        made["traceback"] = traceback.format_exc()[-1500:]
    else:
        keys = ("code", "component", "severity", "consequence_of", "evidence")
        found = [f.to_dict() for f in diagnosis.findings]
        made["findings"] = [{k: f[k] for k in keys} for f in found]
        made["healthy"] = diagnosis.healthy
        made["not examined"] = {k: str(v) for k, v in diagnosis.not_examined.items()}
        made["examined"] = {k: str(v) for k, v in diagnosis.examined.items()}
    made["cpu"] = round(time.process_time() - started, 2)
    made["wall"] = round(time.perf_counter() - wall, 2)
    return made


def fixed(program: Program, truth: Any) -> dict[str, Any]:
    """Return how a program does with the best fix that the doctor finds for it."""
    train, held = program.rows()
    plan = {"epochs": program.epochs, "batch_size": program.batch}
    started = time.process_time()
    diagnosis = cr.diagnose(program.trainer(0), train, validation=held, **plan)
    fixes = diagnosis.fix()
    spent = round(time.process_time() - started, 2)
    changes = fixes[0].changes if fixes else ()
    scores: list[float] = []
    for seed in SEEDS:
        case = Case(program.trainer(seed), train, validation=held, **plan)
        base = programs.constant(programs_truth(train[1], truth), truth)
        if case.refused is not None:
            scores.append(base)
            continue
        setup = case.setup.copy()
        assert case.network is not None or not changes  # it finds the fans
        setup.fans = case.setup.fans
        for change in changes:
            change.apply(setup)
        record = run(setup)
        made, rows = record.trainer, setup.held_out
        scores.append(
            base
            if made is None or record.error is not None
            else programs.score(made, (rows.x[:], rows.y), truth)
        )
    search = diagnosis.search
    return {
        "scores": [round(s, 4) for s in scores],
        "changes": [c.diff for c in changes],
        "steps": search.steps if search else 0,
        "sets": search.runs if search else 0,
        "cpu": spent,
    }


# -- results ---------------------------------------------------------------------------

#: Case, part, seed → what was found.
Lines = dict[tuple[str, str, int], dict[str, Any]]


def known(path: Path) -> Lines:
    """Read the lines that are there; the last of a key counts."""
    if not path.exists():
        return {}
    made: Lines = {}
    for line in path.read_text("utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # cut off by a kill
            found = json.loads(line)
            made[found["case"], found["part"], found["seed"]] = found
    return made


def write(path: Path, line: dict[str, Any]) -> None:
    """Add a line, on a line of its own where the last one was cut off."""
    text = json.dumps(line, ensure_ascii=False, default=str) + "\n"
    with path.open("ab+") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
            text = "\n" + text
        file.write(text.encode())


def is_alarm(seen: dict[str, Any]) -> bool:
    """Return whether something is called sick."""
    return any(f["severity"] == "sick" for f in seen["findings"])


def is_right(case: dict[str, Any], seen: dict[str, Any]) -> bool:
    """Return whether an accepted cause is among the first findings."""
    named = [f for f in seen["findings"][:FIRST] if f["severity"] != "note"]
    return any(f["component"] in case["accepted"] for f in named)


def table(cases: dict[str, Any], lines: Lines, seeds: list[int]) -> str:
    """Return the table of a run, and its sums."""
    rows = ["| case | score → cured | first two findings | sick | cause | alarms |"]
    rows.append("|---|---|---|---|---|---|")
    counted, dropped = 0, []
    sick_ones, right_ones, alarms, named, made = [], [], [], [], []
    for name, case in cases.items():
        keys = [(name, part, s) for part in ("sick", "twin") for s in seeds]
        if (name, "truth", 0) not in lines or any(key not in lines for key in keys):
            continue
        truth = lines[name, "truth", 0]
        if not (truth["is sick"] and truth["is healthy"]):
            dropped.append(name)
            continue
        counted += 1
        if not seeds:
            continue
        sick = [lines[name, "sick", s] for s in seeds]
        twin = [lines[name, "twin", s] for s in seeds]
        made += sick + twin
        found = [is_alarm(m) for m in sick]
        right = [is_right(case, m) for m in sick]
        wrong = [is_alarm(m) for m in twin]
        sick_ones += found
        right_ones += right
        alarms += wrong
        named += [
            f["component"] in case["accepted"]
            for m in sick
            for f in m["findings"]
            if f["severity"] == "sick"
        ]
        first = [f"{f['code']} ({f['severity']})" for f in sick[0]["findings"][:FIRST]]
        scores = f"{np.mean(truth['sick']):.2f} → {np.mean(truth['twin']):.2f}"
        sums = [f"{sum(m)}/{len(m)}" for m in (found, right, wrong)]
        line = [name, scores, ", ".join(first) or "none", *sums]
        rows.append("| " + " | ".join(line) + " |")
    if made:
        cpu, wall = ([m[name] for m in made] for name in ("cpu", "wall"))
        n = len(sick_ones)
        rows.append("")
        rows.append(
            f"{counted} cases, {len(seeds)} seeds each: found sick {sum(sick_ones)} of "
            f"{n} ({sum(sick_ones) / n:.0%}), a right cause among the first {FIRST} "
            f"{sum(right_ones)} ({sum(right_ones) / n:.0%}), "
            f"findings called sick that name one {sum(named)} of {len(named)}, alarms "
            f"on twins {sum(alarms)} of {n} ({sum(alarms) / n:.1%}), crashes "
            f"{sum(m['crash'] is not None for m in made)}; a diagnosis takes "
            f"{np.median(cpu):.1f} s of CPU (at most {max(cpu):.1f}), "
            f"{np.median(wall):.1f} s (at most {max(wall):.1f})"
        )
    if dropped:
        rows.append(f"not counted, the truth was not reproduced: {', '.join(dropped)}")
    return "\n".join(rows)


def fixes(cases: dict[str, Any], lines: Lines) -> str:
    """Return the table of fixes: how near they come to the accepted cure."""
    rows = ["| case | score → cured | fixed | changes |", "|---|---|---|---|"]
    near = []
    for name in cases:
        if (name, "truth", 0) not in lines or (name, "fix", 0) not in lines:
            continue
        truth, found = lines[name, "truth", 0], lines[name, "fix", 0]
        if not (truth["is sick"] and truth["is healthy"]):
            continue
        sick, twin, mine = (
            float(np.mean(m)) for m in (truth["sick"], truth["twin"], found["scores"])
        )
        near.append(mine >= twin - CURED[truth["metric"]])
        added = [
            line.removeprefix("+ ")
            for diff in found["changes"]
            for line in diff.splitlines()
            if line.startswith("+ ")
        ]
        mark = "" if near[-1] else " (below)"
        rows.append(
            f"| {name} | {sick:.2f} → {twin:.2f} | {mine:.2f}{mark} "
            f"| {'; '.join(added) or 'none'} |"
        )
    rows += ["", f"fixed: {sum(near)} of {len(near)} within the bar of the cure"]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=programs.SETS, default="first")
    parser.add_argument("--out", type=Path, help="doctor_cases[_SET].jsonl")
    parser.add_argument("--only", default="", help="names, with commas between")
    parser.add_argument(
        "--seeds", type=int, default=3, help="diagnoses of each program"
    )
    parser.add_argument("--fix", action="store_true", help="search for fixes as well")
    parser.add_argument("--json", action="store_true", help="the lines, not the table")
    given = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(10)
    cases = programs.cases(given.set)
    tail = "" if given.set == "first" else f"_{given.set}"
    out = given.out or Path(f"doctor_cases{tail}.jsonl")
    chosen = given.only.split(",") if given.only else list(cases)
    if unknown := sorted(set(chosen) - set(cases)):
        parser.error(f"no cases of the names {unknown}; there are {sorted(cases)}")
    seeds = list(range(given.seeds))
    asked = [("truth", 0), *((p, s) for s in seeds for p in ("sick", "twin"))]
    asked += [("fix", 0)] if given.fix else []
    done = known(out)
    for part, seed in asked:
        for name in chosen:
            if (name, part, seed) in done:
                continue
            if part == "truth":
                made = truth_of(cases[name])
            elif part == "fix":
                truth = programs.right_targets(cases[name], healthy=False)
                made = fixed(programs.program(cases[name], healthy=False), truth)
            else:
                healthy = part == "twin"
                made = seen(programs.program(cases[name], healthy=healthy), seed)
            line = {"case": name, "part": part, "seed": seed, **made}
            done[name, part, seed] = line
            write(out, line)
            print(name, part, seed, made["cpu"], file=sys.stderr, flush=True)
    if given.json:
        print(json.dumps([m for (name, *_), m in done.items() if name in chosen]))
    else:
        print(table({name: cases[name] for name in chosen}, done, seeds))
    if given.fix and not given.json:
        print(fixes({name: cases[name] for name in chosen}, done))


if __name__ == "__main__":
    main()
