"""The number of threads on which programs run: as requested, or by measurement.

Results of machine code do not depend on the number, so its engine may try. Two threads
lose on small graphs, and on large ones too while another process wants the core: no
rule on the graph alone knows that, a clock does.
"""

from __future__ import annotations

import functools
import importlib
import math
import os
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from types import FrameType
from typing import Any, TypeVar

from chainrule.errors import EngineError
from chainrule.text import _
from chainrule.util import validation

T = TypeVar("T")

#: A run that one thread ends sooner is not tried with more: waking one takes as long.
WORTH = 20e-6
#: Runs of each number in a contest, and the seconds of one where steps can be divided.
ROUNDS, SLICE = 5, 1e-3
#: What contests may lose, as a share of the time between two; and that time at least.
LOSS, PAUSE = 0.02, 0.05


def available_cores() -> int:
    """Return the number of processor cores that this process may use now."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked(threads: int | None) -> int | None:
    """Check a requested number of threads; None leaves the choice to the engine."""
    return validation.maybe(validation.whole)("threads", threads)


class ThreadChoice:
    """The choice of an entry point's number of threads, by timing its runs.

    Where nobody has asked for a number there are contests: short runs with 1, 2, 4, …
    threads up to all cores, in turns, so that all meet the same moment of the machine.
    The least median wins until the next contest, which comes once what the last one
    has lost with the others is a small share of the time since. So a contest that met
    an odd moment is soon corrected, and so is one after which the machine has changed.

    Args:
        asked: the number that the user asked for, or None to try.

    Attributes:
        alone: so many steps in one run are one thread's work, whatever contests say.
        best: the number that won.
    """

    def __init__(self, asked: int | None) -> None:
        self._asked = asked
        self.alone = sys.maxsize if asked == 1 else 0
        self.best = asked or 1
        self._each: dict[int, float] = {}  # seconds of a step, the last measured
        self._turns = [1]  # still to come in this contest, backwards; first a warm-up
        self._runs: dict[int, list[tuple[float, int]]] = {}
        self._rest = 0.0  # seconds of runs to come before the next contest

    def take(self, steps: int) -> tuple[int, int]:
        """Return the number of threads for a program's next run, and its step count."""
        if self._asked is not None:
            return self._asked, steps
        if not self._turns and self._rest <= 0.0:
            cores = available_cores()
            numbers = sorted({cores, *(1 << i for i in range(cores.bit_length()))})
            self._runs = {number: [] for number in numbers if number <= cores}
            self._turns = [*reversed(self._runs)] * ROUNDS
        number = self._turns[-1] if self._turns else self.best
        seconds = SLICE if self._turns else self._rest
        return number, min(steps, 1 + int(seconds / self._each.get(number, math.inf)))

    def note(self, number: int, steps: int, seconds: float) -> None:
        """Record the time of a program's run, to choose the number of threads."""
        if self._asked is not None:
            return
        each = self._each[number] = max(seconds, 1e-9) / steps
        if number == 1:
            self.alone = max(self.alone, int(WORTH / each))
        if not self._turns:
            self._rest -= seconds
            return
        self._turns.pop()
        if self._runs:
            self._runs[number].append((each, steps))
            if not self._turns:
                self._decide()

    def _decide(self) -> None:
        """End a contest between thread numbers; choose the fastest for later runs."""
        medians = {n: sorted(runs)[len(runs) // 2][0] for n, runs in self._runs.items()}
        self.best = min(medians, key=medians.__getitem__)
        least = medians[self.best]
        lost = sum(
            (each - least) * steps
            for number, runs in self._runs.items()
            if number != self.best
            for each, steps in runs
        )
        self._rest = max(PAUSE, lost / LOSS)


class _Process:
    """The lock of the process under which programs run, and around a fork.

    There is one for all: programs share tensors, and the native engine runs one chunk
    at a time anyway. It is reentrant, for a signal handler has the thread of what it
    interrupts. A process forks while no other thread has it, so that its child finds no
    program in the middle of a run.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()

    def before_fork(self) -> None:
        self.lock.acquire()

    def after_fork(self) -> None:
        self.lock.release()


process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=process.before_fork,
        after_in_parent=process.after_fork,
        after_in_child=process.__init__,
    )


class RunLock:
    """A lock that lets one thread at a time run a program."""

    def __init__(self) -> None:
        self._taken: Any = None

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that runs a program while no other thread runs one.

        The lock is its own context manager, and nothing is called between what is
        taken and the block that gives it back: an exception of a signal handler comes
        at calls, and leaves it free.
        """
        lock = process.lock
        with lock:
            if self._taken is lock:
                raise EngineError(
                    _("A program cannot be run inside a run of its own."),
                    expected=_("run to return before the same thread calls it again"),
                    got=_("a call from a signal handler"),
                    fix=_("note the wish in the handler, and run afterwards"),
                )
            self._taken = lock
            try:
                return function(*args)
            finally:
                self._taken = None


class _Uninterrupted:
    """A context manager that delays Ctrl-C (KeyboardInterrupt) to its block's end.

    That holds where Python's own handler is in charge, which raises KeyboardInterrupt.
    Of blocks within each other, as imports are, it is the end of the outermost.

    A handler of another signal may raise an exception anywhere, also where a block
    begins or ends: a block whose frame has gone is over, and delays nothing.
    """

    def __init__(self) -> None:
        self.depth, self.pending = 0, False
        self._frame: FrameType | None = None

    def __enter__(self) -> None:
        if threading.get_ident() != threading.main_thread().ident:
            return  # which signals do not interrupt
        frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        if self.depth and self._is_within(frame):
            self.depth += 1
        elif _signal.getsignal(_signal.SIGINT) in (_interrupting, self._note):
            self._frame, self.depth, self.pending = frame, 1, False
            _signal.signal(_signal.SIGINT, self._note)

    def __exit__(self, *__: object) -> None:
        if self.depth and threading.get_ident() == threading.main_thread().ident:
            self.depth -= 1
            if self.depth:
                return
            self._end()
            if self.pending:
                raise KeyboardInterrupt

    def _end(self) -> None:
        self._frame, self.depth = None, 0
        _signal.signal(_signal.SIGINT, _interrupting)

    def _is_within(self, frame: FrameType | None) -> bool:
        """Return whether the outermost block's frame is one of a frame's callers."""
        while frame is not None and frame is not self._frame:
            frame = frame.f_back
        return frame is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.depth or not self._is_within(frame):
            self._end()
            raise KeyboardInterrupt
        again, self.pending = self.pending, True
        if again:
            raise KeyboardInterrupt


# Python wraps these in enumerations, which takes ten times as long.
_signal: Any = importlib.import_module("_signal")
_interrupting = _signal.default_int_handler
uninterrupted = _Uninterrupted()


_SIGNALS = tuple(sorted(map(int, _signal.valid_signals())))


class undisturbed:  # noqa: N801 - used like a function
    """A context manager that delays Python's handlers of signals to its block's end.

    For a few calls that belong together, which take no longer than starting a run.
    A second Ctrl-C is not delayed.
    """

    def __init__(self) -> None:
        self._held: list[tuple[int, Any]] = []
        self._met: list[tuple[int, Any]] = []

    def __enter__(self) -> None:
        if threading.get_ident() != threading.main_thread().ident:
            return  # which signals do not interrupt
        try:
            for number in _SIGNALS:
                handler = _signal.getsignal(number)
                if callable(handler):
                    self._held.append((number, handler))
                    _signal.signal(number, self._note)
        except BaseException:  # of a handler that was not replaced yet
            self._restore()
            raise

    def __exit__(self, *__: object) -> None:
        try:
            self._restore()
        finally:
            for number, frame in self._met:
                _signal.getsignal(number)(number, frame)

    def _restore(self) -> None:
        try:
            while self._held:
                _signal.signal(*self._held[-1])
                self._held.pop()
        finally:  # also where a handler that is back already raises an exception
            if self._held:
                self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = any(number == other for other, __ in self._met)
        if again and number == _signal.SIGINT:
            dict(self._held)[number](number, frame)
        elif not again:
            self._met.append((number, frame))


# -- NumPy's own threads ---------------------------------------------------------------

#: A product of at most so many multiplications is one thread's work for OpenBLAS too.
ONE_THREAD = 1 << 18
#: From so many on NumPy's products use all cores.
ALL_THREADS = 10**8


def blas_threads_for(multiplications: int) -> int:
    """Return the number of BLAS threads for a program, by its largest matrix product.

    A BLAS sums in another order with another number of threads, so a clock may not
    decide here as it does for machine code of ours: a run could not be repeated. Its
    threads spin between two products; below this size one thread is faster.
    """
    return available_cores() if multiplications >= ALL_THREADS else 1


@functools.cache
def _controller() -> Any:
    """Return the control of NumPy's BLAS threads, or None if unavailable."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    libraries = ThreadpoolController().select(user_api="blas")
    return libraries if len(libraries) else None


def blas_threads(number: int) -> Any:
    """Return a context manager that sets the number of NumPy's BLAS threads."""
    controller = _controller()
    return nullcontext() if controller is None else controller.limit(limits=number)
