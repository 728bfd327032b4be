"""Tensor functions that reshape, broadcast and reorder tensors.

Results are views where PyTorch's are: a change in place of a view changes the tensor
that it was taken of, and the other way round; ``clone()`` makes a tensor of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.layout import PERMUTED
from chainrule.graph.node import Value
from chainrule.graph.types import DType, Shape, size_of
from chainrule.operations.arguments import (
    Dims,
    axes_of,
    axis_of,
    fill,
    numbers_of,
    shape_of,
    whole,
)
from chainrule.operations.op import Viewed, op
from chainrule.operations.operands import (
    TensorBase,
    broadcast_shapes,
    broadcast_to,
    count_of,
    full,
    repeats_into,
    value_of,
)
from chainrule.operations.reductions import sum_
from chainrule.operations.shapes import (
    cut,
    permutation,
    reshaped,
    rows,
    windows,
    with_ones,
)
from chainrule.operations.views import (
    EXPAND,
    PERMUTE,
    RESHAPE,
    WINDOWS,
)
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add
from chainrule.primitives.integers import remainder
from chainrule.primitives.rules import show
from chainrule.text import _, ngettext

# -- shapes ---------------------------------------------------------------------------


def _view(x: Value, shape: tuple[Any, ...]) -> Viewed:
    """Return a tensor's elements in another shape, always as a view."""
    result = reshaped(x, shape)
    return Viewed(result, RESHAPE, (result.shape,))


@op
def reshape(x: Value, *shape: Any, copy: bool | None = None) -> Viewed | Value:
    """Return the tensor's elements in another shape; one size may be −1.

    >>> import chainrule as cr
    >>> cr.reshape(cr.tensor([1, 2, 3, 4]), (2, -1))
    tensor([[1, 2],
            [3, 4]])
    """
    sizes = shape if shape and type(shape[0]) is int else numbers_of(shape)
    result = reshaped(x, sizes)
    return movement.copy(result) if copy else Viewed(result)


@op(public=False)
def view(x: Value, *shape: Any) -> Viewed:
    """Return a view of the tensor in another shape, not dtype; see :meth:`reshape`."""
    if len(shape) == 1 and isinstance(shape[0], DType | str):
        raise ArgumentError(
            _("view gives another shape; bytes are not reinterpreted."),
            expected="sizes",
            got=f"{shape[0]!r:.40}",
            fix="x.astype(dtype)",
        )
    return _view(x, numbers_of(shape))


@op(public=False)
def view_as(x: Value, other: Any) -> Viewed:
    """Return a view of the tensor in the shape of ``other``; see :meth:`view`."""
    return _view(x, other.shape)


@op(public=False)
def reshape_as(x: Value, other: Any) -> Viewed:
    """Return the tensor's elements in the shape of the tensor ``other``."""
    return Viewed(reshaped(x, other.shape))


@op
def flatten(x: Value, start_dim: int = 0, end_dim: int = -1) -> Viewed | Value:
    """Merge the tensor's axes from ``start_dim`` to ``end_dim`` into one."""
    shape = x.shape or (1,)
    first, last = (axis_of(shape, d) for d in (start_dim, end_dim))
    if first > last:
        raise ShapeError(
            _("flatten merges neighbouring axes."),
            expected=_("start_dim before end_dim"),
            got=_(
                "{start} and {end} for shape {shape}",
                start=start_dim,
                end=end_dim,
                shape=show(x.shape),
            ),
            fix=f"flatten({last}, {first})",
        )
    merged = size_of(shape[first : last + 1])
    result = reshaped(x, (*shape[:first], merged, *shape[last + 1 :]))
    return x if len(x.shape) == 1 else Viewed(result)


@op
def ravel(x: Value) -> Viewed:
    """Return the tensor's elements as a vector: a view, if in row-major order."""
    return Viewed(reshaped(x, (-1,)))


@op
def unflatten(x: Value, dim: int, sizes: Sequence[Any]) -> Viewed:
    """Split one axis of the tensor into several; one size may be −1."""
    axis = axis_of(x.shape, dim)
    many = tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,)
    inner = fill((x.shape[axis],), many)
    return _view(x, (*x.shape[:axis], *inner, *x.shape[axis + 1 :]))


@op
def squeeze(x: Value, dim: Dims = None) -> Viewed:
    """Remove the tensor's axes of length 1: all, or those of them in ``dim``."""
    axes = [a for a in axes_of(x.shape, dim) if x.shape[a] == 1]
    return _view(x, tuple([d for i, d in enumerate(x.shape) if i not in axes]))


@op
def unsqueeze(x: Value, dim: Any) -> Viewed:
    """Insert an axis of length 1 into the tensor before axis ``dim``; −1 appends it."""
    return _view(x, with_ones(x, dim))


@op
def expand_dims(x: Value, dim: Any = 0) -> Viewed:
    """Insert an axis of length 1 into the tensor at ``dim``; −1 appends it."""
    return _view(x, with_ones(x, dim))


@op("broadcast_to")
def expand(x: Value, *shape: Any) -> Viewed:
    """Expand a tensor's missing axes and axes of length 1 to sizes; −1 keeps a size."""
    rule = _("expand takes sizes, and −1 for a size that is there already.")
    sizes = numbers_of(shape)
    wanted = shape_of(tuple(sizes), rule, least=-1)
    if -1 in wanted:
        known = (*[-1] * (len(wanted) - len(x.shape)), *x.shape)
        wanted = tuple([known[i] if d == -1 else d for i, d in enumerate(wanted)])
        if -1 in wanted:
            raise ShapeError(
                rule,
                expected=_(
                    "a number for each new axis in front of {shape}",
                    shape=show(x.shape),
                ),
                got=f"{tuple(sizes)!r:.80}",
            )
    result = broadcast_to(x, wanted)
    repeats = size_of(wanted) != size_of(x.shape)
    return Viewed(result, EXPAND if repeats else RESHAPE, (wanted,))


@op(public=False)
def expand_as(x: Value, other: Any) -> Viewed:
    """Expand the tensor to the shape of the tensor ``other``, by repetition."""
    return expand(x, *other.shape)


@op("broadcast_tensors", method=False)
def broadcast_arrays(*arrays: Any) -> list[Any]:
    """Return the tensors broadcast to their common shape."""
    tensors = [x if isinstance(x, TensorBase) else value_of(x) for x in arrays]
    shape: Any = ()
    for x in tensors:
        shape = broadcast_shapes(shape, x.shape)
    return [
        x.expand(shape) if isinstance(x, TensorBase) else broadcast_to(x, shape)  # pyright: ignore
        for x in tensors
    ]


@op(name="broadcast_shapes", method=False)
def common_shape(*shapes: Any) -> Shape:
    """Return the common shape that tensors of these shapes are broadcast to.

    >>> import chainrule as cr
    >>> cr.broadcast_shapes((3, 1), 4)
    (3, 4)
    """
    shape: Shape = ()
    for s in shapes:
        shape = broadcast_shapes(shape, shape_of(s))
    return shape


@op
def sum_to_size(x: Value, *size: Any) -> Value:
    """Return a tensor summed over what was repeated to broadcast ``size`` to it."""
    wanted = shape_of(tuple(numbers_of(size)))
    lead = len(x.shape) - len(wanted)
    if not repeats_into(wanted, x.shape):
        raise ShapeError(
            _("sum_to_size takes a shape that repeats into the tensor's."),
            expected=show(x.shape),
            got=show(wanted),
        )
    ones = [i for i, d in enumerate(wanted) if d == 1 and x.shape[i + lead] != 1]
    axes = [*range(lead), *[i + lead for i in ones]]
    return reshaped(sum_(x, axes), wanted) if axes or not wanted else x


@op
def clone(x: Value) -> Value:
    """Return a copy of the tensor; derivatives pass through."""
    return movement.copy(x)


@op
def unfold(x: Value, dimension: int, size: int, step: int) -> Viewed:
    """Return windows of ``size`` elements along an axis, each ``step`` further on.

    The axis counts the windows, and a new last axis the elements of each. As a view
    that may show an element twice it is read, and not written.

    >>> import chainrule as cr
    >>> cr.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    line = x if x.shape else reshaped(x, (1,))
    axis = axis_of(line.shape, dimension)
    length = line.shape[axis]
    size, step = whole("size", size, least=0), whole("step", step, least=1)
    if not isinstance(length, int) or size > length:
        raise ShapeError(
            _("A window fits into the axis."),
            expected=_("a size of at most {length}", length=length),
            got=f"size={size}",
        )
    if not x.shape:
        return _view(x, (size,)) if size else Viewed(cut(line, 0, 0, 0), None)
    return Viewed(windows(x, axis, size, step), WINDOWS, (axis, size, step))


# -- orders ---------------------------------------------------------------------------


def permuted(x: Value, axes: tuple[int, ...]) -> Viewed:
    """Return a value with its axes in another order, as a view."""
    result = movement.transpose(x, axes=axes)
    result.order = x.order or PERMUTED
    return Viewed(result, PERMUTE, (axes,))


@op("permute_dims")
def permute(x: Value, *dims: Any) -> Viewed:
    """Return the tensor with its axes in another order: ``dims[i]`` becomes axis i."""
    return permuted(x, permutation(x.shape, numbers_of(dims)))


@op("swapaxes", "swapdims")
def transpose(x: Value, dim0: int, dim1: int) -> Viewed:
    """Exchange two axes of the tensor."""
    if not x.shape:  # its axes 0 and −1 are one
        axes_of((), dim0)
        axes_of((), dim1)
        return permuted(x, ())
    order = list(range(len(x.shape)))
    a, b = axis_of(x.shape, dim0), axis_of(x.shape, dim1)
    order[a], order[b] = b, a
    return permuted(x, tuple(order))


@op
def t(x: Value) -> Viewed:
    """Return the transpose of a matrix tensor; a vector is returned unchanged."""
    if len(x.shape) > 2:
        raise ShapeError(
            _("t() transposes matrices."),
            expected=_("at most two axes"),
            got=show(x.shape),
            fix=_("x.transpose(dim0, dim1), or x.mT for stacks of matrices"),
        )
    return permuted(x, tuple(range(len(x.shape))[::-1]))


@op(method=False)
def matrix_transpose(x: Value) -> Viewed:
    """Return the transpose of each matrix of a tensor: last two axes exchanged."""
    if len(x.shape) < 2:
        raise ShapeError(
            _("mT transposes matrices."),
            expected=_("at least two axes"),
            got=show(x.shape),
        )
    return transpose(x, -2, -1)


@op("moveaxis")
def movedim(x: Value, source: Any, destination: Any) -> Viewed:
    """Move axes of a tensor to other positions; the other axes remain in order."""
    many = [d if isinstance(d, tuple | list) else (d,) for d in (source, destination)]
    start, end = ([axis_of(x.shape or (1,), d) for d in ds] for ds in many)
    if len(start) != len(end) or len({*start}) < len(start) or len({*end}) < len(end):
        raise ShapeError(
            _("Axes move to places of their own."),
            expected=_("as many different places as axes"),
            got=_("{source} to {destination}", source=source, destination=destination),
        )
    if not x.shape:
        return permuted(x, ())
    order: list[Any] = [None] * len(x.shape)
    for a, b in zip(start, end):
        order[b] = a
    rest = iter([a for a in range(len(x.shape)) if a not in start])
    return permuted(x, tuple([next(rest) if a is None else a for a in order]))


@op
def flip(x: Value, *dims: Any) -> Value:
    """Reverse the order of a tensor's elements along ``dims``, by default all axes.

    Along none for ``()``.

    >>> import chainrule as cr
    >>> cr.tensor([1, 2]).flip(()), cr.tensor([1, 2]).flip()
    (tensor([1, 2]), tensor([2, 1]))
    """
    axes = axes_of(x.shape, None if dims in ((), (None,)) else numbers_of(dims))
    return movement.flip(x, axes=axes) if axes else x


@op
def fliplr(x: Value) -> Value:
    """Reverse the order of a tensor's columns, its second axis."""
    return flip(x, 1)


@op
def flipud(x: Value) -> Value:
    """Reverse the order of a tensor's rows, its first axis."""
    return flip(_with_axis(x), 0)


def _with_axis(x: Value) -> Value:
    axis_of(x.shape, 0)
    return x


@op
def rot90(x: Value, k: int = 1, dims: Sequence[int] = (0, 1)) -> Value:
    """Rotate a tensor by k · 90°, from the first of two axes towards the second.

    >>> import chainrule as cr
    >>> cr.rot90(cr.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    axes = [axis_of(x.shape, d) for d in dims]
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ArgumentError(
            _("A rotation is in a plane of two axes."),
            expected=_("two different axes"),
            got=f"dims={dims!r:.60}",
        )
    k = whole("k", k) % 4
    if k == 2:
        return flip(x, axes)
    order = list(range(len(x.shape)))
    if k:
        x = flip(x, axes[1]) if k == 1 else flip(x, axes[0])
        order[axes[0]], order[axes[1]] = axes[1], axes[0]
    return movement.transpose(x, axes=tuple(order))


@op
def roll(x: Value, shifts: Any, dims: Any = None) -> Value:
    """Shift a tensor's elements along an axis, with wrap-around at the ends.

    >>> import chainrule as cr
    >>> cr.roll(cr.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    if dims is None:
        several = shifts if isinstance(shifts, tuple | list) else (shifts,)
        if not several:
            raise ArgumentError(
                _("roll shifts by a number."), expected=_("a shift"), got="()"
            )
        shift = sum(whole("shifts", n) for n in several)
        return reshaped(roll(reshaped(x, (-1,)), shift, 0), x.shape)
    axes = dims if isinstance(dims, tuple | list) else (dims,)
    many = shifts if isinstance(shifts, tuple | list) else (shifts,) * len(axes)
    if len(many) != len(axes):
        raise ArgumentError(
            _("roll takes one shift for each axis."),
            expected=ngettext("{n} shift", "{n} shifts", n=len(axes)),
            got=f"{shifts!r:.80}",
        )
    for shift, d in zip(many, axes):
        x = _rolled(x, whole("shifts", shift), axis_of(x.shape, d))
    return x


def _rolled(x: Value, shift: int, axis: int) -> Value:
    size = x.shape[axis]
    if isinstance(size, int):
        at = -shift % size if size else 0
        if not at:
            return x
        ends = [cut(x, axis, at, size), cut(x, axis, 0, at)]
        return movement.concatenate(*ends, axis=axis)
    count = iota(shape=(size,), axis=0, dtype=DType.int64)
    modulus = broadcast_to(count_of(size, DType.int64), (size,))
    indices = remainder(add(count, full(-shift, DType.int64, (size,))), modulus)
    return rows(x, indices, axis)
