"""Switches: of machine code for eager calls, and of PyTorch's backends.

PyTorch's are for programs that set them and have no effect here, as in PyTorch where
there is no GPU. Chainrule's results are the same from run to run without a switch.

>>> import chainrule as cr
>>> cr.backends.cudnn.deterministic = True
>>> cr.backends.mps.is_available()
False
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.engines.eager.piece import is_available, switch
from chainrule.errors import ArgumentError, unknown_name
from chainrule.text import _


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


class Native:
    """Machine code for eager calls: recurrent layers, convolutions, and the like.

    Their results agree with the NumPy references' up to rounding; see
    :mod:`chainrule.engines.eager`. Where it is switched off, eager code computes by the
    references alone. Compiled functions do not depend on it.

    >>> import chainrule as cr
    >>> with cr.backends.native.flags(enabled=False):
    ...     cr.backends.native.enabled
    False
    """

    __slots__ = ()

    @property
    def enabled(self) -> bool:
        """A flag that is true if eager calls of the process may run machine code."""
        return switch.enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        switch.enabled = bool(value)

    def is_available(self) -> bool:
        """Return whether the native engine can run here."""
        return is_available()

    @contextmanager
    def flags(self, enabled: bool = True) -> Iterator[None]:
        """Return a context manager that sets ``enabled`` for a block."""
        before, self.enabled = self.enabled, enabled
        try:
            yield
        finally:
            self.enabled = before


cudnn, mps, native = Cudnn(), Mps(), Native()
_precisions = ["highest"]


def get_float32_matmul_precision() -> str:
    """Return the name that :func:`set_float32_matmul_precision` was given last."""
    return _precisions[-1]


def set_float32_matmul_precision(precision: str) -> None:
    """Allow products of float32 less precision; here they have float32's own always.

    Args:
        precision: ``"highest"``, ``"high"`` or ``"medium"``.

    Raises:
        ArgumentError: another word.
    """
    if precision not in ("highest", "high", "medium"):
        raise ArgumentError(
            _("There is no such precision."),
            expected="'highest', 'high', 'medium'",
            got=f"{precision!r:.80}",
        )
    _precisions[-1] = precision


__all__ = [
    "cudnn",
    "get_float32_matmul_precision",
    "mps",
    "native",
    "set_float32_matmul_precision",
]

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__)
