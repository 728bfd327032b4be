"""Exceptions at moments of the library's code that are drawn."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr

from .moments import Moments

#: All code of the library.
EVERYWHERE = (str(Path(cr.__file__).parent) + os.sep,)


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


def counted(call: Callable[[], Any]) -> int:
    """Call to the end; the number of moments at which an exception may come."""
    moments = Moments(EVERYWHERE)
    moments.call(call)
    return moments.total


def at_moments(call: Callable[[], Any], reach: int, times: int) -> int:
    """Call until it comes to its end, with exceptions on the way; how many came.

    Args:
        call: starts a run, or goes on with it.
        reach: each exception comes at one of the first so many moments of a call.
        times: so many exceptions at most.
    """
    dice, hit = np.random.default_rng(0), 0
    while True:
        error = KINDS[hit % len(KINDS)]
        number = int(dice.integers(1, reach + 1)) if hit < times else None
        try:
            Moments(EVERYWHERE, error=error, number=number).call(call)
        except error:
            hit += 1
        else:
            return hit
