"""Source locations: the file and line of user code that created a graph node."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

from chainrule.util.bounded import Bounded

#: Where no line is the user's: this package, Python's library, installed commands.
_NOT_THE_USERS = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    os.path.dirname(os.__file__) + os.sep,
    os.path.join(sys.prefix, "Scripts" if os.name == "nt" else "bin") + os.sep,
    "<",
)
_INSTALLED = tuple(f"{os.sep}{name}-packages{os.sep}" for name in ("site", "dist"))

#: The frame at which a stack begins; None: at its bottom.
_first: ContextVar[FrameType | None] = ContextVar("first", default=None)
#: Whether a file's lines are the user's, for the files met so far.
_is_users: Bounded[str, bool] = Bounded(1024)


@functools.lru_cache(maxsize=512)
def of_user(filename: str) -> bool:
    """Return whether a file is user code, not an installed package."""
    installed = any(part in filename for part in _INSTALLED)
    if installed or filename.startswith(_NOT_THE_USERS):
        return False
    return not any(map(functools.partial(_is_installed, filename), sys.path))


def _is_installed(filename: str, folder: str) -> bool:
    """Return whether a file is one of a package that was installed into a folder.

    ``pip install --target`` takes any folder, that of a program of one's own too. What
    it has put there it has written down.
    """
    start = os.path.join(folder, "")
    if not folder or not filename.startswith(start):
        return False
    part = filename.removeprefix(start).partition(os.sep)[0]
    try:
        changed = os.stat(folder).st_mtime_ns
    except OSError:  # it is gone
        return False
    return part in _packages(folder, changed)


@functools.lru_cache(maxsize=64)
def _packages(folder: str, __: int) -> frozenset[str]:
    """Return the names in a folder, as it was at a time, of what was installed."""
    found = set[str]()
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        record = os.path.join(folder, name, "RECORD")
        if name.endswith(".dist-info") and os.path.exists(record):
            with open(record, encoding="utf-8", errors="replace") as lines:
                found.update(re.split("[,/]", line, maxsplit=1)[0] for line in lines)
    return frozenset(found)


def _called(filename: str) -> str:
    """Return what people call a file: a notebook's cells have names of their own."""
    # A process that a notebook has started runs cells too, without IPython.
    python: Any = sys.modules.get("IPython") if "ipykernel_" in filename else None
    shell: Any = python and python.get_ipython()
    name_of: Any = getattr(getattr(shell, "compile", None), "format_code_name", None)
    if name_of and (label := name_of(filename)) is not None:  # IPython 8
        return label[1]
    return os.path.basename(filename)


@contextmanager
def beginning_here() -> Iterator[None]:
    """Count the frames that called this one as no user's code, within the block.

    What traces a model that it was handed is called on some line, and no operation of
    the model is on that line.
    """
    frame = sys._getframe(2)  # behind this one and that of the context manager
    token = _first.set(frame)
    try:
        yield
    finally:
        _first.reset(token)


def caller() -> str | None:
    """Return ``file:line`` of the nearest stack frame in user code.

    A cell of a notebook is called ``In[3]``. On the command line there is none.
    """
    frame, first = inspect.currentframe(), _first.get()
    while frame is not None and frame is not first:
        code = frame.f_code
        users = _is_users.get(code.co_filename)
        if users is None:
            users = _is_users[code.co_filename] = of_user(code.co_filename)
        if users:
            return f"{_called(code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return None
