"""Recomputation on the way back, as in ``torch.utils.checkpoint``."""

from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name
from chainrule.transforms.recomputation import checkpoint, checkpoint_sequential

__all__ = ["checkpoint", "checkpoint_sequential"]

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__)
