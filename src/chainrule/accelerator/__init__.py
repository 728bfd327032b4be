"""Accelerators, by PyTorch's names: there are none, so programs choose the CPU.

>>> import chainrule as cr
>>> cr.device(cr.accelerator.current_accelerator() or "cpu")
device(type='cpu')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name
from chainrule.text import _

__all__ = ["current_accelerator", "device_count", "is_available"]


def is_available() -> bool:
    """Return whether tensors can be on an accelerator: False."""
    return False


def device_count() -> int:
    """Return the number of accelerators that tensors can be on: 0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """Return the accelerator that tensors can be on: None.

    Args:
        check_available: whether it must be there now.
    """


if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        fix = _("leave it out where cr.accelerator.is_available() is False")
        raise unknown_name(__name__, name, __all__, {name: fix})
