"""JAX as this engine needs it: 64-bit types, one process, what differs by version."""

from __future__ import annotations

import importlib
import os
from contextlib import AbstractContextManager
from typing import Any

from chainrule.errors import EngineError
from chainrule.text import _

# Of much of JAX a type checker does not know the types.
jax: Any = importlib.import_module("jax")
lax: Any = jax.lax
jnp: Any = jax.numpy
#: One of JAX's arrays.
Array = Any

#: The process that JAX's threads run in.
_home = os.getpid()


def wide() -> AbstractContextManager[object]:
    """Return a context manager in which JAX of this thread has 64-bit types.

    The switch is otherwise the user's, whose own programs it would change.
    """
    return jax.enable_x64(True)


def need_home() -> None:
    """Raise an error in a forked child process, where JAX's threads are missing.

    Raises:
        EngineError: this is such a process.
    """
    if os.getpid() != _home:
        raise EngineError(
            _("The xla engine does not run in a forked process."),
            expected=_("the process that JAX was started in: {pid}", pid=_home),
            got=_("its child {pid}", pid=os.getpid()),
            fix=_(
                "start processes with multiprocessing's method 'spawn', or use "
                'engine="native" or "numpy" in them'
            ),
        )
