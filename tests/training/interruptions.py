"""Exceptions out of a signal handler, at random times."""

from __future__ import annotations

import signal
import zlib
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest


class LateError(Exception):
    """An exception of one's own."""


class AtOnce(BaseException):
    """One that is not even an Exception, as KeyboardInterrupt."""


KINDS: tuple[type[BaseException], ...] = (TimeoutError, LateError, AtOnce)


#: What was opened when an exception came is closed when it is collected; Python tells
#: of one that comes within a finaliser, and drops it; and a run that was interrupted
#: when it had been stopped early is told so when it goes on.
unclosed = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:This run was stopped early",
)


def at_random_times(call: Callable[[], Any], seconds: float, times: int) -> int:
    """Call until it comes to its end, with exceptions on the way; how many came.

    Args:
        call: starts a run, or goes on with it.
        seconds: how long it takes without interruptions.
        times: so many exceptions at most.
    """
    if not hasattr(signal, "setitimer"):
        pytest.skip("needs setitimer")

    def late(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == "gc_callback":
            # Python drops what a callback of its collector raises; hypothesis has one.
            signal.setitimer(signal.ITIMER_REAL, 1e-4)
            return
        raise KINDS[hit % len(KINDS)]

    dice = np.random.default_rng(zlib.crc32(repr(call).encode()))
    hit, before = 0, signal.signal(signal.SIGALRM, late)
    try:
        while True:
            try:
                if hit < times:
                    delay = dice.uniform(0, 1.5 * seconds / times)
                    signal.setitimer(signal.ITIMER_REAL, max(1e-4, delay))
                call()
                signal.setitimer(signal.ITIMER_REAL, 0.0)
                return hit
            except KINDS:
                hit += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
