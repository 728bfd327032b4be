"""A training process as the server sees it: started, asked, ended; or lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainrule.lab import protocol

#: Seconds that a process has to save what it trained.
GRACE = 15.0
#: Seconds in which its last words come, once it has ended.
WORDS = 1.0
#: Characters of what a process said on standard error that are kept.
LAST_WORDS = 4000

#: Gets each message of a process: its kind, and its bytes.
Heard = Callable[["Process", int, bytes], None]
#: Called when a process has ended.
Ended = Callable[["Process"], None]


class Process:
    """A training process.

    Args:
        heard: gets its messages.
        ended: called once when it has ended, for whatever reason.
    """

    def __init__(self, heard: Heard, ended: Ended) -> None:
        self._heard, self._ended = heard, ended
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.words = ""
        #: The question that the process was started for.
        self.ticket: int | None = None
        #: Where it saves what it trains.
        self.out: Path | None = None
        #: Whether it was told to end.
        self.asked_to_end = False

    async def start(self) -> None:
        """Start the process; a Ctrl-C of the terminal reaches the server alone."""
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chainrule.lab.worker"),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            limit=1 << 20,
            **apart,
        )
        self._tasks = [
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._overhear()),
        ]
        if self.asked_to_end:  # in the meantime
            self._process.kill()

    @property
    def pid(self) -> int | None:
        """The number of the process, None before it is started."""
        return None if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code of the process, None while it runs."""
        return None if self._process is None else self._process.returncode

    def ask(self, message: dict[str, Any]) -> None:
        """Send a message; one to a process that has ended goes nowhere."""
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return
        content = {k: v for k, v in message.items() if k != "type"}
        payload = protocol.passed_on(message["type"], **content)
        process.stdin.write(protocol.framed(protocol.TEXT, payload))

    async def end(self) -> None:
        """Have the process save what it trained, and end; wait for that."""
        self.asked_to_end = True
        process = self._process
        if process is None:
            return
        if process.stdin is not None and not process.stdin.is_closing():
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), GRACE)
        except TimeoutError:
            process.kill()
            await process.wait()
        listening, overhearing = self._tasks
        await listening
        # What it has started itself may live on, and keep its standard error open.
        await asyncio.wait([overhearing], timeout=WORDS)
        overhearing.cancel()

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self.asked_to_end = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def over(self, seconds: float) -> None:
        """Wait until the process has ended; end it after so many seconds."""
        assert self._process is not None
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            await self.end()

    async def _listen(self) -> None:
        process = self._process
        assert process is not None
        try:
            while True:
                kind, payload = await protocol.receive_framed(process.stdout)
                self._heard(self, kind, payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except ValueError:
            process.kill()  # its messages are none
        await process.wait()
        self._ended(self)

    async def _overhear(self) -> None:
        process = self._process
        assert process is not None
        assert process.stderr is not None
        while part := await process.stderr.read(4096):
            said = part.decode("utf-8", "replace")
            self.words = (self.words + said)[-LAST_WORDS:]
