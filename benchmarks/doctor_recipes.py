"""What the doctor says of the recipes, which learn.

    python benchmarks/doctor_recipes.py                   # full settings, all recipes
    python benchmarks/doctor_recipes.py --quick text music
    python benchmarks/doctor_recipes.py --each 5 --json

A recipe that trains one network is what ``chainrule doctor NAME`` examines. A study has
Trainers of its own: each of the first ones, ``--each`` of them, is diagnosed as it is
handed to ``fit``, with its rows, its plan and its callbacks, and trains as it would.
Loops with several losses, agents and frozen features that a loop of their own trains
have no Trainer, and are listed as such.
"""

import argparse
import json
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import chainrule as cr
from chainrule import recipes
from chainrule.recipes import Experiment
from chainrule.runs import diagnosing

Record = dict[str, Any]


class Enough(BaseException):
    """A signal: so many Trainers of a study were diagnosed."""


def said(found: Any, started: float) -> Record:
    """Return what a diagnosis says, as data."""
    return {
        "sick": [f.code for f in found.findings if f.severity == "sick"],
        "others": [f.code for f in found.findings if f.severity != "sick"],
        "score": found.examined.get("score"),
        "trial_run": found.examined.get("trial_run"),
        "cpu": round(time.process_time() - started, 1),
    }


def of_study(name: str, *, quick: bool, each: int) -> list[Record]:
    """Run a study; return what is said of its first Trainers."""
    records: list[Record] = []
    usual = cr.Trainer.fit
    busy = False

    def fit(self: cr.Trainer, train: Any, **given: Any) -> Any:
        nonlocal busy
        if busy:
            return usual(self, train, **given)
        if len(records) == each:
            raise Enough
        busy, started = True, time.process_time()
        kept = ("validation", "epochs", "batch_size", "callbacks")
        plan = {key: given[key] for key in kept if key in given}
        try:
            records.append(said(cr.diagnose(self, train, **plan), started))
        finally:
            busy = False
        return usual(self, train, **given)

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        cr.Trainer.fit = fit  # type: ignore[method-assign]
        try:
            recipes.find(name).run(Experiment(name, quick=quick, out=Path(folder)))
        except Enough:
            pass
        finally:
            cr.Trainer.fit = usual  # type: ignore[method-assign]
    return records


def main() -> int:
    """Diagnose, and print a line for each Trainer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="RECIPE")
    parser.add_argument("--quick", action="store_true", help="the shortened settings")
    parser.add_argument("--each", type=int, default=3, help="Trainers of a study")
    parser.add_argument("--json", action="store_true", help="one line a recipe")
    args = parser.parse_args()
    for name in args.names or recipes.names():
        try:
            if recipes.kind(name) == "training":
                started = time.process_time()
                records = [said(diagnosing.diagnosed(name), started)]
            else:
                records = of_study(name, quick=args.quick, each=args.each)
            problem = ""
        except cr.ChainruleError as error:  # data that are not there
            records, problem = [], str(error).splitlines()[0]
        if args.json:
            print(json.dumps({"recipe": name, "trainers": records, "problem": problem}))
        for i, r in enumerate([] if args.json else records):
            print(f"{name} {i}: {r['sick'] or 'nothing sick'}; {r['others']}")
            print(f"    {r['score']}; {r['trial_run']}; {r['cpu']} s of CPU")
        if not args.json and not records:
            print(f"{name}: {problem or 'no Trainer with a supervised loss'}")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
