"""Standard output and error that are closed, full or stuck never end a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SMALL

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")

COMMAND = f"{sys.executable} -m chainrule train mnist {' '.join(SMALL)} --out run"


def shell(redirection: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"{COMMAND} {redirection}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2>/dev/null", "<&- 2>&-"])
def test_standard_error_that_takes_nothing(tmp_path: Path, stderr: str) -> None:
    if "full" in stderr and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    done = shell(stderr, tmp_path)
    assert done.returncode == 0
    assert "of the test set recognised" in done.stdout
    assert (tmp_path / "run" / "last.ckpt").exists()
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("stdout", "code"), [(">&-", 0), (">/dev/full", 1), ("| true", 0)]
)
def test_standard_output_that_takes_nothing(
    tmp_path: Path, stdout: str, code: int
) -> None:
    done = shell(stdout, tmp_path)
    assert done.returncode == code
    assert (tmp_path / "run" / "metrics.json").exists()
    assert "epoch 2/2" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if code:
        assert "result cannot be written to standard output" in done.stderr
        assert "No space left" in done.stderr


def test_both_closed(tmp_path: Path) -> None:
    assert shell(">&- 2>&-", tmp_path).returncode == 0
    assert (tmp_path / "run" / "metrics.json").exists()


def test_a_full_pipe_that_nobody_reads(tmp_path: Path) -> None:
    """The progress of a run whose reader is stuck is lost, the result is told."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)  # the description is shared with the run
    process = subprocess.run(
        COMMAND.split(),
        stdout=subprocess.PIPE,
        stderr=writer,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        left = file.read()
    assert process.returncode == 0
    assert "of the test set recognised" in process.stdout
    assert set(left) == {ord("x")}
