"""Calls of functions whose results change by themselves: clocks, input, entropy.

Nothing that a guard could compare tells the next result of ``time.time()`` or of
``os.urandom(8)``. So while a function is traced whose code can reach one of these, the
interpreter reports each call, and one of these is refused. Functions that reach none,
which are nearly all, are traced without such reports.

What is reported is the call and not its arguments. How many there are is read from
the instruction of the call: ``time.localtime()`` reads the clock, ``time.localtime(0)``
does not. A generator of ``random`` that the system has seeded is refused once it was
drawn from. Files are seen as Python's auditing reports them. Threads that the function
starts are watched like itself.

Not seen are calls that other code in C makes, as ``functools.partial(time.time)()``
does, and of what NumPy reads the clock for all but ``np.datetime64("now")``, with the
text written there.
"""

from __future__ import annotations

import builtins
import datetime
import dis
import functools
import os
import random
import sys
import threading
import time
from collections.abc import Collection
from types import CodeType, FrameType, FunctionType
from typing import Any

from chainrule.util.blocks import Block
from chainrule.util.source_location import of_user

_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
#: Functions that read a clock or what somebody types, with their names. Packages may
#: call them: a log has the time.
_READ: dict[Any, str] = {
    **{
        getattr(time, name): f"time.{name}"
        for clock in (*_CLOCKS, "clock_gettime")
        for name in (clock, f"{clock}_ns")
        if hasattr(time, name)
    },
    **{
        getattr(os, name): f"os.{name}"
        for name in ("times", "getloadavg")
        if hasattr(os, name)
    },
    builtins.input: "input",
}
#: Functions that read the clock where they are given no more arguments than this.
_LEFT_OUT: dict[Any, int] = {
    **dict.fromkeys((time.localtime, time.gmtime, time.ctime, time.asctime), 0),
    time.strftime: 1,
}
#: Functions that draw from the system, whoever calls them.
_DRAWN: dict[Any, str] = {
    getattr(os, name): f"os.{name}"
    for name in ("urandom", "getrandom")
    if hasattr(os, name)
}
#: Files that give other bytes each time that they are read.
_DEVICES = {"/dev/random", "/dev/urandom", "/dev/hwrng"}
#: Methods of classes of dates that read the clock, and texts that NumPy reads it for.
_TODAY = {"now", "utcnow", "today"}
#: What leads to one of them from code that names it.
_NAMES = {
    *(name.rpartition(".")[2] for name in (*_READ.values(), *_DRAWN.values())),
    *("uuid1", "uuid4", "Random", "seed", "datetime64"),
    *(function.__name__ for function in _LEFT_OUT),
    *("open", "read_bytes", "fromfile"),
    *_TODAY,
}
_SEEDED: Any = random.Random.seed


def moves(item: Any) -> bool:
    """Return whether an object that code reaches by any name is one of these calls."""
    kind = type(item)
    if kind is type(time.time):
        known = item in _READ or item in _DRAWN or item in _LEFT_OUT
        return known or _of_dates(item)
    if kind is FunctionType:  # attributes of other objects may be computed
        return item.__module__ == "uuid" and item.__name__ in ("uuid1", "uuid4")
    return isinstance(item, type) and issubclass(item, random.Random)


def may_move(names: Collection[str]) -> bool:
    """Return whether code that uses these names may make one of these calls."""
    return not _NAMES.isdisjoint(names)


def _of_dates(item: Any) -> bool:
    own = getattr(item, "__self__", None)
    dates = isinstance(own, type) and issubclass(own, datetime.date)
    return dates and item.__name__ in _TODAY


class Noted(Block):
    """A block that adds the names of such calls that its thread makes to a list.

    So it does with the calls of threads that are started within it. A profiler that is
    at work does not see what the block does.
    """

    __slots__ = ("_calls", "_of_threads", "_open", "_threads", "_unseeded")

    def __init__(self, calls: list[str]) -> None:
        self._calls, self._open = calls, False
        self._of_threads: Any = None  # a profiler's function for threads
        self._threads: list[Any] = []  # which the block's threads have started
        #: Generators that the system has seeded, and their states then.
        self._unseeded: list[tuple[random.Random, Any]] = []

    def saved(self) -> Any:
        return sys.getprofile(), threading.getprofile()

    def change(self) -> None:
        self._open = True
        _watch_files()
        _watching.append(self)
        self._of_threads = threading.getprofile()
        threading.setprofile(self._report_thread)
        sys.setprofile(self._report)

    def undo(self, saved: Any) -> None:
        mine, of_threads = saved
        if mine is None or callable(mine):
            sys.setprofile(mine)
        else:  # cProfile's, which Python does not call
            sys.setprofile(None)
            mine.enable()
        threading.setprofile(of_threads)
        self._open = False
        if self in _watching:
            _watching.remove(self)
        for generator, before in self._unseeded:
            self._look(generator, before)
        self._unseeded.clear()

    def watches(self, thread: Any) -> bool:
        """Return whether a thread has been started within the block."""
        return any(started is thread for started in self._threads)

    def note_file(self) -> None:
        """Note that this thread opens such a file, if it is one that is watched."""
        if sys.getprofile() in (self._report, self._report_thread):
            self._calls.append("open")

    def _report_thread(self, frame: FrameType, event: str, called: Any) -> None:
        if self._open and self.watches(threading.current_thread()):
            self._report(frame, event, called)
        else:  # another thread has started this one
            sys.setprofile(self._of_threads)
            if self._of_threads is not None:
                self._of_threads(frame, event, called)

    def _report(self, frame: FrameType, event: str, called: Any) -> None:
        calls = self._calls
        if event == "c_call":
            if called in _DRAWN:
                calls.append(_DRAWN[called])
            elif called in _READ and _is_users(frame):
                calls.append(_READ[called])
            elif called in _LEFT_OUT and _is_users(frame):
                if _arguments(frame) <= _LEFT_OUT[called]:
                    calls.append(f"time.{called.__name__}")
            elif _of_dates(called) and _is_users(frame):
                calls.append(f"{called.__self__.__name__}.{called.__name__}")
        elif event == "call":
            code = frame.f_code
            if code is _SEEDED.__code__:
                self._seeds(frame)
            elif code is threading.Thread.start.__code__:
                self._threads.append(frame.f_locals["self"])
            elif _is_uuid1(code) and frame.f_back and _is_users(frame.f_back):
                calls.append("uuid.uuid1")
            elif _is_users(frame) and _writes_now(code):
                calls.append("np.datetime64")
        elif event == "return" and frame.f_code is _SEEDED.__code__:
            generator = frame.f_locals.get("self")
            entropy = frame.f_locals.get("a") is None
            if (
                entropy
                and isinstance(generator, random.Random)
                and _is_users(_outside(frame))
            ):
                self._unseeded.append((generator, generator.getstate()))

    def _seeds(self, frame: FrameType) -> None:
        """Forget a generator that gets another seed, unless it was drawn from."""
        generator = frame.f_locals["self"]
        for pair in [p for p in self._unseeded if p[0] is generator]:
            self._look(*pair)
            self._unseeded.remove(pair)

    def _look(self, generator: random.Random, before: Any) -> None:
        if generator.getstate() != before:
            self._calls.append("random.Random")


#: Blocks that are open, in any thread.
_watching: list[Noted] = []


@functools.cache
def _watch_files() -> None:
    """Have files that are opened reported, once a process: it cannot be undone."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and _watching and str(arguments[0]) in _DEVICES:
            for block in _watching:
                block.note_file()

    sys.addaudithook(hook)


def _outside(frame: FrameType) -> FrameType:
    """Return the frame that calls the module ``random``, or a method of a subclass."""
    outer = frame
    while outer.f_back is not None and outer.f_code.co_filename == random.__file__:
        outer = outer.f_back
    return outer


def _arguments(frame: FrameType) -> int:
    """Return how many arguments that count a frame's present call is given."""
    before = [
        step
        for step in dis.get_instructions(frame.f_code)
        if step.offset <= frame.f_lasti and step.opname not in ("PRECALL", "KW_NAMES")
    ]
    call = before[-1]
    if not call.opname.startswith("CALL") or "_EX" in call.opname:
        return 0  # f(*arguments): there may be none
    # The next instruction back has made the last argument.
    none = len(before) > 1 and before[-2].argval is None
    return int(call.arg or 0) - (none and before[-2].opname == "LOAD_CONST")


@functools.lru_cache(maxsize=512)
def _writes_now(code: CodeType) -> bool:
    """Return whether code has ``datetime64("now")``, or that of another such text."""
    if "datetime64" not in {*code.co_names, *code.co_freevars, *code.co_varnames}:
        return False
    named = False
    for step in dis.get_instructions(code):
        text = step.argval if step.opname == "LOAD_CONST" else None
        if named and isinstance(text, str) and text in _TODAY:
            return True
        if step.opname not in ("PUSH_NULL", "CACHE"):
            named = step.argval == "datetime64"
    return False


def _is_uuid1(code: CodeType) -> bool:
    """Return whether code is that of ``uuid.uuid1``, whose clock a library reads."""
    loaded = sys.modules.get("uuid") if code.co_name == "uuid1" else None
    return loaded is not None and code is loaded.uuid1.__code__


def _is_users(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return of_user(file) or (file.startswith("<") and not file.startswith("<frozen"))
