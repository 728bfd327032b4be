"""Tensor functions that find distinct elements, which are refused while traced."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.node import Array, Value
from chainrule.operations.arguments import axis_of
from chainrule.operations.indexing import indexed
from chainrule.operations.op import op
from chainrule.operations.selection import numbers_for
from chainrule.operations.shapes import reshaped
from chainrule.operations.views import key_along
from chainrule.primitives.rules import show
from chainrule.text import _


@op
def unique(
    x: Value,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return a tensor's distinct elements, or slices along ``dim``, in rising order.

    Args:
        x: of any shape.
        sorted: they are, always.
        return_inverse: also for each element its place among them.
        return_counts: also how often each occurs.
        dim: whose slices are compared; by default elements are.

    >>> import chainrule as cr
    >>> cr.unique(cr.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    numbers, x, axis = _lines(x, "unique", dim)
    results = np.unique(numbers, True, True, True, axis, equal_nan=False)
    __, first, inverse, counts = results
    shape = numbers.shape if dim is None else (-1,)
    others = (inverse.reshape(shape), return_inverse), (counts, return_counts)
    return _with(indexed(x, key_along(axis or 0, Value(first))), *others)


@op
def unique_consecutive(
    x: Value,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return a tensor's elements, or slices along ``dim``, each run of equals once.

    >>> import chainrule as cr
    >>> cr.unique_consecutive(cr.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    numbers, x, axis = _lines(x, "unique_consecutive", dim)
    flat = numbers.reshape(-1) if axis is None else np.moveaxis(numbers, axis, 0)
    changes = flat[1:] != flat[:-1]
    starts = np.ones(len(flat), bool)
    starts[1:] = changes.reshape(len(changes), -1).any(1) if len(flat) > 1 else ()
    first = np.flatnonzero(starts)
    inverse = np.cumsum(starts) - 1
    counts = np.diff(first, append=len(flat))
    shape = numbers.shape if dim is None else (-1,)
    others = (inverse.reshape(shape), return_inverse), (counts, return_counts)
    return _with(indexed(x, key_along(axis or 0, Value(first))), *others)


def _lines(x: Value, name: str, dim: Any) -> tuple[Array, Value, int | None]:
    """Return a tensor's numbers, the tensor and the checked axis, flat without one."""
    numbers = numbers_for(x, name)
    if dim is None:
        return numbers, reshaped(x, (-1,)), None
    if not x.shape:
        numbers, x = numbers.reshape(1), reshaped(x, (1,))
    axis = axis_of(x.shape, dim)
    if x.shape[axis] and 0 in x.shape:
        raise ShapeError(
            _("Slices without elements are not compared."),
            expected=_("elements, or no slices"),
            got=show(x.shape),
        )
    return numbers, x, axis


def _with(values: Value, *others: tuple[Any, bool]) -> Any:
    """Return distinct elements, and what else is asked for."""
    parts = [Value(array) for array, wanted in others if wanted]
    return (values, *parts) if parts else values


# -- by the names of the array API standard -------------------------------------------

T = TypeVar("T")


class UniqueAll(NamedTuple, Generic[T]):
    """The distinct elements of a tensor with indices, inverse and counts."""

    values: T
    indices: T
    inverse_indices: T
    counts: T


class UniqueCounts(NamedTuple, Generic[T]):
    """The distinct elements of a tensor and their counts."""

    values: T
    counts: T


class UniqueInverse(NamedTuple, Generic[T]):
    """The distinct elements of a tensor, and each element's index among them."""

    values: T
    inverse_indices: T


@op(method=False)
def unique_all(x: Value) -> UniqueAll:
    """Return a tensor's distinct elements in rising order, with indices and counts.

    The indices are each one's first place, and for each element of x its place among
    them; the counts, how often each occurs. Every NaN counts for itself.

    >>> import chainrule as cr
    >>> cr.unique_all(cr.tensor([3, 1, 3])).counts
    tensor([1, 2])
    """
    results = np.unique(numbers_for(x, "unique_all"), True, True, True, equal_nan=False)
    indices, inverse, counts = [Value(np.asarray(a)) for a in results[1:]]
    values = indexed(reshaped(x, (-1,)), indices)
    return UniqueAll(values, indices, reshaped(inverse, x.shape), counts)


@op(method=False)
def unique_counts(x: Value) -> UniqueCounts:
    """Return a tensor's distinct elements and their counts; see :func:`unique_all`."""
    unique = unique_all(x)
    return UniqueCounts(unique.values, unique.counts)


@op(method=False)
def unique_inverse(x: Value) -> UniqueInverse:
    """Return a tensor's distinct elements, and each element's index among them.

    See :func:`unique_all`.
    """
    unique = unique_all(x)
    return UniqueInverse(unique.values, unique.inverse_indices)


@op(method=False)
def unique_values(x: Value) -> Value:
    """Return a tensor's distinct elements; see :func:`unique_all`.

    >>> import chainrule as cr
    >>> cr.unique_values(cr.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    return unique_all(x).values
