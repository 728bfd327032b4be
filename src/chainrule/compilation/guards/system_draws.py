"""Draws from the operating system's random numbers, which have no state to compare.

``random.SystemRandom`` and ``secrets`` read them by one function of the module
``random``. Once traced code reaches one of them that function counts, in each thread by
itself: so a draw within a trace is found, however the generator is reached.
"""

from __future__ import annotations

import os
import random
import threading


class _Count(threading.local):
    draws = 0


_count = _Count()


def _urandom(size: int, /) -> bytes:
    _count.draws += 1
    return os.urandom(size)


def system_draws() -> int:
    """Return how often this thread has drawn from the system; count from now on."""
    random.__dict__["_urandom"] = _urandom
    return _count.draws
