"""The measuring set of the doctor: what it finds, beside what training says.

    python benchmarks/doctor --half tuning           # truth, diagnosis, causes, report
    python benchmarks/doctor --half held-out         # once, when all thresholds stand
    python benchmarks/doctor --half fresh            # other programs and faults, once
    python benchmarks/doctor --truth                 # the truth alone, of all parts
    python benchmarks/doctor --half tuning --report --errors
    python benchmarks/doctor --half tuning --only circle --processes 2

``cases.toml`` describes the cases. Whether one is sick is found by training it over
three seeds, and its remedy; the doctor has no part in it. A finding is right where its
component was planted, or where a single change of that component cures, which is
trained too. The halves are split by a hash of the name. Each file of ``parts``
describes a part of its own, with other programs, tables and faults, which was drawn
before a version of the doctor was measured; ``rows.py`` says what a part needs.

With ``--each 150`` a part is diagnosed: the first 150 sick and the first 150 healthy
cases in the order of another hash. Without, later, the rest. ``--after 190`` leaves out
those that come first, and ``--truth-is sick`` takes one kind alone::

    python benchmarks/doctor --half held-out --truth-is sick --after 190 --tag unseen

Results are appended to a file of JSON lines, one for each measurement: a run that was
killed goes on where it stopped. Take another file, or ``--again``, when the doctor has
changed; the truth can stay.
"""

import argparse
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
from cases import HALVES, Case, cases

PLACE = Path("build/doctor")


class Results:
    """Measurements by name, in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict[str, Any]] = {}
        self.before = ""
        if path.exists():
            text = path.read_text(encoding="utf-8")
            self.before = "" if text.endswith("\n") or not text else "\n"
            for line in text.splitlines():
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
            file.write(self.before + json.dumps({"name": name} | record) + "\n")
        self.before = ""


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


def drawn(known: list[Case], truths: Results, args: argparse.Namespace) -> list[Case]:
    """Return so many sick and healthy cases in the order of a hash."""
    order = sorted(known, key=lambda c: report.digest(c.name[::-1]))
    found: list[Case] = []
    end = None if args.each is None else args.after + args.each
    for truth in ("sick", "healthy") if args.truth_is is None else (args.truth_is,):
        some = [c for c in order if truths.found[c.name]["truth"] == truth]
        found += some[args.after : end]
    return [c for c in order if c in found]


def is_part(args: argparse.Namespace) -> bool:
    """Return whether a part of the cases is asked for, by their truth."""
    return args.each is not None or args.after > 0 or args.truth_is is not None


def work(args: argparse.Namespace, known: list[Case]) -> list[Case]:
    """Measure what is missing in the files of results; return what was measured."""
    truths, diagnoses, causes = opened(args)
    tasks: list[tuple[str, tuple[Any, ...]]]
    tasks = [(c.name, (c,)) for c in known if c.name not in truths.found]
    said(f"truth: {len(tasks)} of {len(known)}")
    for name, record in measured(measure.truth, tasks, args.processes):
        truths.add(name, record)
    if args.truth:
        return known
    if is_part(args):
        known = drawn(known, truths, args)
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
    return known


def opened(args: argparse.Namespace) -> tuple[Results, Results, Results]:
    """Return the files of results: truths, diagnoses, causes."""
    truths, causes = (Results(args.out / f"{n}.jsonl") for n in ("truths", "causes"))
    diagnoses = Results(args.out / f"diagnoses-{args.tag or args.half or 'all'}.jsonl")
    return truths, diagnoses, causes


def said(text: str) -> None:
    """Print progress, at once."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=HALVES)
    parser.add_argument("--only", default="", help="names that begin with this")
    parser.add_argument("--each", type=int, help="so many sick and so many healthy")
    parser.add_argument("--after", type=int, default=0, help="without the first ones")
    parser.add_argument("--truth-is", choices=["sick", "healthy"], help="these alone")
    parser.add_argument("--truth", action="store_true", help="the truth alone")
    parser.add_argument("--report", action="store_true", help="nothing is run")
    parser.add_argument("--errors", action="store_true", help="list wrong judgements")
    parser.add_argument("--again", action="store_true", help="diagnose anew")
    parser.add_argument("--json", action="store_true", help="the rates, for machines")
    parser.add_argument("--tag", help="of the file of diagnoses")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=PLACE)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    known = [c for c in cases() if args.half in (None, c.half)]
    known = [c for c in known if c.name.startswith(args.only)]
    if not known:
        parser.error(f"no case begins with [{args.only!r}]")
    if args.again:
        opened(args)[1].path.unlink(missing_ok=True)
    if not args.report:
        known = work(args, known)
    elif is_part(args):
        known = drawn(known, opened(args)[0], args)
    found = [results.found for results in opened(args)]
    rates = report.measured(known, *found)
    if args.json:
        print(json.dumps(report.document(known, found[0], rates), indent=1))
        return 0
    print(report.contents(known, found[0]))
    if not args.truth:
        print(report.text(rates))
    if args.errors:
        print(report.errors(known, *found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
