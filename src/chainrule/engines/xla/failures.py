"""Failures of JAX while a program runs, as clear errors: memory, other processes.

A run returns before it is done, so a failure shows where its results are waited for.
What another process has broken is found in two ways: an exchange fails, which is an
exception here; or JAX's connection to the first process breaks, and JAX ends this
process from a thread of its own. In both cases it says so in our words.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from chainrule.errors import EngineError
from chainrule.text import _
from chainrule.util import processes

#: Seconds that the first process stays when another one is missed, and that any other
#: has to say what it has found when JAX ends it.
LINGER, FINDING = 5.0, 2.0
#: What JAX's errors say where a connection to another process has broken.
_BROKEN = (
    "gloo",
    "nccl",
    "connection",
    "coordination",
    "socket closed",
    "heartbeat",
    "unavailable",
    "aborted",
)
#: What they say where memory ran out, and of a state that went with it.
_MEMORY = ("resource_exhausted", "out of memory", "out_of_memory")
_DELETED = "array has been deleted"
#: The error of a run that has missed another process; it ends all that follows.
_lost: list[EngineError] = []


class clear_errors:  # noqa: N801 - used like a function
    """A context manager that turns JAX's errors of memory, or of another process.

    Args:
        what: says what is done, for the message; None: a result is read.

    Raises:
        EngineError: memory ran out; another process has ended, or cannot be reached.
    """

    def __init__(self, what: Callable[[], str] | None = None) -> None:
        self._what = what

    def __enter__(self) -> None:
        if _lost:
            raise _lost[0]

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if not isinstance(error, RuntimeError | ValueError):  # JAX's are of both kinds
            return
        if isinstance(error, EngineError):
            return
        text = str(error)
        if any(mark in text.lower() for mark in _MEMORY):
            what = self._what() if self._what else ""
            raise out_of_memory(what, text) from error
        if _DELETED in text.lower():
            what = _("numbers that a step was to replace")
            raise out_of_memory(what, text) from error
        if _is_broken(error):
            _lost.append(_ended(text[:200]))
            atexit.register(_leave)
            raise _lost[0] from error


def _is_broken(error: BaseException) -> bool:
    """Return whether an error of JAX's means that another process is missed."""
    if processes.count() == 1 or not isinstance(error, RuntimeError | ValueError):
        return False
    return any(mark in str(error).lower() for mark in _BROKEN)


class taking_part:  # noqa: N801 - used like a function
    """A context manager after whose failure this process takes no part in other steps.

    The others are in that step, and would wait for it: it ends, and they find out.
    """

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None or processes.count() == 1:
            return
        if not _lost and not _is_broken(error):
            _lost.append(_left(error))


def _left(error: BaseException) -> EngineError:
    return EngineError(
        _("This process has failed in a step that the others have begun."),
        expected=_("all {count} processes in each step", count=processes.count()),
        got=f"{type(error).__name__}: {error}"[:200],
        fix=_(
            "end it: the others find out. Go on from the last checkpoint, in new "
            "processes"
        ),
    )


class OutOfMemoryError(EngineError):
    """An error of a run for which a device's memory did not suffice."""


def out_of_memory(what: str, text: str) -> OutOfMemoryError:
    """Return the error of a run for which a device's memory did not suffice."""
    return OutOfMemoryError(
        _("A device's memory ran out."),
        expected=_("room for what a step computes, beside what is there"),
        got=_("{what}: {text}", what=what, text=_first_line(text))
        if what
        else _first_line(text),
        fix=_(
            "smaller batches, more devices, or release results that are kept on the "
            "device. A Trainer and a Loop go back to their last snapshot; where "
            "weights cannot be read, load them: load_state_dict, or the last checkpoint"
        ),
    )


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:200]


def _ended(text: str) -> EngineError:
    return EngineError(
        _("Another process of this run has ended, or cannot be reached."),
        expected=_("all {count} processes until the end", count=processes.count()),
        got=_("process {index}: {text}", index=processes.index(), text=text),
        fix=_(
            "see what the other processes said; then go on from the last "
            "checkpoint, on as many processes as there are: --resume DIRECTORY, or "
            "Trainer.load(directory).resume(train)"
        ),
    )


def _leave() -> None:
    """End a process that has missed another one, without waiting for that.

    JAX would wait until the others end as well, and then abort. It aborts them at once
    when the first process has ended: so that waits until they have had their say.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    if processes.is_writer():
        time.sleep(LINGER)
    os._exit(1)


def speak_before_abort() -> None:
    """Have this process say what has happened when JAX ends it.

    JAX knows of no function to call then, and aborts: the handler of that signal of C
    runs on JAX's own thread, where none of Python's would.
    """
    with suppress(OSError, AttributeError, TypeError):  # where C has no such function
        _c = ctypes.CDLL(None)
        _c.signal.restype = ctypes.c_void_p
        _c.signal(signal.SIGABRT, _handler)


def _aborted(number: int) -> None:
    """Handle the abort of a process: that by JAX, on its thread, says something."""
    here = threading.get_ident()
    if any(thread.ident == here for thread in threading.enumerate()):
        return  # of something else: C goes on to end the process
    until = time.monotonic() + FINDING
    while not _lost and time.monotonic() < until:
        time.sleep(0.02)  # the exception is on its way in the program's own thread
    if _lost:
        time.sleep(LINGER)  # for what that says; it ends the process
    error = (
        _lost[0]
        if _lost
        else _ended(
            _(
                "JAX ends it, for what it says above: its connection to the others has "
                "broken, or else XLA has failed in it"
            )
        )
    )
    with suppress(OSError):
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    os._exit(1)


_handler: Any = ctypes.CFUNCTYPE(None, ctypes.c_int)(_aborted)
