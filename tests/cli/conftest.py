"""The command line within this process, in an empty directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainrule import cli

#: Options that make a run of the recipe mnist quick.
SMALL = ["--engine", "numpy", "--limit", "320", "--epochs", "2"]


class Result:
    """What a command gave.

    Attributes:
        code: the exit code.
        out, err: standard output and standard error.
    """

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        (line,) = self.out.splitlines()
        return json.loads(line)


@pytest.fixture
def pictures() -> None:
    """The runs of this test leave their pictures and reports, which take a second."""


@pytest.fixture
def reports(pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of this test leave their reports, without the pictures in them."""
    monkeypatch.setattr("chainrule.viz.drawing.png", lambda *_, **__: b"")
    monkeypatch.setattr("chainrule.viz.drawing.svg", lambda *_: "")


@pytest.fixture
def chainrule(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Any:
    """Run the command line within this process, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("chainrule.viz.can_plot", lambda: False)

    def run(*args: Any) -> Result:
        code = cli.run([str(a) for a in args])
        return Result(code, *capsys.readouterr())

    return run


def one_message(result: Result, code: int, *parts: str) -> None:
    """Exit code, nothing on standard output, no traceback, and what it says."""
    assert result.code == code, result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    for part in parts:
        assert part in result.err
