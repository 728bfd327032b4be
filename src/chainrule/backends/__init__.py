"""Switches of PyTorch's backends, for programs that set them: none has an effect here.

PyTorch's are without an effect too where there is no GPU. Chainrule's results are the
same from run to run without a switch.

>>> import chainrule as cr
>>> cr.backends.cudnn.deterministic = True
>>> cr.backends.mps.is_available()
False
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name


@dataclass(slots=True)
class Cudnn:
    """The switches of NVIDIA's library of layers; see :mod:`chainrule.backends`."""

    enabled: bool = True
    benchmark: bool = False
    deterministic: bool = False
    allow_tf32: bool = True

    def is_available(self) -> bool:
        """Return whether the library is in use: False."""
        return False


class Mps:
    """Apple's GPUs; see :mod:`chainrule.backends`."""

    __slots__ = ()

    def is_available(self) -> bool:
        """Return whether tensors can be on such a GPU: False."""
        return False

    is_built = is_available


cudnn, mps = Cudnn(), Mps()

__all__ = ["cudnn", "mps"]

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__)
