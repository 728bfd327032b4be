"""Tensor methods that reshape, reorder and select elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.layout import PERMUTED
from chainrule.graph.node import Value
from chainrule.graph.types import DType, size_of
from chainrule.operations import indexing, selection
from chainrule.operations import movement as ops
from chainrule.operations.arguments import Dims, axis_of, either, numbers_of, shape_of
from chainrule.operations.operands import (
    TensorBase,
    as_array,
    broadcast_shapes,
    held_by,
    value_of,
)
from chainrule.operations.products import matmul, outer
from chainrule.operations.views import (
    DIAGONAL,
    EXPAND,
    INDEX,
    NARROW,
    PERMUTE,
    RESHAPE,
    basic_key,
    key_along,
)
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.rules import show
from chainrule.text import _


class Movement(TensorBase):
    """Tensor methods that rearrange elements; results are views where PyTorch's are.

    A change in place of it changes what it was taken of, and the other way round;
    ``clone()`` makes a tensor of its own.
    """

    __slots__ = ()

    def _shaped(self, made: Value) -> Self:
        """Return another shape of the elements, always a view."""
        return self._view(self.value, made, RESHAPE, made.shape)

    def _permuted(self, axes: tuple[int, ...]) -> Self:
        v = self.value
        made = movement.transpose(v, axes=axes)
        made.order = v.order or PERMUTED
        return self._view(v, made, PERMUTE, axes)

    def _pieces(self, pieces: list[Value], dim: int) -> tuple[Self, ...]:
        """Return consecutive pieces along an axis, as views."""
        at, end, made = axis_of(self.shape, dim), 0, list[Self]()
        for v in pieces:
            start, end = end, end + v.shape[at]
            key = key_along(at, slice(start, end))
            made.append(self._view(self.value, v, INDEX, key))
        return tuple(made)

    # -- shapes ----------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Self:
        """Return the elements, in row-major order, in another shape with one −1."""
        v = self.value
        sizes = shape if shape and type(shape[0]) is int else numbers_of(shape)
        return self._in_rows(v, ops.reshape(v, sizes))

    def view(self, *shape: Any) -> Self:
        """Return a view in another shape, see :meth:`reshape`; a dtype is refused."""
        if len(shape) == 1 and isinstance(shape[0], DType | str):
            raise ArgumentError(
                _("view gives another shape; bytes are not reinterpreted."),
                expected="sizes",
                got=f"{shape[0]!r:.40}",
                fix="x.astype(dtype)",
            )
        return self._shaped(ops.reshape(self.value, numbers_of(shape)))

    def view_as(self, other: Self) -> Self:
        """Return a view in the shape of ``other``; see :meth:`view`."""
        return self.view(other.shape)

    def reshape_as(self, other: Self) -> Self:
        """Return the elements in the shape of ``other``."""
        return self.reshape(other.shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """Merge the axes from ``start_dim`` to ``end_dim`` into one."""
        v = self.value
        made = ops.merge(v, start_dim, end_dim)
        return self if self.ndim == 1 else self._in_rows(v, made)

    def ravel(self) -> Self:
        """Return the elements as a vector: a view if they are in row-major order."""
        return self.contiguous().view(-1)

    def unflatten(self, dim: int, sizes: Sequence[Any]) -> Self:
        """Split one axis into several; one size may be −1."""
        return self._shaped(ops.divide_axis(self.value, dim, sizes))

    def squeeze(self, dim: Dims = None, *, axis: Dims = None) -> Self:
        """Remove axes of length 1: all of them, or those of ``dim``."""
        dim = either(dim, axis)
        if dim is None:
            dim = [i for i, d in enumerate(self.shape) if d == 1]
        return self._shaped(ops.squeeze(self.value, dim))

    def unsqueeze(self, dim: int | None = None, *, axis: int | None = None) -> Self:
        """Insert an axis of length 1 before axis ``dim``; −1 appends the axis."""
        return self._shaped(ops.expand_dims(self.value, either(dim, axis)))

    expand_dims = unsqueeze

    def expand(self, *shape: Any) -> Self:
        """Repeat along missing axes and axes of length 1; −1 keeps a size."""
        v = self.value
        made = ops.broadcast_to(v, numbers_of(shape))
        repeats = size_of(made.shape) != size_of(v.shape)
        return self._view(v, made, EXPAND if repeats else RESHAPE, made.shape)

    broadcast_to = expand

    def expand_as(self, other: Self) -> Self:
        """Repeat the tensor into the shape of ``other``."""
        return self.expand(other.shape)

    def contiguous(self) -> Self:
        """Return the tensor itself, or a copy if it is not in row-major order.

        That is so of ``x.T``, for example, and decides what a change in place reaches.
        """
        return self._in_one_piece()

    def clone(self) -> Self:
        """Return a copy of the tensor; derivatives pass through."""
        return self._new(movement.copy(self.value))

    # -- orders ----------------------------------------------------------------------

    def permute(self, *dims: Any) -> Self:
        """Return the axes in another order: axis ``dims[i]`` becomes axis i."""
        return self._permuted(ops.permuted(self.shape, numbers_of(dims)))

    permute_dims = permute

    def transpose(self, dim0: int, dim1: int) -> Self:
        """Exchange two axes."""
        return self._permuted(ops.swapped(self.shape, dim0, dim1))

    swapaxes = transpose

    def t(self) -> Self:
        """Return the transpose of a matrix; a vector is returned unchanged."""
        if self.ndim > 2:
            raise ShapeError(
                _("t() transposes matrices."),
                expected=_("at most two axes"),
                got=show(self.shape),
                fix=_("x.transpose(dim0, dim1), or x.mT for stacks of matrices"),
            )
        return self.T

    @property
    def T(self) -> Self:
        """The transpose: the axes in reverse order."""
        return self._permuted(tuple(range(self.ndim)[::-1]))

    @property
    def mT(self) -> Self:
        """The transpose of each matrix: the last two axes exchanged."""
        if self.ndim < 2:
            raise ShapeError(
                _("mT transposes matrices."),
                expected=_("at least two axes"),
                got=show(self.shape),
            )
        return self._permuted(ops.swapped(self.shape, -2, -1))

    def movedim(self, source: Any, destination: Any) -> Self:
        """Move axes to other positions; the other axes remain in order."""
        return self._permuted(ops.moved(self.shape, source, destination))

    moveaxis = movedim

    def flip(self, *dims: Any, axis: Dims = None) -> Self:
        """Reverse the order of elements along ``dims``, by default along all axes.

        Along none for ``()``.

        >>> import chainrule as cr
        >>> cr.tensor([1, 2]).flip(()), cr.tensor([1, 2]).flip()
        (tensor([1, 2]), tensor([2, 1]))
        """
        dim = None if dims in ((), (None,)) else numbers_of(dims)
        return self._new(ops.flip(self.value, either(dim, axis)))

    def roll(self, shifts: Any, dims: Any = None, *, axis: Any = None) -> Self:
        """Shift elements along an axis, with wrap-around at the ends."""
        return self._new(ops.roll(self.value, shifts, either(dims, axis)))

    # -- repetition ------------------------------------------------------------------

    def repeat(self, *sizes: Any) -> Self:
        """Repeat the whole tensor a number of times along each axis, as in PyTorch."""
        many = numbers_of(sizes)
        if len(many) < self.ndim:
            raise ShapeError(
                _("repeat takes a number for every axis."),
                expected=_("at least {ndim}", ndim=self.ndim),
                got=f"{many}",
                fix=_("x.tile(…), or x.repeat_interleave(n) for NumPy's repeat"),
            )
        return self._new(ops.tile(self.value, many))

    def tile(self, *sizes: Any) -> Self:
        """Repeat the whole tensor along each axis; numbers count from the last axis."""
        return self._new(ops.tile(self.value, numbers_of(sizes)))

    def repeat_interleave(
        self, repeats: Any, dim: int | None = None, *, axis: int | None = None
    ) -> Self:
        """Repeat each element ``repeats`` times in a row; a number or one per element.

        >>> import chainrule as cr
        >>> cr.tensor([1, 2]).repeat_interleave(2)
        tensor([1, 1, 2, 2])
        >>> cr.tensor([1, 2]).repeat_interleave([2, 0])
        tensor([1, 1])
        """
        dim = either(dim, axis)
        if isinstance(repeats, int):
            return self._new(ops.repeat(self.value, repeats, dim))
        v = self.value if dim is not None else ops.reshape(self.value, (-1,))
        at = axis_of(v.shape, 0 if dim is None else dim)
        held = repeats if isinstance(repeats, TensorBase) else as_array(repeats)
        times = held.numpy() if isinstance(held, TensorBase) else held
        right = times.dtype.kind in "iu" and times.ndim < 2 and not (times < 0).any()
        if not right or times.size not in (1, v.shape[at]):
            raise ArgumentError(
                _("repeat_interleave repeats each element so often."),
                expected=_("an integer ≥ 0, or {shape} of them", shape=v.shape[at]),
                got=f"{repeats!r:.80}",
            )
        places = np.repeat(np.arange(int(v.shape[at])), times.reshape(-1))
        key = (*[slice(None)] * at, value_of(places))
        return self._new(indexing.index(v, key))

    # -- pieces ----------------------------------------------------------------------

    def split(
        self, lengths: int | Sequence[int], dim: int = 0, *, axis: int | None = None
    ) -> tuple[Self, ...]:
        """Split along ``dim`` into pieces of a given length, or of given lengths.

        The last piece may be shorter.

        As in PyTorch, an integer is a piece's length; ``chunk`` takes their number.
        """
        dim = either(dim, axis, 0)
        return self._pieces(ops.split(self.value, lengths, dim), dim)

    def chunk(
        self, chunks: int, dim: int = 0, *, axis: int | None = None
    ) -> tuple[Self, ...]:
        """Split along ``dim`` into ``chunks`` pieces; the last may be shorter."""
        dim = either(dim, axis, 0)
        return self._pieces(ops.chunk(self.value, chunks, dim), dim)

    def unbind(self, dim: int = 0, *, axis: int | None = None) -> tuple[Self, ...]:
        """Return the slices along ``dim`` as separate tensors without that axis."""
        dim = either(dim, axis, 0)
        at = axis_of(self.shape, dim)
        of, made = self.value, list[Self]()
        for i, v in enumerate(ops.unstack(of, dim)):
            made.append(self._view(of, v, INDEX, key_along(at, i)))
        return tuple(made)

    unstack = unbind

    def narrow(self, dim: int, start: Any, length: int) -> Self:
        """Return ``length`` elements along ``dim`` from ``start`` (may be a tensor)."""
        at, first = axis_of(self.shape, dim), value_of(start)
        size, (block,) = self.shape[at], shape_of(length, _("A block has a length."))
        length = int(block)
        known = first.array if first.dtype.is_integer and not first.shape else None
        if known is not None and isinstance(size, int):
            begin = int(known) + size * (int(known) < 0)
            if 0 <= begin <= size - length:
                return self[key_along(at, slice(begin, begin + length))]
        made = indexing.narrowed(self.value, at, first, length)
        return self._view(self.value, made, NARROW, at, first, length)

    def tril(self, diagonal: int = 0, *, k: int | None = None) -> Self:
        """Return each matrix's elements on and below a diagonal, with 0 above it."""
        return self._new(ops.triangle(self.value, either(diagonal, k, 0), True))

    def triu(self, diagonal: int = 0, *, k: int | None = None) -> Self:
        """Return each matrix's elements on and above a diagonal, with 0 below it."""
        return self._new(ops.triangle(self.value, either(diagonal, k, 0), False))

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Self:
        """Return the diagonal, whose second index is the first plus ``offset``."""
        made = ops.diagonal(self.value, offset, dim1, dim2)
        dims = axis_of(self.shape, dim1), axis_of(self.shape, dim2)
        return self._view(self.value, made, DIAGONAL, offset, *dims)

    def diag(self, diagonal: int = 0) -> Self:
        """Return the diagonal of a matrix, or a matrix with the given diagonal."""
        if self.ndim == 1:
            return self._new(ops.diagonal_matrix(self.value, diagonal))
        if self.ndim != 2:
            raise ShapeError(
                _("diag takes a vector or a matrix."),
                got=show(self.shape),
                fix="x.diagonal(offset, dim1, dim2)",
            )
        return self.diagonal(diagonal).clone()

    def trace(self) -> Self:
        """Return the trace of a matrix, the sum of its diagonal."""
        return self.diag().sum()  # pyright: ignore[reportAttributeAccessIssue]

    # -- by index --------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Self:
        v = self.value
        made = indexing.index(v, key)
        block = key if type(key) is int else basic_key(key)
        return self._new(made) if block is None else self._view(v, made, INDEX, block)

    def __setitem__(self, key: Any, new: Any) -> None:
        block = key if type(key) is int else basic_key(key)
        base = new._base if isinstance(new, TensorBase) else None
        if base is not None and base.is_of(self, INDEX, block):
            return  # the end of x[key] += y, which has changed x already
        new = value_of(new, self.dtype)
        if block is not None and not new.tracked and self._write(block, new.array):
            return
        self._become(indexing.replaced(self.value, key, new), "x[…] = y")

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError(_("A scalar tensor has no length."), got=_("shape ()"))
        return self.shape[0].__index__()

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def take(
        self, indices: Any, dim: int | None = None, *, axis: int | None = None
    ) -> Self:
        """Take elements by index: of the flattened tensor, or slices along ``dim``."""
        dim = either(dim, axis)
        v = self.value if dim is not None else ops.reshape(self.value, (-1,))
        at = axis_of(v.shape, 0 if dim is None else dim)
        return self._new(indexing.index(v, (*[slice(None)] * at, value_of(indices))))

    def index_select(self, dim: int, index: Any) -> Self:
        """Take slices along ``dim`` by index."""
        return self.take(index, dim)

    def take_along_dim(
        self, indices: Any, dim: int | None = None, *, axis: int | None = None
    ) -> Self:
        """Take elements by index along ``dim``; the other axes are broadcast.

        Without ``dim``, of all elements in order, as in PyTorch; along the last axis it
        is ``cr.take_along_axis``.
        """
        dim = either(dim, axis)
        v, places = self.value, value_of(indices)
        if dim is None:
            v, places, dim = ops.reshape(v, (-1,)), ops.reshape(places, (-1,)), 0
        return self._new(selection.along(v, places, dim))

    def gather(self, dim: int, index: Any) -> Self:
        """Gather elements: y[i][j] = x[index[i][j]][j] along ``dim`` 0, for example."""
        return self._new(selection.gather_within(self.value, value_of(index), dim))

    def scatter_add(self, dim: int, index: Any, src: Any) -> Self:
        """Add ``src`` at indices: x[index[i][j]][j] += src[i][j] along ``dim`` 0."""
        at = axis_of(self.shape, dim)
        places, updates = value_of(index), held_by(src, self.dtype)
        return self._new(selection.scatter_add(self.value, places, updates, at))

    def scatter(self, dim: int, index: Any, src: Any) -> Self:
        """Write ``src`` at indices: x[index[i][j]][j] = src[i][j] along ``dim`` 0.

        ``src`` may be a number; of places that are named twice the last one counts.
        """
        return self._new(self._scattered(dim, index, src))

    def _scattered(self, dim: int, index: Any, src: Any) -> Any:
        at = axis_of(self.shape, dim)
        places, new = value_of(index), held_by(src, self.dtype)
        if len(places.shape) != self.ndim:
            raise ShapeError(
                _("scatter takes indices with the axes of the tensor."),
                expected=_("{ndim} axes", ndim=self.ndim),
                got=show(places.shape),
            )
        key = [
            places if i == at else iota(shape=places.shape, axis=i, dtype=DType.int64)
            for i in range(self.ndim)
        ]
        return indexing.replaced(self.value, tuple(key), new)

    def scatter_(self, dim: int, index: Any, src: Any) -> Self:
        """Write ``src`` at indices in place; see :meth:`scatter`."""
        return self._become(self._scattered(dim, index, src), "scatter_")

    def scatter_add_(self, dim: int, index: Any, src: Any) -> Self:
        """Add ``src`` at indices in place; see :meth:`scatter_add`."""
        made = self.scatter_add(dim, index, src)
        return self._become(made.value, "scatter_add_")

    def index_add_(self, dim: int, index: Any, source: Any) -> Self:
        """Add slices at indices in place; see :meth:`index_add`."""
        return self._become(self.index_add(dim, index, source).value, "index_add_")

    def select(self, dim: int, index: Any) -> Self:
        """Return the slice at ``index`` along ``dim``, without that axis."""
        return self[(*[slice(None)] * axis_of(self.shape, dim), index)]

    def masked_select(self, mask: Any) -> Self:
        """Return the elements where ``mask`` is true, as a vector (not traced)."""
        mask = value_of(mask)
        shape = broadcast_shapes(self.shape, mask.shape)
        return self.expand(shape)[ops.stretch(mask, shape)]

    def index_add(self, dim: int, index: Any, source: Any) -> Self:
        """Return x with the slices of ``source`` added at indices along ``dim``."""
        at = axis_of(self.shape, dim)
        places, updates = value_of(index), held_by(source, self.dtype)
        shape = [1] * self.ndim
        shape[at] = -1
        spread = ops.stretch(ops.reshape(places, tuple(shape)), updates.shape)
        return self._new(selection.scatter_add(self.value, spread, updates, at))

    # -- products --------------------------------------------------------------------

    def matmul(self, other: Any) -> Self:
        """Return the matrix product ``x @ y``, with NumPy's broadcasting rules."""
        return self._new(matmul(self.value, value_of(other)))

    def mm(self, other: Any) -> Self:
        """Return the product of two matrices."""
        return self._product(other, 2, 2, "mm")

    def bmm(self, other: Any) -> Self:
        """Return the products of two stacks of matrices."""
        return self._product(other, 3, 3, "bmm")

    def mv(self, other: Any) -> Self:
        """Return the product of a matrix and a vector."""
        return self._product(other, 2, 1, "mv")

    def dot(self, other: Any) -> Self:
        """Return the inner product of two vectors."""
        return self._product(other, 1, 1, "dot")

    def _product(self, other: Any, m: int, n: int, name: str) -> Self:
        w = value_of(other)
        if (self.ndim, len(w.shape)) != (m, n):
            raise ShapeError(
                _("{name} takes tensors of {m} and {n} axes.", name=name, m=m, n=n),
                expected=_("{m} and {n}", m=m, n=n),
                got=_(
                    "{shape} and {w_shape}",
                    shape=show(self.shape),
                    w_shape=show(w.shape),
                ),
                fix="x @ y",
            )
        return self._new(matmul(self.value, w))

    def addmm(
        self, first: Any, second: Any, *, beta: float = 1, alpha: float = 1
    ) -> Self:
        """Return beta · x + alpha · first @ second."""
        made = self._new(value_of(first)) @ second * alpha  # pyright: ignore
        return made + (self if beta == 1 else self * beta)  # pyright: ignore

    def outer(self, other: Any) -> Self:
        """Return the outer product of two vectors."""
        return self._new(outer(self.value, value_of(other)))
