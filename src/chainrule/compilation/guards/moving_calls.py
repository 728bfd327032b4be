"""Calls of functions whose results change by themselves: clocks, input, entropy.

Nothing that a guard could compare tells the next result of ``time.time()`` or of
``os.urandom(8)``. So while a function is traced whose code can reach one of these, the
interpreter reports each call, and one of these is refused. Functions that reach none,
which are nearly all, are traced without such reports.
"""

from __future__ import annotations

import builtins
import datetime
import os
import random
import sys
import time
from collections.abc import Collection
from types import FrameType, FunctionType
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
#: Functions that draw from the system, whoever calls them.
_DRAWN: dict[Any, str] = {
    getattr(os, name): f"os.{name}"
    for name in ("urandom", "getrandom")
    if hasattr(os, name)
}
#: Methods of classes of dates that read the clock.
_TODAY = {"now", "utcnow", "today"}
#: What leads to one of them from code that names it.
_NAMES = {
    *(name.rpartition(".")[2] for name in (*_READ.values(), *_DRAWN.values())),
    *("uuid1", "uuid4", "Random"),
    *_TODAY,
}
_UNSEEDED: Any = random.Random.__init__


def moves(item: Any) -> bool:
    """Return whether an object that code reaches by any name is one of these calls."""
    kind = type(item)
    if kind is type(time.time):
        return item in _READ or item in _DRAWN or _of_dates(item)
    if kind is FunctionType:  # attributes of other objects may be computed
        return item.__module__ == "uuid" and item.__name__ in ("uuid1", "uuid4")
    return item is random.Random


def may_move(names: Collection[str]) -> bool:
    """Return whether code that uses these names may make one of these calls."""
    return not _NAMES.isdisjoint(names)


def _of_dates(item: Any) -> bool:
    own = getattr(item, "__self__", None)
    dates = isinstance(own, type) and issubclass(own, datetime.date)
    return dates and item.__name__ in _TODAY


class Noted(Block):
    """A block that adds the names of such calls that its thread makes to a list.

    A profiler that is at work does not see what the block does.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls

    def saved(self) -> Any:
        return sys.getprofile()

    def change(self) -> None:
        sys.setprofile(self._report)

    def undo(self, saved: Any) -> None:
        if saved is None or callable(saved):
            sys.setprofile(saved)
        else:  # cProfile's, which Python does not call
            sys.setprofile(None)
            saved.enable()

    def _report(self, frame: FrameType, event: str, called: Any) -> None:
        calls = self._calls
        if event == "c_call":
            if called in _DRAWN:
                calls.append(_DRAWN[called])
            elif called in _READ and _is_users(frame):
                calls.append(_READ[called])
            elif _of_dates(called) and _is_users(frame):
                calls.append(f"{called.__self__.__name__}.{called.__name__}")
        elif event == "call" and frame.f_code is _UNSEEDED.__code__:
            outer = frame.f_back
            if frame.f_locals.get("x") is None and outer and _is_users(outer):
                calls.append("random.Random")


def _is_users(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return of_user(file) or (file.startswith("<") and not file.startswith("<frozen"))
