"""Tensor functions that read and write elements by index or by mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.context import context
from chainrule.graph.node import Array, Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.operations.arguments import axis_of
from chainrule.operations.indexing import indexed, replaced
from chainrule.operations.indices import from_front
from chainrule.operations.op import op
from chainrule.operations.operands import (
    assignable,
    astype,
    broadcast_shapes,
    broadcast_to,
    value_of,
)
from chainrule.operations.shapes import cut, reshaped
from chainrule.operations.views import key_along
from chainrule.primitives import indexing as prims
from chainrule.primitives.creation import iota
from chainrule.primitives.rules import show
from chainrule.text import _


@op
def take(x: Value, indices: Any, dim: int | None = None) -> Value:
    """Take a tensor's elements by index, flattened, or slices along ``dim``."""
    if dim is None:
        x, dim = reshaped(x, (-1,)), 0
    return indexed(x, key_along(axis_of(x.shape, dim), value_of(indices)))


@op
def index_select(x: Value, dim: int, index: Any) -> Value:
    """Take slices of a tensor along ``dim`` by index."""
    return take(x, index, dim)


@op(public=False)
def take_along_dim(x: Value, indices: Any, dim: int | None = None) -> Value:
    """Take a tensor's elements by index along ``dim``; other axes are broadcast.

    Without ``dim``, of all elements in order, as in PyTorch; along the last axis it
    is ``cr.take_along_axis``.
    """
    places = value_of(indices)
    if dim is None:
        x, places, dim = reshaped(x, (-1,)), reshaped(places, (-1,)), 0
    axis = axis_of(x.shape, dim)
    places = from_front(places, x.shape[axis])
    if len(places.shape) != len(x.shape):
        raise ShapeError(
            _("Places along an axis have as many axes as the tensor."),
            expected=_("{shape} axes", shape=len(x.shape)),
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
    places, axis = value_of(index), axis_of(x.shape, dim)
    checked = from_front(places, x.shape[axis])
    if len(places.shape) != len(x.shape):
        raise ShapeError(
            _("gather takes indices with the axes of the tensor."),
            expected=_("{shape} axes", shape=len(x.shape)),
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


@op(in_place=True)
def scatter(x: Value, dim: int, index: Any, src: Any) -> Value:
    """Return a tensor with ``src`` written at indices: x[index[i][j]][j] = src[i][j].

    ``src`` may be a number; of places that are named twice the last one counts.
    """
    axis, places, new = (
        axis_of(x.shape, dim),
        value_of(index),
        assignable(src, x.dtype),
    )
    if len(places.shape) != len(x.shape):
        raise ShapeError(
            _("scatter takes indices with the axes of the tensor."),
            expected=_("{ndim} axes", ndim=len(x.shape)),
            got=show(places.shape),
        )
    key = [
        places if i == axis else iota(shape=places.shape, axis=i, dtype=DType.int64)
        for i in range(len(x.shape))
    ]
    return replaced(x, tuple(key), new)


@op(in_place=True)
def scatter_add(x: Value, dim: int, index: Any, src: Any) -> Value:
    """Return a tensor with ``src`` added at indices: x[index[i][j]][j] += src[i][j]."""
    return _added(x, axis_of(x.shape, dim), value_of(index), assignable(src, x.dtype))


@op(public=False, in_place=True)
def index_add(x: Value, dim: int, index: Any, source: Any) -> Value:
    """Return a tensor with the slices of ``source`` added at indices along ``dim``."""
    axis = axis_of(x.shape, dim)
    places, updates = value_of(index), assignable(source, x.dtype)
    column = tuple([-1 if i == axis else 1 for i in range(len(x.shape))])
    return _added(
        x, axis, broadcast_to(reshaped(places, column), updates.shape), updates
    )


def _added(x: Value, axis: int, places: Value, updates: Value) -> Value:
    places = from_front(places, x.shape[axis])
    return prims.scatter_add_along(x, places, astype(updates, x.dtype), axis=axis)


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
        as_tuple: a vector for each axis instead, which together index x.

    Raises:
        ShapeError: while a function is compiled: the shape depends on the numbers;
            a scalar, which has no axis, with ``as_tuple``.

    >>> import chainrule as cr
    >>> cr.tensor([[0, 5], [7, 0]]).nonzero()
    tensor([[0, 1],
            [1, 0]])
    """
    numbers = numbers_for(x, "nonzero")
    if not as_tuple:
        return Value(np.argwhere(numbers))
    if not x.shape:
        raise ShapeError(
            _("A scalar has no indices."),
            expected=_("an axis"),
            got=_("shape ()"),
            fix="x != 0",
        )
    return tuple([Value(places) for places in np.nonzero(numbers)])


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
