"""Refusals are refusals under ``python -O`` too, which leaves out what is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Where refusals are tested by their errors, whatever else stands there.
PLACES = ["optim", "nn", "test_control.py", "test_tensor.py", "test_errors.py"]
REFUSED = """
import chainrule as cr

run = cr.compile(lambda x: x * 2, engine="numpy")
x = cr.ones(3)
run(x)
(program,) = run.programs
for refused in (
    lambda: run.profile(x),
    lambda: run.schedule,
    lambda: program.profile("<lambda>", {"x": x}),
    lambda: program.schedule,
):
    try:
        refused()
    except cr.ChainruleError as error:
        print(type(error).__name__, "makes no schedule" in str(error))
"""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, "-O", *arguments],
        cwd=HERE.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_an_engine_does_not_make_is_refused() -> None:
    made = _run("-c", REFUSED)
    assert made.stdout.split("\n")[:-1] == ["EngineError True"] * 4, made.stderr


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_mistakes_are_refused(place: str) -> None:
    plain = ["-n0", "-q", "-o", "filterwarnings=", "-p", "no:cacheprovider"]
    made = _run("-m", "pytest", *plain, str(HERE / place))
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
