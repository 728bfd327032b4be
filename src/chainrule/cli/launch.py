"""``chainrule launch``: several processes of one run, on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say
from chainrule.engines import need_engine
from chainrule.engines.xla.processes import ADDRESS, COUNT, HEARTBEAT, NUMBER
from chainrule.text import tr

EXAMPLES = """\b
Examples:
  chainrule launch -n 4 -- train gpt --engine xla
  chainrule launch -n 2 -- train houses.toml --engine xla
  chainrule launch -n 2 -- program.py --its options
"""

#: Seconds that the others have to end by themselves once one has failed, so that each
#: finds out and says so, and then to end when they are told to.
GRACE, TOLD = HEARTBEAT + 10.0, 10.0
#: The signals that are handed on, such as that of a terminal which is closed.
_ENDING = [
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP")
    if hasattr(signal, name)
]


@cli.command(
    epilog=EXAMPLES,
    short_help="Run a command in several processes.",
    context_settings={"ignore_unknown_options": True},
)
@speaking.option(
    "-n",
    "--processes",
    type=click.IntRange(1),
    required=True,
    help="How many; one for each GPU, or for some cores.",
)
@click.argument(
    "arguments",
    cls=speaking.Argument,
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    metavar="-- COMMAND",
)
@command
def launch(processes: int, arguments: tuple[str, ...], as_json: bool) -> int:
    """Run a command of chainrule, or a Python program, in several processes.

    They run one program together, with the engine xla: each batch is divided over their
    devices. The first writes files and shows progress. What the others say is shown
    behind their number; when one fails the others are ended.

    On a cluster the scheduler starts the processes, without this command.
    """
    del as_json  # that of the command is among its own arguments
    need_engine("xla")  # this process is none of those that it starts
    return Launched(processes, arguments).run()


class Launched:
    """The processes of one run on this machine.

    Args:
        count: how many.
        arguments: a command of chainrule, or a Python program, with its arguments.
    """

    def __init__(self, count: int, arguments: Sequence[str]) -> None:
        program = arguments[0].endswith(".py")
        start = [sys.executable, *([] if program else ["-m", "chainrule"])]
        self.count, self.command = count, [*start, *arguments]
        self.processes: list[subprocess.Popen[str]] = []
        self._readers: list[threading.Thread] = []
        self._write = threading.Lock()
        self._ending: int | None = None

    def _start(self) -> None:
        address = f"127.0.0.1:{_free_port()}"
        own = {ADDRESS: address, COUNT: str(self.count), "PYTHONUNBUFFERED": "1"}
        for number in range(self.count):
            process = subprocess.Popen(
                self.command,
                env={**os.environ, **own, NUMBER: str(number)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # Ctrl-C comes once, from here
            )
            self.processes.append(process)
            for pipe, to in ((process.stdout, "stdout"), (process.stderr, "stderr")):
                reader = threading.Thread(
                    target=self._relay, args=(number, pipe, to), daemon=True
                )
                reader.start()
                self._readers.append(reader)
            if self._ending is not None:  # which came while this one was started
                process.send_signal(self._ending)

    def _relay(self, number: int, pipe: Any, to: str) -> None:
        """Show the lines of a process behind its number."""
        with pipe:
            for line in pipe:
                stream: TextIO | None = getattr(sys, to)
                with self._write, contextlib.suppress(OSError, ValueError):
                    if stream is not None:
                        said = line.removesuffix("\n")  # the last one may have none
                        stream.write(f"[{number}] {said}\n")
                        stream.flush()

    def run(self) -> int:
        """Run all processes; return the exit code of the first that failed."""
        before = {}  # handlers stand before a process does, so that none is left behind
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                before[number] = signal.signal(number, self._forward)
        try:
            self._start()
            return self._wait()
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wait(self) -> int:
        failed = 0
        until, running = float("inf"), True
        while running and time.monotonic() < until:
            running = None in [p.poll() for p in self.processes]  # of all
            if not failed and (number := self._failed()) is not None:
                failed = self.processes[number].returncode
                until = time.monotonic() + GRACE
                say(_said(number, failed))
            time.sleep(0.05)
        return failed if failed >= 0 else 128 - failed

    def _failed(self) -> int | None:
        """Return the number of a process that has failed; None where none has.

        One that a signal has ended comes first: the others fail because they miss it.
        """
        codes = [p.returncode for p in self.processes]
        failed = [number for number, code in enumerate(codes) if code]
        return min(failed, key=lambda number: codes[number] > 0, default=None)

    def _forward(self, number: int, frame: Any) -> None:
        self._ending = number
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def _end(self) -> None:
        """End the processes that are left; show what they have said."""
        left = [p for p in self.processes if p.poll() is None]
        for process in left:
            process.terminate()
        until = time.monotonic() + TOLD
        for process in left:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        until = time.monotonic() + TOLD  # a child of theirs may keep a pipe open
        for reader in self._readers:
            reader.join(max(0.0, until - time.monotonic()))


def _said(number: int, code: int) -> str:
    if code < 0:
        return tr(
            "Process {number} was ended by the signal {signal}.",
            number=number,
            signal=-code,
        )
    return tr(
        "Process {number} failed, with exit code {code}.", number=number, code=code
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
