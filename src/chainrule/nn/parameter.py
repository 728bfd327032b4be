"""Parameters: the trainable tensors of modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.graph.context import dtype_or_default
from chainrule.graph.types import as_dtype
from chainrule.nn.arguments import flag
from chainrule.nn.uninitialized import (
    has_numbers,
    is_skipping,
    refuse_use,
    without_numbers,
)
from chainrule.operations.operands import as_array
from chainrule.primitives.rules import show
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
        if not is_skipping():
            self._begin(tensor(data, dtype=dtype)._value, wanted)
            return
        given = isinstance(data, Tensor | np.ndarray)  # whose numbers nobody copies
        like = data if given else as_array(data, dtype)
        kind = as_dtype(dtype or like.dtype)
        self._begin(without_numbers(like.shape, kind.numpy), wanted)
        refuse_use(self)

    def __repr__(self) -> str:
        if has_numbers(self):
            return super().__repr__()
        return f"<Parameter {show(self.shape)} {self.dtype.name} without numbers>"

    def __reduce__(self) -> Any:
        """Return the parameter's pickled form, without its gradient."""
        if not has_numbers(self):
            form = (tuple(self.shape), self.dtype.name, self.requires_grad, self.name)
            return _uninitialized, (type(self), *form)
        make, (kind, array, tracked, __, *rest) = super().__reduce__()
        return make, (kind, array, tracked, None, *rest)


def drawn(draw: Callable[..., Tensor], *shape: int, **options: Any) -> Parameter:
    """Return a parameter of random numbers; within ``no_init`` nothing is drawn.

    Args:
        draw: a function of :mod:`chainrule.random`, which has ``dtype=``.
        shape: of the parameter.
        options: of ``draw``.
    """
    if not is_skipping():
        made = draw(*shape, **options)
        parameter = Parameter.__new__(Parameter)
        parameter._begin(made.value, True)  # whose numbers nobody else has
        return parameter
    number = np.zeros((), dtype_or_default(options.get("dtype")).numpy)
    return Parameter(np.broadcast_to(number, shape))


def _uninitialized(
    kind: type[Parameter], shape: tuple[int, ...], dtype: str, tracked: bool, name: Any
) -> Parameter:
    """Rebuild a parameter without numbers that ``copy`` or ``pickle`` copies."""
    parameter = kind.__new__(kind)
    parameter._begin(without_numbers(shape, as_dtype(dtype).numpy), tracked)
    parameter.name = name
    refuse_use(parameter)
    return parameter
