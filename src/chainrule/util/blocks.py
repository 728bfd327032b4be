"""Blocks: context managers whose changes are undone however they end."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from chainrule.errors import CallError
from chainrule.text import _

P = ParamSpec("P")
R = TypeVar("R")


class _Opened(threading.local):
    """The blocks of a thread that are open.

    Attributes:
        top: [the innermost, what it undoes with, those around it]; None: no block. Of
            one that has ended within others, the first is None.
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

    A generator may hold a block while others begin, and end it before they do. A block
    with a ``field`` then ends alone.

    Attributes:
        field: the name of what it changes, for blocks that do the same have the same
            ``saved``; None: those within it end with it.
    """

    __slots__ = ()
    field: Any = None

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
        outer = opened.top
        opened.top = [self, self.saved(), outer]
        try:
            return self.change()
        except BaseException:
            settle(outer)
            raise

    def __exit__(self, *error: Any) -> None:
        entry = opened.top
        if entry is None or entry[0] is not self:
            leave(self, error[1])
            return
        try:
            self.undo(entry[1])
        except Exception:  # as in settle
            try:
                self.undo(entry[1])
            finally:
                opened.top = entry[2]
            raise
        opened.top = entry[2]

    def __call__(self, function: Any) -> Any:
        """Decorate a function; one that is suspended is in the block while it runs."""
        if inspect.isasyncgenfunction(function):
            raise CallError(
                _("An asynchronous generator cannot be decorated with a block."),
                expected=_("a function, a generator function or a coroutine function"),
                got=function.__qualname__,
                fix=_("write 'with' within it, around what is computed between yields"),
            )
        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def generate(*args: Any, **kwargs: Any) -> Any:
                return (yield from _resumed(self, function(*args, **kwargs)))

            return generate
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run(*args: Any, **kwargs: Any) -> Any:
                return await _Awaited(self, function(*args, **kwargs))

            return run

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return _in_block(self, function, args, kwargs)

        return call


def leave(block: Block, error: BaseException | None = None) -> None:
    """Undo a block of this thread, and those within it whose end was cut off.

    Args:
        block: the innermost of this object.
        error: what ends it. Without an interrupt none was cut off: those that began
            within it are somebody else's, and stay open.
    """
    entry, inner = opened.top, list[Any]()
    while entry is not None and entry[0] is not block:
        inner.append(entry)
        entry = entry[2]
    if entry is None:
        return
    if not inner or block.field is None or _is_interrupt(error):
        settle(entry[2])
        return
    for other in reversed(inner):
        if other[0].field == block.field:
            other[1] = entry[1]  # and that one puts it back
            break
    else:
        block.undo(entry[1])
    inner[-1][2], entry[0] = entry[2], None


def _is_interrupt(error: BaseException | None) -> bool:
    """Return whether an error is one that comes at any moment, or came of one."""
    while error is not None:
        if not isinstance(error, Exception | GeneratorExit):
            return True
        error = error.__context__
    return False


def settle(outer: Any) -> None:
    """Undo the blocks of this thread that were begun since ``opened.top`` was this.

    For code that goes on, or lets an exception pass, after a KeyboardInterrupt.
    """
    while outer is not None and outer[0] is None:
        outer = outer[2]  # it has ended before this
    entry = opened.top
    while entry is not None and entry is not outer:
        entry = entry[2]
    if entry is not outer:
        return  # the block around has ended
    while (entry := opened.top) is not outer:
        block, saved, rest = entry
        try:
            block.undo(saved)
        except Exception:
            # A signal's handler raised it before all was put back, or the block itself,
            # and then what is left is undone further out.
            try:
                block.undo(saved)
            finally:
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


def _resumed(block: Block, generator: Any) -> Generator[Any, Any, Any]:
    """Run a generator, which is in a block while it runs, and not where it waits."""
    resume, value = generator.send, None
    while True:
        try:
            item = _in_block(block, resume, (value,), {})
        except StopIteration as end:
            return end.value
        try:
            resume, value = generator.send, (yield item)
        except GeneratorExit:
            _in_block(block, generator.close, (), {})
            raise
        except BaseException as error:  # noqa: BLE001 - the generator's to handle
            resume, value = generator.throw, error


class _Awaited:
    """A coroutine that is in a block while it runs, and not where it waits."""

    __slots__ = ("_block", "_coroutine")

    def __init__(self, block: Block, coroutine: Any) -> None:
        self._block, self._coroutine = block, coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        return _resumed(self._block, self._coroutine)
