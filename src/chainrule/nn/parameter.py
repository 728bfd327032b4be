"""Parameters: the trainable tensors of modules."""

from __future__ import annotations

from typing import Any

from chainrule.nn.arguments import flag
from chainrule.tensor import Tensor, tensor


class Parameter(Tensor):
    """A trainable tensor: modules register it, and optimisers update it.

    Args:
        data: its numbers, which are copied.
        requires_grad: False for one that is not trained now.
        dtype: to convert to.
    """

    __slots__ = ()

    def __init__(
        self, data: Any, requires_grad: bool = True, *, dtype: Any = None
    ) -> None:
        wanted = flag("Parameter", "requires_grad", requires_grad)
        self._begin(tensor(data, dtype=dtype)._value, wanted)

    def __reduce__(self) -> Any:
        """Return the parameter's pickled form, without its gradient."""
        make, (kind, array, tracked, __, *rest) = super().__reduce__()
        return make, (kind, array, tracked, None, *rest)
