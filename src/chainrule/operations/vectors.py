"""Tensor functions of vectors: their products, and matrices of their powers."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.arguments import axis_of, whole
from chainrule.operations.arithmetic import mul
from chainrule.operations.op import op
from chainrule.operations.operands import astype, broadcast_to, full, promoted, value_of
from chainrule.operations.products import inner as dot_of
from chainrule.operations.products import tensordot
from chainrule.operations.reductions import cumprod
from chainrule.operations.shapes import cut, reshaped
from chainrule.primitives import movement
from chainrule.primitives.elementwise import sub
from chainrule.primitives.rules import show
from chainrule.text import _


@op
def vdot(x: Value, other: Any) -> Value:
    """Return the inner product of two vectors, as :meth:`dot` of real numbers."""
    return dot_of(x, other)


@op(name="inner")
def inner(x: Value, other: Any) -> Value:
    """Return the inner products of tensors over their last axes; of scalars x · other.

    >>> import chainrule as cr
    >>> cr.inner(cr.tensor([1.0, 2.0]), cr.tensor([[3.0, 4.0], [5.0, 6.0]]))
    tensor([11., 17.])
    """
    w = value_of(other)
    if not x.shape or not w.shape:
        return mul(*promoted(x, w))
    if x.shape[-1] != w.shape[-1]:
        raise ShapeError(
            _("inner sums over last axes of one length."),
            expected=str(x.shape[-1]),
            got=str(w.shape[-1]),
        )
    return tensordot(x, w, ([-1], [-1]))


@op
def kron(x: Value, other: Any) -> Value:
    """Return the Kronecker product: x with each element times the tensor ``other``.

    >>> import chainrule as cr
    >>> cr.kron(cr.tensor([1, 10]), cr.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    w = value_of(other)
    rank = max(len(x.shape), len(w.shape))
    a, b = ((1,) * (rank - len(v.shape)) + v.shape for v in (x, w))
    left = tuple([d for m in a for d in (m, 1)])
    right = tuple([d for n in b for d in (1, n)])
    product = mul(*promoted(reshaped(x, left), reshaped(w, right)))
    return reshaped(product, tuple([m * n for m, n in zip(a, b)]))


@op
def cross(x: Value, other: Any, dim: int | None = None) -> Value:
    """Return the cross products of vectors of three elements along ``dim``.

    By default that is the first axis of length 3.

    >>> import chainrule as cr
    >>> cr.cross(cr.tensor([1.0, 0.0, 0.0]), cr.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    w = value_of(other)
    if len(x.shape) != len(w.shape):
        raise ShapeError(
            _("cross takes two tensors of one number of axes."),
            expected=show(x.shape),
            got=show(w.shape),
        )
    v, w = promoted(x, w)
    axis = axis_of(v.shape, _first_of_three(v) if dim is None else dim)
    if x.shape[axis] != 3 or value_of(other).shape[axis] != 3:
        raise ShapeError(
            _("cross multiplies vectors of three elements."),
            expected=_("3 along axis {axis}", axis=axis),
            got=show(v.shape),
        )
    before, behind = (_turned(v, axis, n) for n in (1, 2))
    ahead, back = (_turned(w, axis, n) for n in (2, 1))
    return sub(mul(before, ahead), mul(behind, back))


def _turned(v: Value, axis: int, by: int) -> Value:
    """Return three elements along an axis, from another on, in a circle."""
    return movement.concatenate(cut(v, axis, by, 3), cut(v, axis, 0, by), axis=axis)


def _first_of_three(v: Value) -> int:
    if 3 not in v.shape:
        raise ShapeError(
            _("cross multiplies vectors of three elements."),
            expected=_("an axis of length 3"),
            got=show(v.shape),
        )
    return v.shape.index(3)


@op(method=False)
def vander(x: Value, N: int | None = None, increasing: bool = False) -> Value:
    """Return the matrix of powers of a vector's elements, a row for each (Vandermonde).

    Args:
        x: a vector.
        N: how many powers; as many as elements by default.
        increasing: whether they go from 0 on, or down to 0.

    >>> import chainrule as cr
    >>> cr.vander(cr.tensor([2, 3]), 3)
    tensor([[4, 2, 1],
            [9, 3, 1]])
    """
    count = x.shape[0] if N is None and x.shape else N
    if len(x.shape) != 1 or not isinstance(count, int):
        raise ArgumentError(
            _("vander takes powers of a vector."),
            expected=_("one axis of fixed length"),
            got=show(x.shape),
        )
    count = whole("N", count, least=0)
    if not count:
        return full(0, x.dtype if x.dtype.is_float else DType.int64, (x.shape[0], 0))
    rows = powers(x, count)
    return rows if increasing else movement.flip(rows, axes=(1,))


def powers(x: Value, count: int) -> Value:
    """Return the powers 0 … count − 1 of each element, along a new last axis."""
    x = x if x.dtype.is_float else astype(x, DType.int64)
    one = full(1, x.dtype, (*x.shape, 1))
    if count == 1:
        return one
    column = reshaped(x, (*x.shape, 1))
    up = cumprod(broadcast_to(column, (*x.shape, count - 1)), -1)
    return movement.concatenate(one, up, axis=len(x.shape))
