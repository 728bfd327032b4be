"""ARM64, by QEMU: the same bits as here, and the tests of what differs there.

``CHAINRULE_ARM64`` names the root that ``tools/arm64.sh`` has made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")

pytestmark = pytest.mark.arm64
HERE = Path(__file__).resolve().parents[2]


def there(*command: str) -> str:
    root = os.environ.get("CHAINRULE_ARM64")
    if root is None:
        pytest.skip("CHAINRULE_ARM64 names no root")
    made = subprocess.run(
        [HERE / "tools" / "arm64.sh", root, "python3", *command],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    return made.stdout


def test_weights_and_losses_have_the_same_bits() -> None:
    program = ["-m", "tests.engines.same_bits"]
    made = json.loads(there(*program).splitlines()[-1])
    here = subprocess.run(
        [sys.executable, *program], capture_output=True, text=True, cwd=HERE, check=True
    )
    wanted = json.loads(here.stdout.splitlines()[-1])
    assert len(wanted) > 40
    assert made == wanted


@pytest.mark.parametrize(
    "tests",
    [
        "tests/engines/native/test_profile.py",
        "tests/engines/native/test_thread_pool.py",
        "tests/primitives/test_blas.py",
        "tests/test_random.py",
    ],
)
def test_what_differs_between_processors(tests: str) -> None:
    there("-m", "pytest", "-n0", "-p", "no:cacheprovider", tests)
