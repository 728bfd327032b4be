"""Tensor methods for sums, extremes, statistics and sorting, along axes."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.build import context
from chainrule.graph.node import Array, Value
from chainrule.operations import reductions as ops
from chainrule.operations import selection
from chainrule.operations.arguments import Dims, axis_of, either
from chainrule.operations.elementwise import not_equal
from chainrule.operations.movement import cut, reshape, squeeze
from chainrule.operations.operands import TensorBase, pair, value_of
from chainrule.primitives import reduce
from chainrule.primitives.elementwise import equal, maximum, minimum, where
from chainrule.primitives.indexing import gather
from chainrule.text import _


class Extremes(NamedTuple):
    """Elements along an axis, and their indices."""

    values: Any
    indices: Any


class Reductions(TensorBase):
    """Reductions over ``dim`` (or ``axis``): one axis, several, or by default all.

    ``keepdim`` (or ``keepdims``) leaves axes of length 1.
    """

    __slots__ = ()

    def sum(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the sum over ``dim`` (by default over all axes; over none for ``()``).

        Integers and truth values are counted in 64 bits.
        """
        if axis is not None:
            dim = either(dim, axis)
        return self._new(ops.total(self.value, dim, keepdim or keepdims, dtype))

    def prod(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the product over ``dim``; integers in 64 bits; 1 of no elements."""
        dim = either(dim, axis)
        return self._new(ops.product(self.value, dim, keepdim or keepdims, dtype))

    def mean(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the mean over ``dim``, of integers in float32."""
        return self._new(ops.mean(self.value, either(dim, axis), keepdim or keepdims))

    def var(
        self,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        correction: float | None = None,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the variance Σ(x − μ)² / (n − correction) over ``dim``.

        Args:
            dim: the axes; all by default.
            unbiased: PyTorch's older name of ``correction``: True for 1, False for 0.
            keepdim: leave axes of length 1.
            correction: 1 by default, as in PyTorch. With ``axis=`` it must be given,
                because NumPy and the array API standard take 0.
            axis, keepdims: NumPy's names of ``dim`` and ``keepdim``.
        """
        how = _correction(correction, unbiased, axis)
        dim = either(dim, axis)
        return self._new(ops.variance(self.value, dim, keepdim or keepdims, how))

    def std(
        self,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        correction: float | None = None,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the standard deviation over ``dim``, the root of :meth:`var`.

        Its derivative where all numbers are equal is taken as 0.
        """
        how = _correction(correction, unbiased, axis)
        dim = either(dim, axis)
        made = ops.variance(self.value, dim, keepdim or keepdims, how)
        return self._new(ops.root(made))

    def norm(
        self,
        p: Any = 2,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the p-norm (Σ \\|x\\|ᵖ)^(1/p) over ``dim``, with derivative 0 at 0."""
        dim = either(dim, axis)
        return self._new(ops.norm(self.value, p, dim, keepdim or keepdims))

    def logsumexp(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return ln Σ eˣ over ``dim``, without overflow."""
        dim = either(dim, axis)
        return self._new(ops.logsumexp(self.value, dim, keepdim or keepdims))

    def all(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return whether all elements over ``dim`` differ from 0."""
        return self._new(ops.all_(self.value, either(dim, axis), keepdim or keepdims))

    def any(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return whether any element over ``dim`` differs from 0."""
        return self._new(ops.any_(self.value, either(dim, axis), keepdim or keepdims))

    def count_nonzero(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the number of elements over ``dim`` that differ from 0."""
        dim = either(dim, axis)
        return self._new(ops.count_nonzero(self.value, dim, keepdim or keepdims))

    # -- extremes --------------------------------------------------------------------

    def amax(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the largest element over ``dim``; equal ones share the derivative."""
        return self._new(
            ops.largest(self.value, either(dim, axis), keepdim or keepdims)
        )

    def amin(
        self,
        dim: Dims = None,
        keepdim: bool = False,
        *,
        axis: Dims = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the smallest element over ``dim``; equal ones share the derivative."""
        return self._new(ops.least(self.value, either(dim, axis), keepdim or keepdims))

    def max(
        self,
        dim: Any = None,
        keepdim: bool = False,
        *,
        axis: int | None = None,
        keepdims: bool = False,
    ) -> Any:
        """Return the maximum; along ``dim``, values and indices, as in PyTorch.

        ``x.max(other)`` is the larger of two, element by element. :meth:`amax` gives
        the values alone, over several axes too.
        """
        if isinstance(dim, TensorBase) and dim.shape:
            return self._new(maximum(*pair(self, dim)))
        return self._extreme(
            reduce.argmax, self.amax, either(dim, axis), keepdim or keepdims
        )

    def min(
        self,
        dim: Any = None,
        keepdim: bool = False,
        *,
        axis: int | None = None,
        keepdims: bool = False,
    ) -> Any:
        """Return the minimum; along ``dim``, values and indices, as in PyTorch.

        ``x.min(other)`` is the smaller of two, element by element. :meth:`amin` gives
        the values alone, over several axes too.
        """
        if isinstance(dim, TensorBase) and dim.shape:
            return self._new(minimum(*pair(self, dim)))
        return self._extreme(
            reduce.argmin, self.amin, either(dim, axis), keepdim or keepdims
        )

    def _extreme(self, place: Any, value: Any, dim: Any, keep: bool) -> Any:
        if dim is None:
            return value(None, keep)
        if isinstance(dim, tuple | list):
            raise ArgumentError(
                _("max and min give values and indices along one axis."),
                expected=_("one axis"),
                got=f"dim={dim!r:.60}",
                fix=_("x.amax(dim) or x.amin(dim), for values over several axes"),
            )
        v = self.value
        axis = axis_of(self.shape, dim)
        index = ops.index_of(place, v, axis, True)
        made = gather(v, index, axis=axis)
        if not keep:
            made, index = squeeze(made, axis), squeeze(index, axis)
        return Extremes(self._new(made), self._new(index))

    def argmax(
        self,
        dim: int | None = None,
        keepdim: bool = False,
        *,
        axis: int | None = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the (first) index of the largest element along ``dim``."""
        dim = either(dim, axis)
        return self._new(
            ops.index_of(reduce.argmax, self.value, dim, keepdim or keepdims)
        )

    def argmin(
        self,
        dim: int | None = None,
        keepdim: bool = False,
        *,
        axis: int | None = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the (first) index of the smallest element along ``dim``."""
        dim = either(dim, axis)
        return self._new(
            ops.index_of(reduce.argmin, self.value, dim, keepdim or keepdims)
        )

    # -- order -----------------------------------------------------------------------

    def argsort(
        self,
        dim: int = -1,
        descending: bool = False,
        *,
        stable: bool = True,
        axis: int | None = None,
    ) -> Self:
        """Return the indices that sort the elements along ``dim``.

        Equal elements keep their order; NaN is larger than every number.
        """
        dim = either(dim, axis, -1)
        return self._new(selection.argsort(self.value, dim, descending))

    def sort(
        self,
        dim: int = -1,
        descending: bool = False,
        *,
        stable: bool = True,
        axis: int | None = None,
    ) -> Any:
        """Return the sorted values along ``dim``, and their indices (named tuple)."""
        dim = either(dim, axis, -1)
        return Extremes(*map(self._new, selection.sort(self.value, dim, descending)))

    def topk(
        self,
        k: int,
        dim: int = -1,
        largest: bool = True,
        sorted: bool = True,
        *,
        axis: int | None = None,
    ) -> Any:
        """Return the k largest (or smallest) elements along ``dim``, with indices."""
        dim = either(dim, axis, -1)
        return Extremes(*map(self._new, selection.topk(self.value, k, dim, largest)))

    def median(
        self, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None
    ) -> Any:
        """Return the median, the lower of two; along ``dim`` with its index.

        NaN where an element is NaN.
        """
        dim = either(dim, axis)
        v = self.value if dim is not None else reshape(self.value, (-1,))
        at = axis_of(v.shape, 0 if dim is None else dim)
        size = v.shape[at]
        if not isinstance(size, int) or not size:
            raise ShapeError(
                _("A median is taken of an axis of fixed length, at least 1."),
                got=_("{size} elements", size=size),
            )
        values, order = selection.sort(v, at, False)
        middle = (size - 1) // 2
        parts: list[Any] = []
        last = cut(values, at, size - 1, size)
        for x in (values, order):
            there, end = cut(x, at, middle, middle + 1), cut(x, at, size - 1, size)
            made = where(not_equal(last, last), end, there)
            parts.append(
                self._new(made if keepdim and dim is not None else squeeze(made, at))
            )
        return parts[0] if dim is None else Extremes(*parts)

    # -- what depends on the numbers -------------------------------------------------

    def equal(self, other: Any) -> bool:
        """Return whether shape and every number are equal; ``x == y`` compares each.

        >>> import chainrule as cr
        >>> cr.tensor([1, 2]).equal([1, 2]), cr.tensor([1, 2]).equal([1, 2, 3])
        (True, False)
        """
        v, w = self.value, value_of(other)
        return v.shape == w.shape and bool(
            self._new(ops.all_(equal(*pair(self, other)), None, False))
        )

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """Return the indices of the elements that differ from 0, one row for each.

        Args:
            as_tuple: a vector for each axis instead, which together index x.

        Raises:
            ShapeError: while a function is compiled: the shape depends on the numbers;
                a scalar, which has no axis, with ``as_tuple``.

        >>> import chainrule as cr
        >>> cr.tensor([[0, 5], [7, 0]]).nonzero()
        tensor([[0, 1],
                [1, 0]])
        """
        numbers = numbers_for(self, "nonzero")
        if not as_tuple:
            return self._new(Value(np.argwhere(numbers)))
        if not self.ndim:
            raise ShapeError(
                _("A scalar has no indices."),
                expected=_("an axis"),
                got=_("shape ()"),
                fix="x != 0",
            )
        return tuple(self._new(Value(places)) for places in np.nonzero(numbers))

    # -- running ---------------------------------------------------------------------

    def cumsum(
        self, dim: int | None = None, *, dtype: Any = None, axis: int | None = None
    ) -> Self:
        """Return the cumulative sum along ``dim``; integers in 64 bits."""
        dim = either(dim, axis)
        return self._new(ops.cumulative(reduce.cumsum, self.value, dim, dtype))

    def cumprod(
        self, dim: int | None = None, *, dtype: Any = None, axis: int | None = None
    ) -> Self:
        """Return the cumulative product along ``dim``; integers in 64 bits."""
        dim = either(dim, axis)
        return self._new(ops.cumulative(reduce.cumprod, self.value, dim, dtype))

    def diff(self, n: int = 1, dim: int = -1, *, axis: int | None = None) -> Self:
        """Return the n-th differences of neighbours along ``dim``."""
        return self._new(selection.diff(self.value, n, either(dim, axis, -1)))


def numbers_for(x: TensorBase, name: str) -> Array:
    """Return the numbers of x, on which the shape of a result depends."""
    if context.trace is not None:
        raise ShapeError(
            _("The shape of what {name} gives is known only at the run.", name=name),
            expected=_(
                "shapes that do not depend on numbers while a function is traced"
            ),
            got=repr(x)[:80],
            fix=_("call it outside of the compiled function; masks and where() within"),
        )
    return x.numpy()


def _correction(given: float | None, unbiased: bool | None, axis: Any) -> float:
    if unbiased is not None and (given is not None or not isinstance(unbiased, bool)):
        raise ArgumentError(
            _("unbiased is PyTorch's older name of correction=1 or 0."),
            expected=_("True or False, or correction= alone"),
            got=f"unbiased={unbiased!r:.40}, correction={given!r:.40}",
        )
    if given is not None:
        return given
    if unbiased is not None:
        return float(unbiased)
    if axis is not None:
        raise ArgumentError(
            _("NumPy divides by n, PyTorch by n − 1, and axis= is NumPy's word."),
            expected=_("correction=0 or correction=1 beside axis="),
            got=f"axis={axis!r:.40}",
            fix=_("x.var(dim=…) for n − 1, x.var(axis=…, correction=0) for n"),
        )
    return 1
