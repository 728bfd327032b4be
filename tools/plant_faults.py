"""Plant faults, one after the other, and see that the tests find them.

    .venv/bin/python tools/plant_faults.py            # all of them: a few minutes
    .venv/bin/python tools/plant_faults.py --list
    .venv/bin/python tools/plant_faults.py --only 3 --only 17

``faults.txt`` beside this file says what is planted where, and which tests ought to
find it. A fault is planted in a copy of ``src`` in a temporary directory; the checkout
stays as it is. A fault is found when a test fails. Where one is missed, a test of its
kind is missing. The exit status is 0 where all are found.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_name("faults.txt")
#: Seconds after which the tests are ended: a fault that makes them hang is found.
LIMIT = 900

_ENTRY = re.compile(
    r"\[(?P<area>\w+)\] (?P<file>\S+): (?P<what>.+)\n"
    r"(?P<tests>tests/.+)\n"
    r"(?P<old>(?:- .*\n)+)"
    r"(?P<new>(?:\+ .*(?:\n|$))+)"
)


@dataclass(frozen=True)
class Fault:
    """One fault: in which file what becomes what, and which tests ought to fail."""

    area: str
    file: str
    what: str
    tests: str
    old: str
    new: str

    @contextmanager
    def planted(self, package: Path) -> Iterator[None]:
        """Within the block the file of this copy of the package has the fault."""
        path = package / self.file
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise SystemExit(f"{self.file} has {count} places (not 1) of:\n{self.old}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(text, encoding="utf-8")


def faults(text: str) -> list[Fault]:
    """The faults of a table, in which ``- `` and ``+ `` begin old and new lines."""
    made: list[Fault] = []
    for found in _ENTRY.finditer(text):
        parts = found.groupdict()
        for key in ("old", "new"):
            lines = parts[key].rstrip("\n").split("\n")
            parts[key] = "\n".join(line[2:] for line in lines)
        made.append(Fault(**parts))
    entries = sum(line.startswith("[") for line in text.splitlines())
    if len(made) != entries:
        raise SystemExit(f"{len(made)} of {entries} entries of {TABLE} can be read.")
    return made


def fails(source: Path, tests: str) -> str | None:
    """The first test that fails with the package from ``source``; None if none does."""
    options = ["-x", "-q", "-n0", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *shlex.split(tests)]
    paths = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
    try:
        made = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {LIMIT} seconds"
    if made.returncode == 0:
        return None
    if made.returncode not in (1, 2) and made.returncode > 0:  # 4, 5: no such tests
        raise SystemExit(f"pytest {tests}\n{made.stdout}{made.stderr}")
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", made.stdout, re.M)
    return found.group(1) if found else f"ended with {made.returncode}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Plant faults; the tests find them.")
    parser.add_argument("--list", action="store_true", help="show the faults and end")
    parser.add_argument("--only", type=int, action="append", help="number of a fault")
    parser.add_argument("--area", help="the faults of one area")
    options = parser.parse_args()
    chosen = [
        (number, fault)
        for number, fault in enumerate(faults(TABLE.read_text(encoding="utf-8")), 1)
        if number in (options.only or [number])
        and fault.area == (options.area or fault.area)
    ]
    if options.list:
        for number, fault in chosen:
            print(f"{number:3} {fault.area:10} {fault.file}: {fault.what}")
        return 0
    missed = 0
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("*.pyc"))
        for _, fault in chosen:  # before the first test: is every place still there?
            with fault.planted(source / "chainrule"):
                pass
        for number, fault in chosen:
            started = time.monotonic()
            with fault.planted(source / "chainrule"):
                by = fails(source, fault.tests)
            missed += by is None
            seconds = time.monotonic() - started
            verdict = f"found by {by}" if by else f"MISSED by {fault.tests}"
            print(f"{number:3} {fault.what}: {verdict} ({seconds:.0f} s)", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} found")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
