"""Tensor functions that read elements by index or by mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.context import context
from chainrule.graph.node import Array, Value
from chainrule.graph.types import DType, SymbolicDim, size_of
from chainrule.operations.arguments import axis_of, shape_of
from chainrule.operations.indexing import indexed
from chainrule.operations.indices import from_front, in_range
from chainrule.operations.op import op
from chainrule.operations.operands import (
    broadcast_shapes,
    broadcast_to,
    count_of,
    value_of,
)
from chainrule.operations.shapes import cut, of_lines, reshaped
from chainrule.operations.views import key_along
from chainrule.primitives import indexing as prims
from chainrule.primitives.indexing import take as rows_of
from chainrule.primitives.integers import floor_divide, remainder
from chainrule.primitives.rules import show
from chainrule.text import _, ngettext


@op
def take(x: Value, indices: Any, dim: int | None = None) -> Value:
    """Take a tensor's elements by index, flattened, or slices along ``dim``."""
    if dim is None:
        x, dim = reshaped(x, (-1,)), 0
    return indexed(x, key_along(axis_of(x.shape, dim), value_of(indices)))


@op
@of_lines
def index_select(x: Value, dim: int, index: Any) -> Value:
    """Take slices of a tensor along ``dim`` by index."""
    return take(x, index, dim)


@op
def take_along_dim(x: Value, indices: Any, dim: int | None = None) -> Value:
    """Take a tensor's elements by index along ``dim``; other axes are broadcast.

    Without ``dim``, of all elements in order, as in PyTorch; along the last axis it
    is ``cr.take_along_axis``.
    """
    places = value_of(indices)
    if dim is None or not x.shape:
        x, places, dim = reshaped(x, (-1,)), reshaped(places, (-1,)), 0
    axis = axis_of(x.shape, dim)
    places = from_front(places, x.shape[axis])
    if len(places.shape) != len(x.shape):
        raise ShapeError(
            _("Places along an axis have as many axes as the tensor."),
            expected=ngettext("{n} axis", "{n} axes", n=len(x.shape)),
            got=show(places.shape),
        )

    def without(shape: Any) -> Any:
        return (*shape[:axis], *shape[axis + 1 :])

    rest = broadcast_shapes(without(x.shape), without(places.shape))
    x, places = [
        broadcast_to(v, (*rest[:axis], v.shape[axis], *rest[axis:]))
        for v in (x, places)
    ]
    return prims.gather(x, places, axis=axis)


@op(method=False)
def take_along_axis(x: Value, indices: Any, dim: int = -1) -> Value:
    """Take a tensor's elements by index along ``dim``; other axes are broadcast."""
    return take_along_dim(x, indices, dim)


@op
def gather(x: Value, dim: int, index: Any) -> Value:
    """Gather a tensor's elements: y[i][j] = x[index[i][j]][j] along ``dim`` 0.

    The indices' other axes may be shorter, as in PyTorch.
    """
    places = value_of(index)
    if not x.shape or 0 in places.shape:  # one element, or none
        axis = axis_of(x.shape or (1,), dim)
        shape, line = places.shape, reshaped(x, (-1,))
        return reshaped(rows_of(line, from_front(reshaped(places, (-1,)), 1)), shape)
    axis = axis_of(x.shape, dim)
    checked = from_front(places, x.shape[axis])
    if len(places.shape) != len(x.shape):
        raise ShapeError(
            _("gather takes indices with the axes of the tensor."),
            expected=ngettext("{n} axis", "{n} axes", n=len(x.shape)),
            got=show(places.shape),
        )
    for i, (size, wanted) in enumerate(zip(x.shape, places.shape)):
        if i == axis or size == wanted:
            continue
        symbolic = isinstance(size, SymbolicDim) or isinstance(wanted, SymbolicDim)
        if symbolic or wanted > size:  # pyright: ignore[reportOperatorIssue]
            raise ShapeError(
                _("gather's indices reach outside of the tensor."),
                expected=_("at most {have} along axis {i}", have=size, i=i),
                got=str(wanted),
            )
        x = cut(x, i, 0, wanted)  # type: ignore[arg-type]
    return prims.gather(x, checked, axis=axis)


@op(method=False)
def unravel_index(indices: Value, shape: Any) -> tuple[Value, ...]:
    """Return the indices along each axis of a shape for places in row-major order.

    >>> import chainrule as cr
    >>> cr.unravel_index(cr.tensor([4, 1]), (2, 3))
    (tensor([1, 0]), tensor([1, 1]))
    """
    sizes = shape_of(shape)
    total = size_of(sizes)
    places = in_range(from_front(indices, total), total, 0)
    results: list[Value] = []
    for size in sizes[::-1]:
        size = broadcast_to(count_of(size, DType.int64), places.shape)
        results.append(remainder(places, size))
        places = floor_divide(places, size)
    return tuple(results[::-1])


# -- shapes that depend on the numbers -------------------------------------------------


@op
def masked_select(x: Value, mask: Any) -> Value:
    """Return a tensor's elements where ``mask`` is true, as a vector (not traced)."""
    mask = value_of(mask)
    shape = broadcast_shapes(x.shape, mask.shape)
    return indexed(broadcast_to(x, shape), broadcast_to(mask, shape))


@op
def nonzero(x: Value, *, as_tuple: bool = False) -> Any:
    """Return the indices of a tensor's elements that differ from 0, a row for each.

    Args:
        x: of any shape.
        as_tuple: a vector for each axis instead, which together index x; a scalar
            has one axis there.

    Raises:
        ShapeError: while a function is compiled: the shape depends on the numbers.

    >>> import chainrule as cr
    >>> cr.tensor([[0, 5], [7, 0]]).nonzero()
    tensor([[0, 1],
            [1, 0]])
    """
    numbers = numbers_for(x, "nonzero")
    if not as_tuple:
        return Value(np.argwhere(numbers))
    return tuple([Value(p) for p in np.nonzero(np.atleast_1d(numbers))])


@op
def argwhere(x: Value) -> Value:
    """Return the indices of a tensor's elements that differ from 0, a row for each."""
    return nonzero(x)


def numbers_for(x: Value, name: str) -> Array:
    """Return the numbers of a tensor that determine a shape; refused in a trace."""
    if context.trace is not None or x.array is None:
        raise ShapeError(
            _("The shape of what {name} gives is known only at the run.", name=name),
            expected=_(
                "shapes that do not depend on numbers while a function is traced"
            ),
            got=f"tensor(<{x.type}>)",
            fix=_("call it outside of the compiled function; masks and where() within"),
        )
    return x.array
