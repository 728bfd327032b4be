"""Tensors that share the memory of a NumPy array."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.graph.types import as_dtype
from chainrule.tensor import Tensor, tensor, wrap
from chainrule.text import _

__all__ = ["from_numpy"]

_versions = itertools.count()


class SharedTensor(Tensor):
    """A tensor that shares the memory of a NumPy array; see :func:`from_numpy`."""

    __slots__ = ()

    def __init__(self, data: Any) -> None:
        tensor = wrap(Value(data))
        for name in Tensor.__slots__[1:]:  # all but __weakref__
            setattr(self, name, getattr(tensor, name))

    @property
    def version(self) -> int:  # type: ignore[override]
        """A tensor's version number, new at each access: array changes go unseen."""
        return next(_versions)

    @version.setter
    def version(self, __: int) -> None:
        pass

    def _assign(self, value: Value) -> None:
        raise ArgumentError(
            _(
                "A tensor of from_numpy shows the numbers of a NumPy array, and is not "
                "changed in place itself."
            ),
            expected=_("a change of the array, which the tensor shows"),
            got=_("a change in place of {self!r:.60}", self=self),
            fix=_("cr.tensor(array) has numbers of its own; so has x.clone()"),
        )

    def __reduce__(self) -> Any:
        return wrap(Value(np.array(self._value.array))).__reduce__()


def from_numpy(array: Any) -> Tensor:
    """Return a tensor that shares the memory of a NumPy array.

    Changes of the array are visible in the tensor.

    It is not changed in place itself. ``cr.tensor(array)`` copies.

    >>> array = np.arange(3, dtype=np.int32)
    >>> x = from_numpy(array)
    >>> array[0] = 7
    >>> x
    tensor([7, 1, 2], dtype=int32)
    """
    if not isinstance(array, np.ndarray):
        raise ArgumentError(
            _("from_numpy takes a NumPy array."),
            expected="numpy.ndarray",
            got=type(array).__name__,
            fix="cr.tensor(data)",
        )
    as_dtype(array.dtype)
    native = array.dtype.isnative
    return SharedTensor(array.view()) if native else tensor(array)
