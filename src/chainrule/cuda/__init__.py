"""GPUs, by PyTorch's names: there are none here, so programs choose the CPU.

>>> import chainrule as cr
>>> cr.device("cuda" if cr.cuda.is_available() else "cpu")
device(type='cpu')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name
from chainrule.text import _

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
]


def is_available() -> bool:
    """Return whether tensors can be on a GPU: False."""
    return False


def is_initialized() -> bool:
    """Return whether a GPU is in use: False."""
    return False


def device_count() -> int:
    """Return the number of GPUs that tensors can be on: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Do nothing: there is no generator of a GPU; see :func:`chainrule.manual_seed`."""


def manual_seed_all(seed: int) -> None:
    """Do nothing: there is no generator of a GPU; see :func:`chainrule.manual_seed`."""


def empty_cache() -> None:
    """Do nothing: there is no memory of a GPU."""


if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        fix = _("leave it out where cr.cuda.is_available() is False")
        raise unknown_name(__name__, name, __all__, {name: fix})
