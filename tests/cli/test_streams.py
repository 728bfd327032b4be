"""Standard output and error that are closed, full or stuck never end a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import cli

from .conftest import SMALL
from .data import houses

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")

#: The program without pictures, which take seconds.
PROGRAM = f"""{sys.executable} -c "import chainrule.viz as v, chainrule.cli as c
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
#: Those that tell their times.
TRAINING = ("file", "mnist")


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


def said(
    name: str, redirection: str, place: Path, stderr: Any = subprocess.PIPE
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; a training has left its files."""
    if "/dev/full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    shutil.rmtree(place / "made", ignore_errors=True)
    command = f"({PROGRAM} {COMMANDS[name]}; echo $? > code) {redirection}"
    if not redirection.startswith("|"):
        command = f"{PROGRAM} {COMMANDS[name]} {redirection}; echo $? > code"
    done = subprocess.run(
        ["sh", "-c", command],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=place,
        timeout=300,
        check=False,
    )
    for part in ("Traceback", "Internal error", "Exception ignored"):
        assert part not in (done.stderr or ""), done.stderr
    if name in TRAINING:
        left = {path.name for path in (place / "made").iterdir()}
        assert {"last.ckpt", "metrics.json"} <= left
        assert cr.Trainer.load(place / "made").finished
        assert not [name for name in left if name.endswith((".tmp", ".lock"))]
    return int((place / "code").read_text()), done.stdout, done.stderr


@pytest.mark.parametrize(
    "stderr", ["<&- 2>&-", pytest.param("2>/dev/full", marks=pytest.mark.slow)]
)
def test_standard_error_that_takes_nothing(place: Path, stderr: str) -> None:
    code, out, messages = said("file", stderr, place)
    assert (code, messages) == (0, "")
    assert "on the validation set" in out


@pytest.mark.parametrize(
    ("name", "stdout", "code"),
    [
        pytest.param("version", ">&-", 0, marks=pytest.mark.slow),
        pytest.param("predict", ">&-", 0, marks=pytest.mark.slow),
        pytest.param("walk", ">&-", 0, marks=pytest.mark.slow),
        pytest.param("file", "| true", 1, marks=pytest.mark.slow),
        pytest.param("help", ">/dev/full", 1, marks=pytest.mark.slow),
        ("predict", ">/dev/full", 1),
    ],
)
def test_standard_output_that_takes_nothing(
    place: Path, name: str, stdout: str, code: int
) -> None:
    """Whatever prints there, and also where it is flushed at the very end only."""
    found, _, messages = said(name, stdout, place)
    assert found == code
    if name == "file":
        assert "epoch 2/2" in messages
    if "full" in stdout:
        assert "Error: The result cannot be written to standard output" in messages
        assert "No space left" in messages


@pytest.mark.slow
def test_a_full_pipe_that_nobody_reads(place: Path) -> None:
    """The progress of a run whose reader is stuck is lost, the result is told."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)  # the description is shared with the run
    code, out, _ = said("file", "", place, stderr=writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        left = file.read()
    assert code == 0
    assert "on the validation set" in out
    assert set(left) == {ord("x")}


#: Redirections, and whether what a command has to say arrives under them.
REDIRECTIONS = {
    "2>&-": True,
    ">&-": False,
    "| head -1": None,
    "2>/dev/full": True,
    ">&- 2>&-": False,
    "| true": None,
    "<&-": True,
    ">&- 2>/dev/full": False,
    "| head -c 1": None,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_under_a_third_of_the_redirections(
    place: Path, name: str
) -> None:
    """One that leaves standard output alone, one that closes it, one that reads it."""
    code, whole, _ = said(name, "", place)
    assert code == 0
    assert whole
    # A walk names a directory of its own by the time.
    steady = name not in (*TRAINING, "walk")
    third = list(COMMANDS).index(name) % 3
    for redirection in list(REDIRECTIONS)[3 * third : 3 * third + 3]:
        arrives = REDIRECTIONS[redirection]
        code, out, messages = said(name, redirection, place)
        if arrives is None:
            assert code in (0, 1), "0 where all was written before the reader went"
            assert whole.startswith(out) or not steady
        else:
            assert code == 0
            assert (out == whole or (not steady and out)) if arrives else not out
            assert not messages or redirection in ("<&-", ">&-")
    code, _, messages = said(name, ">/dev/full", place)
    assert code == 1
    assert "No space left" in messages
    assert said(name, ">/dev/full 2>/dev/full", place) == (1, "", "")
