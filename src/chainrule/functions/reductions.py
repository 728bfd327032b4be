"""Functions for sums, statistics, extremes and sorting, along axes.

All take ``dim=`` and ``keepdim=``, or ``axis=`` and ``keepdims=``.
"""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.functions.elementwise import function, raises_call_error
from chainrule.methods.reductions import numbers_for
from chainrule.operations import movement, selection
from chainrule.operations import reductions as ops
from chainrule.operations.arguments import either
from chainrule.operations.operands import value_of
from chainrule.primitives import reduce
from chainrule.primitives.indexing import take as rows_of
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "logsumexp",
    "max",
    "mean",
    "median",
    "min",
    "nonzero",
    "norm",
    "prod",
    "searchsorted",
    "sort",
    "std",
    "sum",
    "topk",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "var",
]

sum, prod, mean = function(Tensor.sum), function(Tensor.prod), function(Tensor.mean)
all, any = function(Tensor.all), function(Tensor.any)
amax, amin = function(Tensor.amax), function(Tensor.amin)
max, min = function(Tensor.max), function(Tensor.min)
argmax, argmin = function(Tensor.argmax), function(Tensor.argmin)
sort, argsort = function(Tensor.sort), function(Tensor.argsort)
topk, median = function(Tensor.topk), function(Tensor.median)
var, std, norm = function(Tensor.var), function(Tensor.std), function(Tensor.norm)
count_nonzero, logsumexp = function(Tensor.count_nonzero), function(Tensor.logsumexp)
cumsum, cumprod = function(Tensor.cumsum), function(Tensor.cumprod)
nonzero = function(Tensor.nonzero)


# -- running --------------------------------------------------------------------------


@raises_call_error
def cumulative_sum(
    x: Any,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: builtins.bool = False,
) -> Tensor:
    """Return the cumulative sum along ``axis``; ``include_initial`` prepends 0.

    >>> cumulative_sum(Tensor([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    initial = 0 if include_initial else None
    return wrap(ops.cumulative(reduce.cumsum, value_of(x), axis, dtype, initial))


@raises_call_error
def cumulative_prod(
    x: Any,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: builtins.bool = False,
) -> Tensor:
    """Return the cumulative product along ``axis``; ``include_initial`` prepends 1."""
    initial = 1 if include_initial else None
    return wrap(ops.cumulative(reduce.cumprod, value_of(x), axis, dtype, initial))


@raises_call_error
def diff(
    x: Any,
    /,
    n: int = 1,
    axis: int | None = None,
    *,
    prepend: Any = None,
    append: Any = None,
    dim: int | None = None,
) -> Tensor:
    """Return the n-th differences of neighbours along ``axis`` (by default the last).

    >>> diff(Tensor([1, 4, 9]))
    tensor([3, 5])
    """
    at = either(axis, dim)
    at = -1 if at is None else at
    parts = [value_of(part) for part in (prepend, x, append) if part is not None]
    return wrap(selection.diff(movement.concatenate(parts, at), n, at))


# -- order ----------------------------------------------------------------------------


@raises_call_error
def searchsorted(
    x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None
) -> Tensor:
    """Return the insertion indices of the elements of x2 in the sorted x1.

    Args:
        x1: a vector in rising order, or with ``sorter`` in any.
        x2: of any shape.
        side: ``"left"`` gives the first place that fits, ``"right"`` the last.
        sorter: what ``argsort`` gives for x1.

    >>> searchsorted(Tensor([1, 3, 5]), Tensor([0, 3, 9]))
    tensor([0, 1, 3])
    """
    line = value_of(x1)
    if len(line.shape) != 1 or side not in ("left", "right"):
        raise ArgumentError(
            _("searchsorted looks in a vector, from one side."),
            expected=_("one axis, and side='left' or 'right'"),
            got=_(
                "shape {shape}, side={side!r:.40}", shape=show(line.shape), side=side
            ),
        )
    if sorter is not None:
        line = rows_of(line, value_of(sorter))
    return wrap(selection.searchsorted(line, value_of(x2), side == "right"))


# -- what depends on the numbers ------------------------------------------------------


class UniqueAll(NamedTuple):
    """The result of :func:`unique_all`."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The result of :func:`unique_counts`."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The result of :func:`unique_inverse`."""

    values: Tensor
    inverse_indices: Tensor


@raises_call_error
def unique_all(x: Any, /) -> UniqueAll:
    """Return the distinct elements in rising order, with indices and counts.

    The indices are each one's first place, and for each element of x its place among
    them; the counts, how often each occurs. Every NaN counts for itself.

    >>> unique_all(Tensor([3, 1, 3])).counts
    tensor([1, 2])
    """
    x = as_tensor(x)
    found = np.unique(numbers_for(x, "unique_all"), True, True, True, equal_nan=False)
    __, indices, inverse, counts = map(Tensor, found)
    values = x.reshape(-1)[indices]
    return UniqueAll(values, indices, inverse.reshape(x.shape), counts)


@raises_call_error
def unique_counts(x: Any, /) -> UniqueCounts:
    """Return the distinct elements and their counts; see :func:`unique_all`."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


@raises_call_error
def unique_inverse(x: Any, /) -> UniqueInverse:
    """Return the distinct elements, and each element's index among them.

    See :func:`unique_all`.
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


@raises_call_error
def unique_values(x: Any, /) -> Tensor:
    """Return the distinct elements; see :func:`unique_all`.

    >>> unique_values(Tensor([3, 1, 3]))
    tensor([1, 3])
    """
    return unique_all(x).values
