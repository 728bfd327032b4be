"""Standard output and error that are closed, full or stuck never end a run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule as cr
from chainrule import cli

from .conftest import SMALL
from .data import houses

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")

PROGRAM = f"{sys.executable} -m chainrule"
#: The same without pictures, which take seconds.
PLAIN = f"""{sys.executable} -c "import chainrule.viz as v, chainrule.cli as c
v.can_plot = lambda: False
c.main()" """
#: What a command needs to say, in a directory with a run, its file and new data.
COMMANDS = {
    "help": "--help",
    "version": "--version",
    "recipes": "recipes",
    "book": "book --json",
    "reference": "new --reference",
    "walk": "train two-two-one",
    "evaluate": "evaluate base",
    "predict": "predict base new.csv",
    "json": "predict base new.csv --json",
    "file": "train run.toml --epochs 2 --engine numpy --out made",
    "mnist": f"train mnist {' '.join(SMALL)} --out made",
}
COMMAND = f"{PLAIN} train mnist {' '.join(SMALL)} --out run"


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
    assert "on the test set" in done.stdout
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
        shlex.split(COMMAND),
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
    assert "on the test set" in process.stdout
    assert set(left) == {ord("x")}


# -- all commands ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run, its file and new data, many rows of them."""
    place = tmp_path_factory.mktemp("streams")
    houses(place / "houses.csv")
    houses(place / "new.csv", 4000, price=False)
    options = ["--epochs", "1", "--engine", "numpy", "--out", str(place / "base")]
    file = str(place / "run.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.viz.can_plot", lambda: False)
        assert cli.run(["new", file, "--data", str(place / "houses.csv")]) == 0
        assert cli.run(["train", file, *options]) == 0
    return place


def said(name: str, redirection: str, place: Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; a training has left its files."""
    shutil.rmtree(place / "made", ignore_errors=True)
    command = f"{PROGRAM} {COMMANDS[name]} {redirection}"
    if redirection.startswith("|"):
        command = f"({PROGRAM} {COMMANDS[name]}; echo $? > code) {redirection}"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        cwd=place,
        timeout=300,
        check=False,
    )
    code = done.returncode
    if redirection.startswith("|"):
        code = int((place / "code").read_text())
    for part in ("Traceback", "Internal error", "Exception ignored"):
        assert part not in done.stderr, done.stderr
    if " made" in COMMANDS[name]:
        left = {path.name for path in (place / "made").iterdir()}
        assert {"last.ckpt", "metrics.json"} <= left
        assert cr.Trainer.load(place / "made").finished
        assert not [name for name in left if name.endswith((".tmp", ".lock"))]
    return code, done.stdout, done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("name", ["help", "walk", "predict"])
def test_a_full_standard_output(place: Path, name: str) -> None:
    """Whatever prints there, and also where it is flushed at the very end only."""
    code, _, messages = said(name, ">/dev/full", place)
    assert code == 1
    assert "Error: The result cannot be written to standard output" in messages
    assert "No space left" in messages


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_under_every_redirection(place: Path, name: str) -> None:
    code, whole, _ = said(name, "", place)
    assert code == 0
    assert whole
    steady = name not in ("file", "mnist")  # they tell their times
    for redirection in ("2>&-", "2>/dev/full", "<&-"):
        code, out, messages = said(name, redirection, place)
        assert code == 0
        assert out == whole or (not steady and out)
        assert not messages or redirection == "<&-"
    for redirection in (">&-", ">&- 2>&-", ">&- 2>/dev/full"):
        assert said(name, redirection, place)[:2] == (0, "")
    code, _, messages = said(name, ">/dev/full", place)
    assert code == 1
    assert "No space left" in messages
    assert said(name, ">/dev/full 2>/dev/full", place) == (1, "", "")
    for reader in ("| head -1", "| true", "| head -c 1"):
        code, out, _ = said(name, reader, place)
        assert code in (0, 1), "0 where all was written before the reader went"
        assert whole.startswith(out) or not steady
