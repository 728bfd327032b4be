"""How many threads a run uses: what was asked for, or what measured best.

Results of machine code do not depend on the number, so its engine may try. Two threads
lose on small graphs, and on large ones too while another process wants the core: no
rule on the graph alone knows that, a clock does.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from chainrule import checks
from chainrule.errors import EngineError

T = TypeVar("T")

#: The number that is not the best so far is tried again after so many runs.
AGAIN = 50
#: What a new measurement counts in the running mean.
SHARE = 0.3


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked(threads: int | None) -> int | None:
    """A number of threads as it was asked for."""
    return checks.maybe(checks.whole)("threads", threads)


class ThreadChoice:
    """One thread or all of them, for one entry point.

    Args:
        asked: the number that the user asked for, or None to try.
    """

    def __init__(self, asked: int | None) -> None:
        cores = available_cores()
        self.numbers = [asked] if asked is not None else sorted({1, cores})
        self._seconds: dict[int, float] = {}
        self._tries = dict.fromkeys(self.numbers, 0)
        self._runs = 0

    def next(self) -> int:
        """How many threads the next run shall use."""
        if len(self.numbers) == 1:
            return self.numbers[0]
        self._runs += 1
        for number in self.numbers:  # the first run of each warms up
            if self._tries[number] < 3:
                return number
        best = min(self.numbers, key=self._seconds.__getitem__)
        if self._runs % AGAIN:
            return best
        return next(number for number in self.numbers if number != best)

    def note(self, number: int, seconds: float, steps: int) -> None:
        """Learn what a run of some steps took."""
        if len(self.numbers) == 1:
            return
        self._tries[number] += 1
        if self._tries[number] == 1:
            return
        each = seconds / max(steps, 1)
        known = self._seconds.get(number, each)
        self._seconds[number] = known + SHARE * (each - known)


class _Process:
    """The lock that a thread holds while programs, or what they hold, change.

    One for all of them: programs share tensors, and the native engine runs one chunk at
    a time anyway. It is reentrant, for a signal handler has the thread of what it
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


class Turn:
    """What one thread at a time does: a program has one memory."""

    def __init__(self) -> None:
        self._taken: Any = None

    def take(self, run: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call ``run``, once no other thread is at it.

        The lock is its own context manager, and nothing is called between what is
        taken and the block that gives it back: an exception of a signal handler comes
        at calls, and leaves it free.
        """
        with process.lock:
            lock = process.lock
            if self._taken is lock:
                raise EngineError(
                    "A program cannot be run inside a run of its own.",
                    expected="run to return before the same thread calls it again",
                    got="a call from a signal handler",
                    fix="note the wish in the handler, and run afterwards",
                )
            self._taken = lock
            try:
                return run(*args, **options)
            finally:
                self._taken = None


# -- NumPy's own threads ---------------------------------------------------------------

#: A product of at most so many multiplications is one thread's work for OpenBLAS too.
ONE_THREAD = 1 << 18
#: From so many on NumPy's products use all cores.
ALL_THREADS = 10**8


def blas_threads_for(multiplications: int) -> int:
    """The threads of NumPy's BLAS for a program, by its largest product alone.

    A BLAS sums in another order with another number of threads, so a clock may not
    decide here as it does for machine code of ours: a run could not be repeated. Its
    threads spin between two products; below this size one thread is faster.
    """
    return available_cores() if multiplications >= ALL_THREADS else 1


@functools.cache
def _controller() -> Any:
    """What sets the threads of NumPy's BLAS; None where that cannot be done."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    found = ThreadpoolController().select(user_api="blas")
    return found if len(found) else None


def blas_threads(number: int) -> Any:
    """A block within which NumPy's matrix products use so many threads."""
    controller = _controller()
    return nullcontext() if controller is None else controller.limit(limits=number)
