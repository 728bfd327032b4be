"""Source locations: the file and line of user code that created a graph node."""

from __future__ import annotations

import inspect
import os
import sys
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

#: Whether a file's lines are the user's, for the files met so far.
_is_users: Bounded[str, bool] = Bounded(1024)


def of_user(filename: str) -> bool:
    """Return whether a file is user code, not an installed package."""
    installed = any(part in filename for part in _INSTALLED)
    return not installed and not filename.startswith(_NOT_THE_USERS)


def _called(filename: str) -> str:
    """Return what people call a file: a notebook's cells have names of their own."""
    if "ipykernel_" in filename:
        shell: Any = sys.modules["IPython"].get_ipython()
        label = shell and shell.compile.format_code_name(filename)
        if label is not None:
            return label[1]
    return os.path.basename(filename)


def caller() -> str | None:
    """Return ``file:line`` of the nearest stack frame in user code.

    A cell of a notebook is called ``In[3]``. On the command line there is none.
    """
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        users = _is_users.get(code.co_filename)
        if users is None:
            users = _is_users[code.co_filename] = of_user(code.co_filename)
        if users:
            return f"{_called(code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return None
