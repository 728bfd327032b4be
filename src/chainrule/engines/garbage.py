"""A pause of Python's garbage collection while many long-lived objects are created.

A graph and the code of it are tens of thousands of objects that refer to each other.
Python's collector would go through all of them again and again as they are made, and
find nothing: on long programs that is a third of the time to compile.
"""

from __future__ import annotations

import gc

from chainrule.util.blocks import Block


class gc_paused(Block):  # noqa: N801 - used like a function
    """A context manager that disables Python's garbage collector.

    >>> with gc_paused():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """

    def saved(self) -> bool:
        return gc.isenabled()

    def change(self) -> None:
        gc.disable()

    def undo(self, saved: bool) -> None:
        if saved:
            gc.enable()
