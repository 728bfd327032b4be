"""Python's protocols of tensors: indexing, length, iteration, transposes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from chainrule.errors import ShapeError
from chainrule.methods.changes import Changes
from chainrule.methods.declared import Declared
from chainrule.operations.accepted import Key, TensorLike
from chainrule.operations.indexing import indexed, replaced
from chainrule.operations.operands import TensorBase, value_of
from chainrule.operations.views import INDEX, basic_key
from chainrule.text import _


class Protocols(Changes, Declared):
    """Base class of tensors: indexing, length, iteration and transposes."""

    __slots__ = ()

    def __getitem__(self, key: Key) -> Self:
        v = self.value
        result = indexed(v, key)
        block = key if type(key) is int else basic_key(key)
        if block is None:
            return self._new(result)
        return self._view(v, result, INDEX, block)

    def __setitem__(self, key: Key, new: TensorLike) -> None:
        block = key if type(key) is int else basic_key(key)
        base = new._base if isinstance(new, TensorBase) else None
        if base is not None and base.is_of(self, INDEX, block):
            return  # the end of x[key] += y, which has changed x already
        value: Any = value_of(new, self.dtype)
        if block is not None and not value.tracked and self._write(block, value.array):
            return
        self._become(replaced(self.value, key, value), "x[…] = y")

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError(_("A scalar tensor has no length."), got=_("shape ()"))
        return self.shape[0].__index__()

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __divmod__(self, other: TensorLike) -> tuple[Self, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: TensorLike) -> tuple[Self, Self]:
        this: Any = self
        return other // this, other % this

    @property
    def T(self) -> Self:
        """The transpose of the tensor: its axes in reverse order."""
        return self.permute(tuple(range(self.ndim)[::-1]))

    @property
    def mT(self) -> Self:
        """The transpose of each matrix of the tensor: its last two axes exchanged."""
        from chainrule.operations.movement import matrix_transpose  # at its first use

        v = self.value
        shown = matrix_transpose(v)
        return self._view(v, shown.value, shown.view, *shown.arguments)
