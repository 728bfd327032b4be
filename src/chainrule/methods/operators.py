"""Python operators of tensors, and in-place arithmetic."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from chainrule.errors import DTypeError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations import elementwise as ops
from chainrule.operations.operands import (
    TensorBase,
    alike,
    cast,
    filled,
    float_pair,
    pair,
    stretch,
    value_of,
    with_number,
)
from chainrule.operations.products import matmul
from chainrule.primitives import elementwise as prims
from chainrule.primitives import integers, movement
from chainrule.primitives.rules import show
from chainrule.text import _


def power_of(base: Any, exponent: Any) -> Value:
    """Return aᵇ for tensors and numbers."""
    if isinstance(exponent, np.generic):
        exponent = exponent.item()
    if isinstance(exponent, int | float) and isinstance(base, TensorBase):
        return ops.power(base.value, exponent)
    v, w = pair(base, exponent)
    if v.dtype is DType.bool:
        v, w = cast(v, DType.int64), cast(w, DType.int64)
    return prims.pow_(v, w)


def clipped(x: Any, low: Any, high: Any) -> Value:
    """Clip ``x`` to limits, numbers or tensors, in the common dtype."""
    v = value_of(x)
    limits = [None if y is None else with_number(v, y) for y in (low, high)]
    for w in limits:
        if w is not None:
            v, __ = alike(v, w)
    return ops.clip(
        v, *[None if w is None else stretch(cast(w, v.dtype), v.shape) for w in limits]
    )


class Operators(TensorBase):
    """Python operators of tensors, as NumPy's; ``+=`` changes the tensor in place.

    Python's and NumPy's numbers follow the tensor's dtype: ``x * 2.0`` is float32 where
    x is. Integers and floats together are floats, of the float's width.
    """

    __slots__ = ()

    # -- arithmetic ------------------------------------------------------------------

    def __add__(self, other: Any) -> Self:
        return self._new(ops.add(*pair(self, other)))

    def __radd__(self, other: Any) -> Self:
        return self._new(ops.add(*pair(other, self)))

    def __sub__(self, other: Any) -> Self:
        return self._new(prims.sub(*pair(self, other)))

    def __rsub__(self, other: Any) -> Self:
        return self._new(prims.sub(*pair(other, self)))

    def __mul__(self, other: Any) -> Self:
        return self._new(ops.mul(*pair(self, other)))

    def __rmul__(self, other: Any) -> Self:
        return self._new(ops.mul(*pair(other, self)))

    def __truediv__(self, other: Any) -> Self:
        return self._new(prims.div(*float_pair(self, other)))

    def __rtruediv__(self, other: Any) -> Self:
        return self._new(prims.div(*float_pair(other, self)))

    def __floordiv__(self, other: Any) -> Self:
        return self._new(integers.floor_divide(*pair(self, other)))

    def __rfloordiv__(self, other: Any) -> Self:
        return self._new(integers.floor_divide(*pair(other, self)))

    def __mod__(self, other: Any) -> Self:
        return self._new(integers.remainder(*pair(self, other)))

    def __rmod__(self, other: Any) -> Self:
        return self._new(integers.remainder(*pair(other, self)))

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Self, Self]:
        return other // self, other % self

    def __pow__(self, exponent: Any) -> Self:
        return self._new(power_of(self, exponent))

    def __rpow__(self, base: Any) -> Self:
        return self._new(power_of(base, self))

    def __matmul__(self, other: Any) -> Self:
        return self._new(matmul(self.value, value_of(other)))

    def __rmatmul__(self, other: Any) -> Self:
        return self._new(matmul(value_of(other), self.value))

    def __neg__(self) -> Self:
        return self._new(prims.neg(self.value))

    def __pos__(self) -> Self:
        return self._new(movement.copy(self.value))

    def __abs__(self) -> Self:
        return self._new(prims.abs_(self.value))

    # -- bits and truth --------------------------------------------------------------

    def __and__(self, other: Any) -> Self:
        return self._new(integers.bitwise_and(*pair(self, other)))

    def __rand__(self, other: Any) -> Self:
        return self._new(integers.bitwise_and(*pair(other, self)))

    def __or__(self, other: Any) -> Self:
        return self._new(integers.bitwise_or(*pair(self, other)))

    def __ror__(self, other: Any) -> Self:
        return self._new(integers.bitwise_or(*pair(other, self)))

    def __xor__(self, other: Any) -> Self:
        return self._new(integers.bitwise_xor(*pair(self, other)))

    def __rxor__(self, other: Any) -> Self:
        return self._new(integers.bitwise_xor(*pair(other, self)))

    def __lshift__(self, other: Any) -> Self:
        return self._new(integers.shift_left(*pair(self, other)))

    def __rlshift__(self, other: Any) -> Self:
        return self._new(integers.shift_left(*pair(other, self)))

    def __rshift__(self, other: Any) -> Self:
        return self._new(integers.shift_right(*pair(self, other)))

    def __rrshift__(self, other: Any) -> Self:
        return self._new(integers.shift_right(*pair(other, self)))

    def __invert__(self) -> Self:
        return self._new(integers.bitwise_not(self.value))

    # -- comparisons -----------------------------------------------------------------

    def __lt__(self, other: Any) -> Self:
        return self._new(prims.less(*pair(self, other)))

    def __gt__(self, other: Any) -> Self:
        return self._new(prims.less(*pair(other, self)))

    def __le__(self, other: Any) -> Self:
        return self._new(ops.less_equal(*pair(self, other)))

    def __ge__(self, other: Any) -> Self:
        return self._new(ops.less_equal(*pair(other, self)))

    def __eq__(self, other: object) -> Self:
        if other is None or isinstance(other, str):
            return NotImplemented
        return self._new(prims.equal(*pair(self, other)))

    def __ne__(self, other: object) -> Self:
        if other is None or isinstance(other, str):
            return NotImplemented
        return self._new(ops.not_equal(*pair(self, other)))

    __hash__ = object.__hash__

    # -- in place --------------------------------------------------------------------

    def _become(self, made: Value, what: str) -> Self:
        """Replace the value of this tensor in place by ``made``."""
        if made.shape != self.shape:
            raise ShapeError(
                _("{what} in place keeps the shape.", what=what),
                expected=show(self.shape),
                got=show(made.shape),
                fix=_("x = x + y makes a new tensor"),
            )
        if made.dtype is not self.dtype:
            if _rank(made.dtype) > _rank(self.dtype):
                raise DTypeError(
                    _("{what} in place keeps the dtype.", what=what),
                    expected=self.dtype.name,
                    got=made.dtype.name,
                    fix=_("x = x.astype('{name}') first", name=made.dtype.name),
                )
            made = cast(made, self.dtype)
        self._change(made)
        return self

    def __iadd__(self, other: Any) -> Self:
        return self._become(ops.add(*pair(self, other)), "+=")

    def __isub__(self, other: Any) -> Self:
        return self._become(prims.sub(*pair(self, other)), "-=")

    def __imul__(self, other: Any) -> Self:
        return self._become(ops.mul(*pair(self, other)), "*=")

    def __itruediv__(self, other: Any) -> Self:
        return self._become(prims.div(*float_pair(self, other)), "/=")

    def __ifloordiv__(self, other: Any) -> Self:
        return self._become(integers.floor_divide(*pair(self, other)), "//=")

    def __imod__(self, other: Any) -> Self:
        return self._become(integers.remainder(*pair(self, other)), "%=")

    def __iand__(self, other: Any) -> Self:
        return self._become(integers.bitwise_and(*pair(self, other)), "&=")

    def __ior__(self, other: Any) -> Self:
        return self._become(integers.bitwise_or(*pair(self, other)), "|=")

    def __ixor__(self, other: Any) -> Self:
        return self._become(integers.bitwise_xor(*pair(self, other)), "^=")

    def __ilshift__(self, other: Any) -> Self:
        return self._become(integers.shift_left(*pair(self, other)), "<<=")

    def __irshift__(self, other: Any) -> Self:
        return self._become(integers.shift_right(*pair(self, other)), ">>=")

    def __ipow__(self, other: Any) -> Self:
        return self._become(power_of(self, other), "**=")

    def __imatmul__(self, other: Any) -> Self:
        return self._become(matmul(self.value, value_of(other)), "@=")

    def add_(self, other: Any, *, alpha: float = 1) -> Self:
        """Compute x ← x + alpha · other, in place."""
        return self.__iadd__(
            other if alpha == 1 else self._new(value_of(other)) * alpha
        )

    def sub_(self, other: Any, *, alpha: float = 1) -> Self:
        """Compute x ← x − alpha · other, in place."""
        return self.__isub__(
            other if alpha == 1 else self._new(value_of(other)) * alpha
        )

    def mul_(self, other: Any) -> Self:
        """Compute x ← x · other, in place."""
        return self.__imul__(other)

    def div_(self, other: Any) -> Self:
        """Compute x ← x / other, in place."""
        return self.__itruediv__(other)

    def fill_(self, number: Any) -> Self:
        """Fill the tensor with ``number``, in place."""
        v = value_of(number, self.dtype)
        if v.shape:
            raise ShapeError(_("fill_ takes one number."), got=show(v.shape))
        return self._become(movement.broadcast_to(v, shape=self.shape), "fill_")

    def zero_(self) -> Self:
        """Fill the tensor with 0, in place."""
        return self._become(filled(0, self.dtype, self.shape), "zero_")

    def masked_fill_(self, mask: Any, value: Any) -> Self:
        """Write ``value`` where ``mask`` is true, in place."""
        made = ops.select(value_of(mask), value_of(value, self.dtype), self.value)
        return self._become(made, "masked_fill_")

    def clamp_(self, min: Any = None, max: Any = None) -> Self:
        """Clip the numbers to limits, in place."""
        return self._become(clipped(self, min, max), "clamp_")


def _rank(dtype: DType) -> int:
    """Return the rank of a dtype: 0 for bool, 1 for integers, 2 for floats."""
    return 2 if dtype.is_float else int(dtype is not DType.bool)
