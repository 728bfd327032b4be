"""Tensor functions of diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.room import check_room
from chainrule.graph.types import DType, as_dtype
from chainrule.operations.arguments import axis_of, whole
from chainrule.operations.movement import movedim
from chainrule.operations.op import Viewed, op
from chainrule.operations.operands import broadcast_to, full, value_of
from chainrule.operations.reductions import sum_
from chainrule.operations.shapes import common, diagonal_of, reshaped
from chainrule.operations.views import DIAGONAL
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, equal, less, where
from chainrule.primitives.rules import show
from chainrule.text import _

# -- triangles ------------------------------------------------------------------------


@op(in_place=True)
def tril(x: Value, diagonal: int = 0) -> Value:
    """Return a tensor's lower triangles: elements on and below a diagonal, else 0."""
    below = _below(x, whole("diagonal", diagonal) + 1)
    return where(below, x, full(0, x.dtype, x.shape))


@op(in_place=True)
def triu(x: Value, diagonal: int = 0) -> Value:
    """Return a tensor's upper triangles: elements on and above a diagonal, else 0."""
    below = _below(x, whole("diagonal", diagonal))
    return where(below, full(0, x.dtype, x.shape), x)


def _below(x: Value, k: int) -> Value:
    """Return the mask of matrix elements below the k-th diagonal, j < i + k."""
    if len(x.shape) < 2:
        raise ShapeError(
            _("Triangles are parts of matrices."),
            expected=_("at least two axes"),
            got=show(x.shape),
        )
    shape = x.shape[-2:]
    row, column = (iota(shape=shape, axis=i, dtype=DType.int64) for i in (0, 1))
    edge = add(row, full(k, DType.int64, shape))
    return broadcast_to(less(column, edge), x.shape)


@op
def diagonal(x: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Viewed:
    """Return a tensor's diagonal, whose second index is the first plus ``offset``."""
    result = diagonal_of(x, offset, dim1, dim2)
    axes = axis_of(x.shape, dim1), axis_of(x.shape, dim2)
    return Viewed(result, DIAGONAL, (offset, *axes))


@op
def diag(x: Value, diagonal: int = 0) -> Value:
    """Return the diagonal of a matrix, or a matrix with the given diagonal."""
    if len(x.shape) == 2:
        return movement.copy(diagonal_of(x, diagonal))
    if len(x.shape) != 1:
        raise ShapeError(
            _("diag takes a vector or a matrix."),
            got=show(x.shape),
            fix="x.diagonal(offset, dim1, dim2)",
        )
    return diag_embed(x, diagonal)


@op
def diagflat(x: Value, offset: int = 0) -> Value:
    """Return a matrix with all elements of a tensor, in order, on a diagonal."""
    return diag_embed(reshaped(x, (-1,)), offset)


@op
def diag_embed(x: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    """Return matrices with a tensor's last axis on a diagonal, and 0 elsewhere.

    The two axes of the matrices are ``dim1`` and ``dim2`` of the result.

    >>> import chainrule as cr
    >>> cr.diag_embed(cr.tensor([[1, 2]]))
    tensor([[[1, 0],
             [0, 2]]])
    """
    offset = whole("offset", offset)
    rank = len(x.shape) + 1
    axes = [axis_of((1,) * rank, d) for d in (dim1, dim2)]
    if axes[0] == axes[1] or not x.shape:
        raise ShapeError(
            _("A diagonal lies between two axes."),
            expected=_("two different axes, and a tensor with an axis"),
            got=_("{axes} for shape {shape}", axes=axes, shape=show(x.shape)),
        )
    none = (0,) * (rank - 2)
    before, behind = (*none, max(offset, 0)), (*none, max(-offset, 0))
    line = movement.pad(x, low=before, high=behind, interior=(0,) * (rank - 1))
    shape = (*line.shape[:-1], line.shape[-1], line.shape[-1])
    row, column = (iota(shape=shape[-2:], axis=i, dtype=DType.int64) for i in (0, 1))
    on = equal(add(row, full(offset, DType.int64, row.shape)), column)
    rows = broadcast_to(reshaped(line, (*line.shape[:-1], 1, line.shape[-1])), shape)
    result = where(broadcast_to(on, shape), rows, full(0, x.dtype, shape))
    return movedim(result, (-2, -1), axes).value


@op
def trace(x: Value) -> Value:
    """Return the trace of a matrix, the sum of its diagonal."""
    return sum_(diag(x))


@op(method=False)
def block_diag(*tensors: Any) -> Value:
    """Return a matrix with matrices along its diagonal, and 0 elsewhere.

    Vectors are rows, and numbers matrices of one element.

    >>> import chainrule as cr
    >>> cr.block_diag(cr.tensor([[1, 2]]), cr.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    values = common([value_of(x) for x in tensors], "block_diag") if tensors else []
    if any(len(v.shape) > 2 for v in values):
        raise ShapeError(
            _("block_diag takes matrices."),
            expected=_("at most two axes"),
            got=", ".join(show(v.shape) for v in values[:5]),
        )
    blocks = [v if len(v.shape) == 2 else reshaped(v, (1, -1)) for v in values]
    widths = [int(v.shape[1]) for v in blocks]
    rows = [
        movement.pad(
            v,
            low=(0, sum(widths[:i])),
            high=(0, sum(widths[i + 1 :])),
            interior=(0, 0),
        )
        for i, v in enumerate(blocks)
    ]
    if not rows:
        return value_of(np.zeros((1, 0), np.float32))
    return movement.concatenate(*rows, axis=0) if len(rows) > 1 else rows[0]


# -- places of triangles --------------------------------------------------------------


@op(creates=True, method=False)
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None) -> Value:
    """Return the indices of a matrix's elements on and below a diagonal, as 2 rows.

    >>> import chainrule as cr
    >>> cr.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle(np.tril_indices, row, col, offset, dtype)


@op(creates=True, method=False)
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None) -> Value:
    """Return the indices of a matrix's elements on and above a diagonal, as 2 rows.

    >>> import chainrule as cr
    >>> cr.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _triangle(np.triu_indices, row, col, offset, dtype)


def _triangle(indices: Any, row: Any, col: Any, offset: Any, dtype: Any) -> Value:
    wanted = DType.int64 if dtype is None else as_dtype(dtype)
    if wanted not in (DType.int32, DType.int64):
        raise ArgumentError(
            _("Indices of triangles are integers."),
            expected=_("int32 or int64"),
            got=wanted.name,
        )
    row, col = whole("row", row, least=0), whole("col", col, least=0)
    check_room((row, col), 16)
    places = indices(row, whole("offset", offset), col)
    return value_of(np.stack(places).astype(wanted.numpy))
