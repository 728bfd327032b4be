"""Programs of the tests in processes of their own, and what they print."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
#: Seconds that a program may take on a machine that is busy.
LONG = 900.0


def run(
    *words: str, devices: int = 1, processes: int = 1, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of this folder, on so many devices of each of so many processes."""
    return command(
        str(HERE / words[0]),
        *words[1:],
        devices=devices,
        processes=processes,
        **environment,
    )


def command(
    *words: str, devices: int = 1, processes: int = 1, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of chainrule, or a Python program."""
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "chainrule", "launch", "-n", str(processes), "--"]
    elif not words[0].endswith(".py"):
        start += ["-m", "chainrule"]
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    more = {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
    more["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.run(
        [*start, *words],
        env={**os.environ, **more, **environment},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def told(result: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON object that a program has printed last."""
    assert result.returncode == 0, result.stderr[-4000:]
    lines = [line for line in result.stdout.splitlines() if "{" in line]
    return json.loads(lines[-1][lines[-1].index("{") :])


@functools.cache
def losses_alone(dtype: str) -> dict[str, list[float]]:
    """Return the losses of ``losses.py`` on one device of one process."""
    return told(run("losses.py", dtype))
