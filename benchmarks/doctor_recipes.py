"""What the doctor says of the recipes, which learn.

    python benchmarks/doctor_recipes.py                   # full settings, all recipes
    python benchmarks/doctor_recipes.py --quick text music
    python benchmarks/doctor_recipes.py --each 5 --json

This is what ``chainrule doctor NAME --full --stages EACH`` says, a line for each stage.
"""

import argparse
import json
import sys
import time
from typing import Any

import chainrule as cr
from chainrule import recipes
from chainrule.doctor import Diagnosis
from chainrule.doctor.study import StudyDiagnosis
from chainrule.runs import diagnosing

Record = dict[str, Any]


def said(stage: str, found: Diagnosis) -> Record:
    """Return what a diagnosis says, as data."""
    return {
        "stage": stage,
        "sick": [f.code for f in found.findings if f.severity == "sick"],
        "others": [f.code for f in found.findings if f.severity != "sick"],
        "score": found.examined.get("score"),
        "trial_run": found.examined.get("trial_run"),
    }


def records(name: str, *, quick: bool, each: int) -> list[Record]:
    """Return what is said of a recipe's stages."""
    given: Any = {}
    if recipes.kind(name) == "study":
        given = {"full": not quick, "stages": each}
    found = diagnosing.diagnosed(name, **given)
    if isinstance(found, StudyDiagnosis):
        return [said(stage, one) for stage, one in found.stages.items()]
    return [said(name, found)]


def main() -> int:
    """Diagnose, and print a line for each stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="RECIPE")
    parser.add_argument("--quick", action="store_true", help="the shortened settings")
    parser.add_argument("--each", type=int, default=3, help="stages of a study")
    parser.add_argument("--json", action="store_true", help="one line a recipe")
    args = parser.parse_args()
    for name in args.names or recipes.names():
        started, problem, found = time.process_time(), "", list[Record]()
        try:
            found = records(name, quick=args.quick, each=args.each)
        except cr.ChainruleError as error:  # data that are not there
            problem = str(error).splitlines()[0]
        cpu = round(time.process_time() - started, 1)
        if args.json:
            told = {"recipe": name, "stages": found, "problem": problem, "cpu": cpu}
            print(json.dumps(told), flush=True)
            continue
        print(f"{name}: {problem or f'{len(found)} stages'}, {cpu} s of CPU")
        for r in found:
            print(f"    {r['stage']}: {r['sick'] or 'nothing sick'}; {r['others']}")
            print(f"        {r['score']}; {r['trial_run']}")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
