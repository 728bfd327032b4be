"""Marks for PyTorch's compiler of scripts, which networks written for it carry.

None has an effect here, as it has none in PyTorch where no script is compiled.
``cr.compile`` compiles what Python runs, and needs no marks.

>>> import chainrule as cr
>>> @cr.jit.ignore
... def double(x):
...     return 2 * x
>>> double(cr.ones(2)), cr.jit.is_scripting()
(tensor([2., 2.]), False)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from chainrule.errors import unknown_name

__all__ = ["Final", "export", "ignore", "is_scripting", "is_tracing", "unused"]

F = TypeVar("F", bound=Callable[..., Any])


def is_scripting() -> bool:
    """Return whether a compiler of scripts reads the program: False."""
    return False


def is_tracing() -> bool:
    """Return whether PyTorch's tracer follows the program: False."""
    return False


def export(fn: F) -> F:
    """Return the function itself, which is marked as a part of a script."""
    return fn


def unused(fn: F) -> F:
    """Return the function itself, which is marked as no part of a script."""
    return fn


@overload
def ignore(drop: F) -> F: ...
@overload
def ignore(drop: bool = False) -> Callable[[F], F]: ...
def ignore(drop: Any = False) -> Any:
    """Return the function itself, which is marked as Python in a script.

    Args:
        drop: the function; or what a script does without it, for ``@ignore(…)``.
    """
    return drop if callable(drop) else unused


if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        fixes = dict.fromkeys(
            ("script", "trace", "ScriptModule", "script_method"), "cr.compile(function)"
        )
        fixes |= {
            "save": "cr.compile(model).save(path)",
            "load": "cr.load_program(path)",
        }
        raise unknown_name(__name__, name, __all__, fixes)
