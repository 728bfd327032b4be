"""Sums, statistics, extremes and order, along axes, as the array API standard has them.

All take ``axis=`` and ``keepdims=``; ``dim=`` and ``keepdim=`` where PyTorch means the
same by the function.
"""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions.elementwise import function
from chainrule.graph.build import context
from chainrule.operations import movement, selection
from chainrule.operations import reductions as ops
from chainrule.operations.arguments import either
from chainrule.operations.operands import value_of
from chainrule.primitives import reduce
from chainrule.primitives.indexing import take as rows_of
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap

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
argmax, argmin = function(Tensor.argmax), function(Tensor.argmin)
count_nonzero, logsumexp = function(Tensor.count_nonzero), function(Tensor.logsumexp)
cumsum, cumprod = function(Tensor.cumsum), function(Tensor.cumprod)
norm, topk, median = (
    function(Tensor.norm),
    function(Tensor.topk),
    function(Tensor.median),
)


def _not_pytorchs(
    name: str, here: str, there: str, given: tuple[Any, ...] = (), **words: Any
) -> None:
    """Refuse an axis that is named in PyTorch's manner: by ``dim=`` or by position."""
    named = [f"{k}={v!r:.40}" for k, v in words.items() if v is not None]
    if given or named:
        pair = bool(given) and isinstance(given[0], Tensor)
        other = {"max": "maximum", "min": "minimum"}.get(name) if pair else None
        raise ArgumentError(
            f"cr.{name} follows the array API standard, where PyTorch's means another "
            "thing.",
            expected=f"axis=…, for {here}",
            got=", ".join([*(f"{item!r:.40} by position" for item in given), *named]),
            fix=f"cr.{other}(x, y), element by element"
            if other
            else f"cr.{name}(x, axis=…) for {here}, x.{name}(dim=…) for {there}",
        )


def max(
    x: Any,
    /,
    *given: Any,
    axis: Any = None,
    keepdims: builtins.bool = False,
    dim: Any = None,
    keepdim: builtins.bool | None = None,
) -> Tensor:
    """The largest element over ``axis``, values alone.

    ``x.max(dim)``, PyTorch's, gives values and indices.

    >>> max(Tensor([[1.0, 3.0], [2.0, 0.0]]), axis=1)
    tensor([3., 2.])
    """
    words = {"dim": dim, "keepdim": keepdim}
    _not_pytorchs("max", "values", "values and indices", given, **words)
    return as_tensor(x).amax(axis, keepdims)


def min(
    x: Any,
    /,
    *given: Any,
    axis: Any = None,
    keepdims: builtins.bool = False,
    dim: Any = None,
    keepdim: builtins.bool | None = None,
) -> Tensor:
    """The smallest element over ``axis``, values alone; see :func:`max`."""
    words = {"dim": dim, "keepdim": keepdim}
    _not_pytorchs("min", "values", "values and indices", given, **words)
    return as_tensor(x).amin(axis, keepdims)


def var(
    x: Any,
    /,
    *given: Any,
    axis: Any = None,
    correction: float | None = None,
    keepdims: builtins.bool = False,
    dim: Any = None,
    keepdim: builtins.bool | None = None,
) -> Tensor:
    """The variance Σ(x − μ)² / (n − correction) over ``axis``, by default with n.

    ``x.var()``, PyTorch's, divides by n − 1.

    >>> var(Tensor([1.0, 3.0])), Tensor([1.0, 3.0]).var()
    (tensor(1.), tensor(2.))
    """
    words = {"dim": dim, "keepdim": keepdim} if correction is None else {}
    _not_pytorchs("var", "division by n", "division by n − 1", given, **words)
    axes, keep = either(axis, dim), keepdims or builtins.bool(keepdim)
    return wrap(ops.variance(value_of(x), axes, keep, correction or 0.0))


def std(
    x: Any,
    /,
    *given: Any,
    axis: Any = None,
    correction: float | None = None,
    keepdims: builtins.bool = False,
    dim: Any = None,
    keepdim: builtins.bool | None = None,
) -> Tensor:
    """The standard deviation, the root of :func:`var` with the same arguments.

    Its derivative where all numbers are equal is taken as 0.
    """
    words = {"dim": dim, "keepdim": keepdim} if correction is None else {}
    _not_pytorchs("std", "division by n", "division by n − 1", given, **words)
    axes, keep = either(axis, dim), keepdims or builtins.bool(keepdim)
    return wrap(ops.root(ops.variance(value_of(x), axes, keep, correction or 0.0)))


# -- running --------------------------------------------------------------------------


def cumulative_sum(
    x: Any,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: builtins.bool = False,
) -> Tensor:
    """The running sum along ``axis``, with a 0 in front if ``include_initial``.

    >>> cumulative_sum(Tensor([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    initial = 0 if include_initial else None
    return wrap(ops.cumulative(reduce.cumsum, value_of(x), axis, dtype, initial))


def cumulative_prod(
    x: Any,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: builtins.bool = False,
) -> Tensor:
    """The running product along ``axis``, with a 1 in front if ``include_initial``."""
    initial = 1 if include_initial else None
    return wrap(ops.cumulative(reduce.cumprod, value_of(x), axis, dtype, initial))


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
    """Differences of neighbours along ``axis`` (the last by default), n times.

    >>> diff(Tensor([1, 4, 9]))
    tensor([3, 5])
    """
    at = either(axis, dim)
    at = -1 if at is None else at
    parts = [value_of(part) for part in (prepend, x, append) if part is not None]
    return wrap(selection.diff(movement.concatenate(parts, at), n, at))


# -- order ----------------------------------------------------------------------------


def sort(
    x: Any,
    /,
    *given: Any,
    axis: int = -1,
    descending: builtins.bool = False,
    stable: builtins.bool = True,
    dim: Any = None,
) -> Tensor:
    """The elements in rising order along ``axis``, values alone; NaN is last.

    ``x.sort(dim)``, PyTorch's, gives values and indices.

    >>> sort(Tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([3., 2., 1.])
    """
    _not_pytorchs("sort", "values", "values and indices", given, dim=dim)
    return wrap(selection.sort(value_of(x), axis, descending)[0])


def argsort(
    x: Any,
    /,
    axis: int = -1,
    descending: builtins.bool = False,
    *,
    stable: builtins.bool = True,
    dim: int | None = None,
) -> Tensor:
    """The places of the elements in rising order; equal ones keep their order."""
    return wrap(selection.argsort(value_of(x), either(axis, dim, -1), descending))


def searchsorted(
    x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None
) -> Tensor:
    """Where the elements of x2 belong in the sorted x1.

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
            "searchsorted looks in a vector, from one side.",
            expected="one axis, and side='left' or 'right'",
            got=f"shape {show(line.shape)}, side={side!r:.40}",
        )
    if sorter is not None:
        line = rows_of(line, value_of(sorter))
    return wrap(selection.searchsorted(line, value_of(x2), side == "right"))


# -- what depends on the numbers ------------------------------------------------------


class UniqueAll(NamedTuple):
    """What :func:`unique_all` finds."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What :func:`unique_counts` finds."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What :func:`unique_inverse` finds."""

    values: Tensor
    inverse_indices: Tensor


def _numbers(x: Tensor, name: str) -> Any:
    if context.trace is not None:
        raise ShapeError(
            f"The shape of what {name} gives is known only at the run.",
            expected="shapes that do not depend on numbers while a function is traced",
            got=repr(x)[:80],
            fix="call it outside of the compiled function; masks and where() within",
        )
    return x.detach().numpy()


def nonzero(x: Any, /) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one tensor for each axis.

    Raises:
        ShapeError: while a function is compiled: the shape depends on the numbers.

    >>> nonzero(Tensor([0.0, 5.0, 7.0]))
    (tensor([1, 2]),)
    """
    x = as_tensor(x)
    if not x.ndim:
        raise ShapeError(
            "A scalar has no indices.", expected="an axis", got="shape ()", fix="x != 0"
        )
    return tuple(Tensor(places) for places in np.nonzero(_numbers(x, "nonzero")))


def unique_all(x: Any, /) -> UniqueAll:
    """Each element once, in rising order: with its first place, the place of each
    element of x among them, and how often it occurs. Every NaN counts for itself.

    >>> unique_all(Tensor([3, 1, 3])).counts
    tensor([1, 2])
    """
    x = as_tensor(x)
    found = np.unique(_numbers(x, "unique_all"), True, True, True, equal_nan=False)
    _, indices, inverse, counts = map(Tensor, found)
    values = x.reshape(-1)[indices]
    return UniqueAll(values, indices, inverse.reshape(x.shape), counts)


def unique_counts(x: Any, /) -> UniqueCounts:
    """Each element once, and how often it occurs; see :func:`unique_all`."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any, /) -> UniqueInverse:
    """Each element once, and where each is among them; see :func:`unique_all`."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any, /) -> Tensor:
    """Each element once; see :func:`unique_all`.

    >>> unique_values(Tensor([3, 1, 3]))
    tensor([1, 3])
    """
    return unique_all(x).values
