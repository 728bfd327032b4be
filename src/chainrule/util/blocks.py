"""Blocks: context managers whose changes are undone however they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _Opened(threading.local):
    """The blocks of a thread that are open.

    Attributes:
        top: (the innermost, what it undoes with, those around it); None: no block.
    """

    top: Any = None


opened = _Opened()


class Block:
    """The base class of context managers that change something within a block.

    Python looks for signals where ``__exit__`` begins, so that Ctrl-C may come while
    nothing is undone yet. What a block changes is therefore noted on a stack of
    the thread before it is changed, and undone by whichever comes first: the end of the
    block, the end of a block around it, or :func:`settle`, which what users call does
    for all that is below (:func:`settled`). What is undone already stays as it is.

    A subclass says what to keep (``saved``), changes it (``change``; the result is what
    ``as`` names), and puts back what was kept (``undo``, perhaps twice).
    """

    __slots__ = ()

    def saved(self) -> Any:
        """Return what ``undo`` puts back."""
        raise NotImplementedError

    def change(self) -> Any:
        """Make the change of the block."""
        raise NotImplementedError

    def undo(self, saved: Any) -> None:
        """Put back what was saved."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        opened.top = self, self.saved(), opened.top
        try:
            return self.change()
        except BaseException:
            leave(self)
            raise

    def __exit__(self, *__: object) -> None:
        leave(self)

    def __call__(self, function: Any) -> Any:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return _in_block(self, function, args, kwargs)

        return call


def leave(block: Block) -> None:
    """Undo a block of this thread, and those within it whose end was cut off."""
    entry = opened.top
    while entry is not None and entry[0] is not block:
        entry = entry[2]
    if entry is not None:
        settle(entry[2])


def settle(outer: Any) -> None:
    """Undo the blocks of this thread that were begun since ``opened.top`` was this.

    For code that goes on, or lets an exception pass, after a KeyboardInterrupt.
    """
    entry = opened.top
    while entry is not None and entry is not outer:
        entry = entry[2]
    if entry is not outer:
        return  # the block around has ended
    while (entry := opened.top) is not outer:
        block, saved, rest = entry
        try:
            block.undo(saved)
        except Exception:  # not an interrupt: what is left is undone further out
            opened.top = rest
            raise
        opened.top = rest


def settled(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate what users call: however it ends, no block in it is left open."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return _settling(function, args, kwargs)

    return call


# What decorators return reads no variable that changes: a compiled function may be one.


def _settling(function: Any, args: Any, kwargs: Any) -> Any:
    outer = opened.top
    try:
        return function(*args, **kwargs)
    except BaseException:
        settle(outer)
        raise


def _in_block(block: Block, function: Any, args: Any, kwargs: Any) -> Any:
    outer = opened.top
    try:
        with block:
            return function(*args, **kwargs)
    except BaseException:
        settle(outer)
        raise
