"""The measuring set of the doctor: what it finds, beside what training says.

    python benchmarks/doctor --half tuning           # truth, diagnosis, causes, report
    python benchmarks/doctor --half held-out         # once, when all thresholds stand
    python benchmarks/doctor --truth                 # the truth alone, of both halves
    python benchmarks/doctor --half tuning --report --errors
    python benchmarks/doctor --half tuning --only circle --processes 2

``cases.toml`` describes the cases. Whether one is sick is found by training it over
three seeds, and its remedy; the doctor has no part in it. A finding is right where its
component was planted, or where a single change of that component cures, which is
trained too. The halves are split by a hash of the name.

Results are appended to a file of JSON lines, one for each measurement: a run that was
killed goes on where it stopped. Take another file, or ``--again``, when the doctor has
changed; the truth can stay.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import measure
import report
from cases import Case, cases

PLACE = Path("build/doctor")


class Results:
    """Measurements by name, in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:  # cut off by a kill
                    continue
                self.found[record["name"]] = record

    def add(self, name: str, record: dict[str, Any]) -> None:
        """Append a measurement."""
        self.found[name] = record
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name} | record) + "\n")


def measured(
    what: Callable[..., Any], tasks: list[tuple[str, tuple[Any, ...]]], processes: int
) -> Iterator[tuple[str, Any]]:
    """Yield the results of tasks by name, of several processes."""
    if processes < 2:
        for name, given in tasks:
            yield name, what(*given)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn) as pool:
        names = {pool.submit(what, *given): name for name, given in tasks}
        for future in as_completed(names):
            yield names[future], future.result()


def work(args: argparse.Namespace, known: list[Case]) -> None:
    """Measure what is missing in the files of results."""
    truths, diagnoses, causes = opened(args)
    tasks: list[tuple[str, tuple[Any, ...]]]
    tasks = [(c.name, (c,)) for c in known if c.name not in truths.found]
    said(f"truth: {len(tasks)} of {len(known)}")
    for name, record in measured(measure.truth, tasks, args.processes):
        truths.add(name, record)
    if args.truth:
        return
    tasks = [(c.name, (c,)) for c in known if c.name not in diagnoses.found]
    said(f"diagnosis: {len(tasks)} of {len(known)}")
    for name, record in measured(measure.diagnosis, tasks, args.processes):
        diagnoses.add(name, record)
    tasks = []
    for c in known:
        truth = truths.found[c.name]
        if truth["truth"] != "sick":
            continue
        for component in measure.named(diagnoses.found[c.name]) - c.components:
            name = f"{c.name} | {component}"
            if name not in causes.found:
                tasks.append((name, (c, component, truth["remedy"])))
    said(f"causes: {len(tasks)}")
    for name, record in measured(measure.cause, sorted(tasks), args.processes):
        causes.add(name, record)


def opened(args: argparse.Namespace) -> tuple[Results, Results, Results]:
    """Return the files of results: truths, diagnoses, causes."""
    stamp = args.tag or args.half or "all"
    diagnoses = args.out / f"diagnoses-{stamp}.jsonl"
    if args.again:
        diagnoses.unlink(missing_ok=True)
    names = args.out / "truths.jsonl", diagnoses, args.out / "causes.jsonl"
    return tuple(map(Results, names))  # type: ignore[return-value]


def said(text: str) -> None:
    """Print progress, at once."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=["tuning", "held-out"])
    parser.add_argument("--only", default="", help="names that begin with this")
    parser.add_argument("--sample", type=int, help="so many cases, drawn by a hash")
    parser.add_argument("--truth", action="store_true", help="the truth alone")
    parser.add_argument("--report", action="store_true", help="nothing is run")
    parser.add_argument("--errors", action="store_true", help="list wrong judgements")
    parser.add_argument("--again", action="store_true", help="diagnose anew")
    parser.add_argument("--tag", help="of the file of diagnoses")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=PLACE)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    known = [
        c
        for c in cases()
        if args.half in (None, c.half) and c.name.startswith(args.only)
    ]
    if args.sample is not None:
        order = sorted(
            known, key=lambda c: hashlib.sha256(c.name[::-1].encode()).digest()
        )
        known = sorted(order[: args.sample], key=lambda c: c.name)
    if not args.report:
        work(args, known)
    found = [results.found for results in opened(args)] if not args.again else []
    if args.again:
        args.again = False
        found = [results.found for results in opened(args)]
    print(report.contents(known, found[0]))
    if not args.truth:
        print(report.text(report.measured(known, *found)))
    if args.errors:
        print(report.errors(known, *found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
