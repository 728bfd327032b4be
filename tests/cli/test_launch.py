"""The processes of one run on this machine: what they say, and how they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chainrule import engines
from chainrule.cli import launch
from chainrule.cli.launch import Launched
from chainrule.engines import Engine


def program(directory: Path, text: str) -> str:
    path = directory / "program.py"
    path.write_text(text)
    return str(path)


def test_a_last_line_without_an_end_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = program(tmp_path, "print('one')\nprint('two', end='')\n")
    assert Launched(2, [path]).run() == 0
    said = sorted(capsys.readouterr().out.splitlines())
    assert said == ["[0] one", "[0] two", "[1] one", "[1] two"]


def test_a_process_that_fails_while_the_first_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "GRACE", 0.0)
    text = (
        f"import os, sys, time\nif os.environ[{launch.NUMBER!r}] == '1': sys.exit(3)\n"
    )
    path = program(tmp_path, text + "time.sleep(15)\nsys.exit(4)\n")
    assert Launched(2, [path]).run() == 3


def test_the_launcher_is_none_of_the_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It joins no run, though a scheduler has started it as one of several."""
    monkeypatch.setitem(engines._registry, "xla", Engine("", join="none:none"))
    path = program(tmp_path, "print('here')\n")
    made = CliRunner().invoke(launch.launch, ["-n", "2", "--", path])
    assert sorted(made.output.splitlines()) == ["[0] here", "[1] here"]


def test_a_pipe_that_stays_open_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]

    class Open:
        def join(self, timeout: float) -> None:
            now[0] += timeout

    monkeypatch.setattr(launch.time, "monotonic", lambda: now[0])
    launched: Any = Launched.__new__(Launched)
    launched.processes, launched._readers = [], [Open()] * 8
    launched._end()
    assert now[0] <= launch.TOLD


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_a_signal_ends_all_processes(tmp_path: Path, name: str) -> None:
    path = program(tmp_path, "import os, time\nprint(os.getpid())\ntime.sleep(600)\n")
    start = (
        f"import sys; from chainrule.cli.launch import Launched; "
        f"sys.exit(Launched(2, [{path!r}]).run())"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", start],
        stdout=subprocess.PIPE,
        text=True,
        # The tests themselves may run under nohup, which the launcher would heed.
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
    )
    assert launcher.stdout is not None
    started = [int(launcher.stdout.readline().split()[1]) for __ in range(2)]
    try:
        launcher.send_signal(getattr(signal, name))
        assert launcher.wait() != 0
        for process in started:
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)
    finally:
        launcher.kill()
        launcher.stdout.close()
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
