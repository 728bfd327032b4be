"""Run a mutation tool over one module, and show the mutants that no test finds.

    .venv/bin/pip install -q -e '.[mutation]'
    .venv/bin/python tools/mutate.py autodiff.py
    .venv/bin/python tools/mutate.py graph/verify.py tests/graph/test_verify.py

cosmic-ray replaces operators, constants and branches, one after the other, in a copy of
the source; :data:`TESTS` has the tests of the chosen modules. A mutant that survives is
printed as a difference: a test is missing, or the mutant computes the same. Which of
the two it is, a person has to say; so this is no part of CI. What an operator does not
produce (a lock that is not taken, a cache without a bound) is in ``faults.txt``, which
``plant_faults.py`` plants.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The modules that are worth the time, and the fast tests of each.
TESTS = {
    "autodiff.py": "tests/test_autodiff.py tests/test_backward_memory.py",
    "graph/verify.py": "tests/graph/test_verify.py",
    "passes/common.py": "tests/passes/test_passes.py",
    "passes/inline.py": "tests/passes/test_passes.py",
    "passes/simplify.py": "tests/passes/test_passes.py",
    "passes/windows.py": "tests/passes/test_windows.py",
}
#: Operators that change annotations, or make what is refused at once.
LEFT_OUT = [
    r"core/ReplaceBinaryOperator_BitOr_.*",
    r"core/ReplaceBinaryOperator_.*_(Bit\w+|LShift|RShift|Mod|FloorDiv|Pow)",
    r"core/ReplaceUnaryOperator_.*_(Invert|UAdd)",
]
#: Seconds after which the tests of a mutant are ended: it is found.
LIMIT = 300.0


def configuration(folder: Path, module: str, tests: str) -> str:
    """Return the configuration of cosmic-ray for a copy of the source in a folder."""
    options = "-x -q -n0 --no-header --tb=no -p no:cacheprovider"
    command = f"{sys.executable} -m pytest {options} --rootdir {ROOT} {tests}"
    return "\n".join(
        [
            "[cosmic-ray]",
            f"module-path = {json.dumps(str(folder / 'src/chainrule' / module))}",
            f"timeout = {LIMIT}",
            "excluded-modules = []",
            f"test-command = {json.dumps(command)}",
            "[cosmic-ray.distributor]",
            'name = "local"',
            "[cosmic-ray.filters.operators-filter]",
            f"exclude-operators = {json.dumps(LEFT_OUT)}",
        ]
    )


def survivors(module: str, tests: str) -> tuple[int, list[str]]:
    """Return the number of mutants of a module, and what was changed in survivors."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        shutil.copytree(
            ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.pyc")
        )
        settings, session = folder / "mutate.toml", folder / "session.sqlite"
        settings.write_text(configuration(folder, module, tests), encoding="utf-8")
        paths = [str(folder / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        env = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

        def cosmic_ray(program: str, *words: object) -> str:
            found = Path(sys.executable).with_name(program)
            command = [str(found), *map(str, words)]
            return subprocess.run(
                command,
                cwd=ROOT,
                env=env,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            ).stdout

        cosmic_ray("cosmic-ray", "init", settings, session)
        cosmic_ray("cosmic-ray", "baseline", settings)  # the tests pass unchanged
        cosmic_ray("cr-filter-operators", session, settings)
        cosmic_ray("cosmic-ray", "exec", settings, session)
        dumped = cosmic_ray("cosmic-ray", "dump", session)
    pairs = [json.loads(line) for line in dumped.splitlines()]
    results = [result for _, result in pairs if result and result["test_outcome"]]
    return len(results), [
        result["diff"] for result in results if result["test_outcome"] == "survived"
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Show mutants that no test finds.")
    parser.add_argument("module", help=f"below src/chainrule: {', '.join(TESTS)} …")
    parser.add_argument(
        "tests", nargs="*", help="what is run; chosen modules have some"
    )
    options = parser.parse_args()
    tests = " ".join(options.tests) or TESTS.get(options.module)
    if tests is None:
        parser.error(f"which tests find mutants of {options.module}?")
    count, changes = survivors(options.module, tests)
    print("\n".join(changes))
    print(f"{count - len(changes)} of {count} mutants found by {tests}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
