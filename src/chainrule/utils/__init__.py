"""PyTorch's ``torch.utils``: :mod:`.data` and :mod:`.checkpoint`."""

from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name
from chainrule.util.pytorch_hints import UTILS
from chainrule.utils import checkpoint, data

__all__ = ["checkpoint", "data"]

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__, UTILS)
