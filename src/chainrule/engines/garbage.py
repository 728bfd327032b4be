"""A pause of Python's garbage collection while many long-lived objects are created.

A graph and the code of it are tens of thousands of objects that refer to each other.
Python's collector would go through all of them again and again as they are made, and
find nothing: on long programs that is a third of the time to compile.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Generator[None]:
    """Return a context manager that disables Python's garbage collector.

    >>> with gc_paused():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
