"""Tensor functions that describe data: means, counts, histograms, covariances."""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.arguments import Dims, axis_of, whole
from chainrule.operations.arithmetic import ge, gt, isfinite, le, number
from chainrule.operations.creation import linspace
from chainrule.operations.diagonals import diag
from chainrule.operations.elementwise import floor
from chainrule.operations.op import op
from chainrule.operations.operands import (
    TensorBase,
    astype,
    broadcast_to,
    count_of,
    floating,
    full,
    value_of,
)
from chainrule.operations.order import searchsorted
from chainrule.operations.reductions import (
    amax,
    amin,
    mean,
    norm,
    std,
    sum_,
    var,
)
from chainrule.operations.selection import numbers_for
from chainrule.operations.shapes import cut, reshaped
from chainrule.primitives import elementwise as prims
from chainrule.primitives import movement
from chainrule.primitives.checks import require_all
from chainrule.primitives.elementwise import add, div, isnan, maximum, mul, sub, where
from chainrule.primitives.indexing import scatter_add
from chainrule.primitives.integers import bitwise_and, bitwise_not
from chainrule.primitives.matmul import dot
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.util import validation

# -- two at once ----------------------------------------------------------------------

T = TypeVar("T")


class MinMax(NamedTuple, Generic[T]):
    """The smallest and the largest elements of a tensor."""

    min: T
    max: T


@op
def aminmax(x: Value, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """Return a tensor's minimum and maximum over ``dim``, by default all axes."""
    return MinMax(amin(x, dim, keepdim), amax(x, dim, keepdim))


@op(method=False)
def std_mean(
    x: Value,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: float | None = None,
) -> tuple[Value, Value]:
    """Return a tensor's standard deviation and mean over ``dim``."""
    x = floating(x)
    axes = None if isinstance(dim, bool) else dim
    return std(x, dim, unbiased, keepdim, correction), mean(x, axes, keepdim)


@op(method=False)
def var_mean(
    x: Value,
    dim: Dims = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: float | None = None,
) -> tuple[Value, Value]:
    """Return a tensor's variance and mean over ``dim``."""
    x = floating(x)
    axes = None if isinstance(dim, bool) else dim
    return var(x, dim, unbiased, keepdim, correction), mean(x, axes, keepdim)


# -- without NaN ----------------------------------------------------------------------


@op
def nansum(
    x: Value, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    """Return the sum of a tensor over ``dim`` without its NaN."""
    if x.dtype.is_float:
        x = where(isnan(x), number(0, x), x)
    return sum_(x, dim, keepdim, dtype=dtype)


@op(floats=True)
def nanmean(
    x: Value, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    """Return the mean of a tensor over ``dim`` without its NaN; NaN of none."""
    total = nansum(x, dim, keepdim, dtype=dtype)
    count = sum_(astype(bitwise_not(isnan(x)), total.dtype), dim, keepdim)
    return div(total, count)


# -- counts ---------------------------------------------------------------------------


@op
def bincount(x: Value, weights: Any = None, minlength: int = 0) -> Value:
    """Return how often each integer from 0 on occurs in a vector, or its weights' sum.

    Args:
        x: integers ≥ 0.
        weights: what each counts for; 1 by default.
        minlength: how many counts at least.

    Raises:
        ShapeError: while a function is traced: how many counts there are depends on
            the numbers.

    >>> import chainrule as cr
    >>> cr.bincount(cr.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    numbers = numbers_for(x, "bincount")
    least = whole("minlength", minlength, least=0)
    if len(x.shape) != 1 or not x.dtype.is_integer or (numbers < 0).any():
        raise ArgumentError(
            _("bincount counts integers."),
            expected=_("a vector of integers ≥ 0"),
            got=_("{name} of shape {shape}", name=x.dtype.name, shape=show(x.shape)),
        )
    size = max(int(numbers.max()) + 1 if numbers.size else 0, least)
    new = full(1, DType.int64, x.shape) if weights is None else value_of(weights)
    if new.shape != x.shape:
        raise ShapeError(
            _("There is a weight for each element."),
            expected=show(x.shape),
            got=show(new.shape),
        )
    if weights is not None and not new.dtype.is_float:
        new = astype(new, DType.float64)
    return scatter_add(full(0, new.dtype, (size,)), x, new)


class Histogram(NamedTuple, Generic[T]):
    """The counts of a tensor's elements in bins, and the bins' edges."""

    hist: T
    bin_edges: T


def _floats(x: Value, name: str) -> None:
    if not x.dtype.is_float:
        raise DTypeError(
            _("{name} counts floats.", name=name),
            expected=_("float32 or float64"),
            got=x.dtype.name,
            fix="x.float()",
        )


def _ends(line: Value, low: Any, high: Any, margin: float) -> tuple[Value, Value]:
    """Return the ends of bins: those given, or of the data where they are equal.

    They are widened by a margin where all data are equal.
    """
    one = full(margin, line.dtype, ())
    first, last = (value_of(end, line.dtype) for end in (low, high))
    if low == high:
        if line.shape != (0,):
            first, last = amin(line), amax(line)
        flat = prims.equal(first, last)
        first, last = (
            where(flat, sub(first, one), first),
            where(flat, add(last, one), last),
        )
    finite = bitwise_and(isfinite(sub(last, first)), gt(last, first))
    return require_all(
        first,
        finite,
        _("Bins lie between two numbers."),
        expected=_("a finite range, its smaller end first"),
        got="another",
    ), last


def _counted(line: Value, bins: Value, inside: Value, count: int, weight: Any) -> Value:
    """Return the sum of weights in each bin, of the elements that are inside."""
    one = number(1, line) if weight is None else weight
    one = where(inside, one, number(0, one))
    return scatter_add(
        full(0, one.dtype, (count,)), where(inside, bins, number(0, bins)), one
    )


@op
def histc(x: Value, bins: int = 100, min: float = 0, max: float = 0) -> Value:
    """Return how many of a tensor's elements fall into each of ``bins`` equal bins.

    They lie from ``min`` to ``max``, the last one with its end; from the smallest to
    the largest element where these are equal. Elements outside are not counted.

    >>> import chainrule as cr
    >>> cr.histc(cr.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    _floats(x, "histc")
    min, max = validation.number("min", min), validation.number("max", max)
    bins, line = whole("bins", bins, least=1), reshaped(x, (-1,))
    first, last = _ends(line, min, max, 1)
    first, last = (broadcast_to(v, line.shape) for v in (first, last))
    inside = bitwise_and(le(first, line), le(line, last))
    line = where(inside, line, first)
    share = div(mul(sub(line, first), number(bins, line)), sub(last, first))
    place = astype(floor(share), DType.int64)
    place = prims.minimum(place, number(bins - 1, place))
    return _counted(line, place, inside, bins, None)


@op
def histogram(
    x: Value,
    bins: Any,
    *,
    range: Any = None,
    weight: Any = None,
    density: bool = False,
) -> Histogram:
    """Return how many of a tensor's elements fall into bins, and the bins' edges.

    Args:
        x: of any shape.
        bins: how many equal bins, or their edges in rising order. The last one has
            both ends.
        range: where equal bins begin and end; with the data by default.
        weight: what each element counts for.
        density: divide by the sum and by the widths, so that the integral is 1.

    >>> import chainrule as cr
    >>> cr.histogram(cr.tensor([1.0, 2.0, 1.0]), bins=2, range=(0, 4)).hist
    tensor([2., 1.])
    """
    _floats(x, "histogram")
    line = reshaped(x, (-1,))
    if isinstance(bins, int):
        many = whole("bins", bins, least=1)
        low, high = range or ((0, 1) if line.shape == (0,) else (0, 0))
        first, last = _ends(line, low, high, 0.5)
        edges = linspace(
            TensorBase._new(first), TensorBase._new(last), many + 1, dtype=x.dtype
        )
    else:
        edges = movement.copy(value_of(bins))
        if len(edges.shape) != 1 or edges.dtype is not x.dtype or range is not None:
            raise ArgumentError(
                _("histogram takes the edges of bins."),
                expected=_("a vector of the dtype {name}, alone", name=x.dtype.name),
                got=_(
                    "{name} of shape {shape}, range={range}",
                    name=edges.dtype.name,
                    shape=show(edges.shape),
                    range=range,
                ),
            )
        many = int(edges.shape[0]) - 1  # type: ignore[arg-type]
    place = sub(searchsorted(edges, line, right=True), full(1, DType.int64, line.shape))
    end = broadcast_to(cut(edges, 0, many, many + 1), line.shape)
    place = where(prims.equal(line, end), number(many - 1, place), place)
    inside = bitwise_and(ge(place, number(0, place)), le(line, end))
    if weight is not None:
        weight = reshaped(astype(value_of(weight), x.dtype), line.shape)
    hist = _counted(line, place, inside, many, weight)
    if density:
        width = sub(cut(edges, 0, 1, many + 1), cut(edges, 0, 0, many))
        hist = div(hist, mul(width, broadcast_to(sum_(hist), width.shape)))
    return Histogram(hist, edges)


# -- covariances, sizes ---------------------------------------------------------------


@op(floats=True)
def cov(
    x: Value, *, correction: int = 1, fweights: Any = None, aweights: Any = None
) -> Value:
    """Return the covariance matrix of variables, the rows of a tensor.

    Args:
        x: a matrix with a column for each observation, or a vector of them.
        correction: what n is less in the divisor.
        fweights: how often each observation occurs, integers.
        aweights: how much each observation counts.

    >>> import chainrule as cr
    >>> cr.cov(cr.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if len(x.shape) > 2:
        raise ShapeError(
            _("cov takes a matrix of rows of observations."), got=show(x.shape)
        )
    rows = reshaped(x, (-1, x.shape[-1] if x.shape else 1))
    count = rows.shape[1]
    weights = [_weights(w, x, count) for w in (fweights, aweights)]
    if fweights is not None and not value_of(fweights).dtype.is_integer:
        raise DTypeError(
            _("Frequencies are counted."),
            expected=_("an integer dtype"),
            got=value_of(fweights).dtype.name,
        )
    f, a = weights
    w = f if a is None else a if f is None else mul(f, a)
    total = count_of(count, x.dtype) if w is None else sum_(w)
    less = full(correction, x.dtype, ())
    if a is not None and w is not None:
        less = mul(less, div(sum_(mul(w, a)), total))
    wide = rows if w is None else mul(rows, broadcast_to(w, rows.shape))
    center = sum_(wide, 1, True)
    center = div(center, broadcast_to(total, center.shape))
    rows = sub(rows, broadcast_to(center, rows.shape))
    wide = rows if w is None else mul(rows, broadcast_to(w, rows.shape))
    products = dot(rows, wide, "mk,nk->mn")
    divisor = maximum(sub(total, less), full(0, x.dtype, ()))
    result = div(products, broadcast_to(divisor, products.shape))
    return result if len(x.shape) > 1 and x.shape[0] != 1 else reshaped(result, ())


def _weights(given: Any, x: Value, count: Any) -> Value | None:
    if given is None:
        return None
    w = value_of(given)
    if w.shape != (count,):
        raise ShapeError(
            _("There is a weight for each observation."),
            expected=f"({count},)",
            got=show(w.shape),
        )
    return require_all(
        astype(w, x.dtype),
        ge(w, number(0, w)),
        _("Weights are not negative."),
        expected="≥ 0",
        got="another",
    )


@op(floats=True)
def corrcoef(x: Value) -> Value:
    """Return the correlation coefficients of variables, the rows of a tensor."""
    c = cov(x)
    if not c.shape:
        return div(c, c)
    spread = prims.sqrt(diag(c))
    column, row = reshaped(spread, (-1, 1)), reshaped(spread, (1, -1))
    return div(div(c, broadcast_to(column, c.shape)), broadcast_to(row, c.shape))


@op(in_place=True)
def renorm(x: Value, p: float, dim: int, maxnorm: float) -> Value:
    """Return a tensor whose slices along ``dim`` have a p-norm of ``maxnorm`` at most.

    >>> import chainrule as cr
    >>> cr.renorm(cr.tensor([[3.0, 4.0], [0.5, 0.0]]), p=2, dim=0, maxnorm=1)
    tensor([[0.6, 0.8],
            [0.5, 0. ]])
    """
    most = validation.number("maxnorm", maxnorm)
    if not (isinstance(p, float) and p == math.inf):
        p = validation.number("p", p)
    axis = axis_of(x.shape, dim)
    if len(x.shape) < 2 or p <= 0 or most < 0 or not x.dtype.is_float:
        raise ArgumentError(
            _("renorm limits the norms of slices."),
            expected=_("floats with two axes at least, p > 0, maxnorm ≥ 0"),
            got=_(
                "{name} of shape {shape}, p={p}, maxnorm={most}",
                name=x.dtype.name,
                shape=show(x.shape),
                p=p,
                most=most,
            ),
        )
    sizes = norm(x, p, [i for i in range(len(x.shape)) if i != axis], True)
    factor = div(number(most, sizes), add(sizes, number(1e-7, sizes)))
    long = gt(sizes, number(most, sizes))
    return mul(x, broadcast_to(where(long, factor, number(1, sizes)), x.shape))
