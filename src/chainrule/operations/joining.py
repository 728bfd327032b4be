"""Tensor functions that join, combine, repeat and pad tensors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Array, Value
from chainrule.graph.room import check_room
from chainrule.graph.types import Dim, Shape, SymbolicDim
from chainrule.operations.arguments import axes_of, axis_of, numbers_of, shape_of, whole
from chainrule.operations.indexing import indexed
from chainrule.operations.op import op
from chainrule.operations.operands import (
    TensorBase,
    as_array,
    broadcast_to,
    full,
    value_of,
)
from chainrule.operations.shapes import (
    common,
    concatenated,
    cut,
    fixed_size,
    reshaped,
    with_ones,
)
from chainrule.operations.views import key_along
from chainrule.primitives import movement
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.util.validation import choice

# -- joining --------------------------------------------------------------------------


@op("cat", "concatenate", method=False)
def concat(arrays: Sequence[Any], dim: int | None = 0) -> Value:
    """Concatenate tensors along an axis; ``axis=None`` flattens them first.

    >>> import chainrule as cr
    >>> cr.concat([cr.tensor([1, 2]), cr.tensor([3])])
    tensor([1, 2, 3])
    """
    return concatenated([value_of(x) for x in arrays], dim)


@op(method=False)
def stack(arrays: Sequence[Any], dim: int = 0) -> Value:
    """Stack tensors of one shape along a new axis.

    >>> import chainrule as cr
    >>> cr.stack([cr.tensor([1, 2]), cr.tensor([3, 4])], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    values = common([value_of(x) for x in arrays], "stack")
    for v in values:
        if v.shape != values[0].shape:
            raise ShapeError(
                _("stack takes tensors of one shape."),
                expected=show(values[0].shape),
                got=show(v.shape),
            )
    axis = axis_of((1, *values[0].shape), dim)
    return concatenated([reshaped(v, with_ones(v, dim)) for v in values], axis)


@op("row_stack", method=False)
def vstack(arrays: Sequence[Any]) -> Value:
    """Stack tensors vertically, along the first axis; vectors and numbers are rows."""
    values = [value_of(x) for x in arrays]
    return concatenated(
        [v if len(v.shape) > 1 else reshaped(v, (1, -1)) for v in values]
    )


@op(method=False)
def hstack(arrays: Sequence[Any]) -> Value:
    """Stack tensors horizontally: along the second axis; vectors along the first."""
    values = [value_of(x) for x in arrays]
    values = [v if v.shape else reshaped(v, (1,)) for v in values]
    return concatenated(values, int(bool(values) and len(values[0].shape) > 1))


@op(method=False)
def dstack(arrays: Sequence[Any]) -> Value:
    """Stack tensors in depth: along the third axis, of which each has one at least."""
    values = [value_of(x) for x in arrays]
    return concatenated([reshaped(v, with_rank(v.shape, 3)) for v in values], 2)


@op(method=False)
def column_stack(arrays: Sequence[Any]) -> Value:
    """Stack tensors as columns: along the second axis, vectors as one column each."""
    values = [value_of(x) for x in arrays]
    return concatenated(
        [v if len(v.shape) > 1 else reshaped(v, (-1, 1)) for v in values], 1
    )


def with_rank(shape: Shape, least: int) -> Shape:
    """Return a tensor's shape with as many axes, at least, as ``atleast_3d`` gives."""
    if len(shape) == 1 and least == 3:
        return (1, *shape, 1)
    if len(shape) == 2 and least == 3:
        return (*shape, 1)
    return (1,) * (least - len(shape)) + shape


def _at_least(least: int, tensors: tuple[Any, ...]) -> Any:
    """Return tensors as views of at least ``least`` axes; one tensor as itself."""
    several = numbers_of(tensors)
    made = [
        x if isinstance(x, TensorBase) else TensorBase._new(value_of(x))
        for x in several
    ]
    seen = [
        x if len(x.shape) >= least else x.view(with_rank(x.shape, least))  # type: ignore[attr-defined]
        for x in made
    ]
    return seen[0] if several is tensors and len(seen) == 1 else tuple(seen)


@op(method=False)
def atleast_1d(*tensors: Any) -> Any:
    """Return tensors with one axis at least; of several a tuple."""
    return _at_least(1, tensors)


@op(method=False)
def atleast_2d(*tensors: Any) -> Any:
    """Return tensors with two axes at least, new ones in front; of several a tuple."""
    return _at_least(2, tensors)


@op(method=False)
def atleast_3d(*tensors: Any) -> Any:
    """Return tensors with three axes at least; of several a tuple.

    A vector becomes a row of columns, a matrix is given a last axis.

    >>> import chainrule as cr
    >>> cr.atleast_3d(cr.tensor([1, 2])).shape
    (1, 2, 1)
    """
    return _at_least(3, tensors)


# -- combinations ---------------------------------------------------------------------


@op(method=False)
def cartesian_prod(*tensors: Any) -> Value:
    """Return all choices of one element of each vector, a row for each.

    >>> import chainrule as cr
    >>> cr.cartesian_prod(cr.tensor([1, 2]), cr.tensor([3, 4])).tolist()
    [[1, 3], [1, 4], [2, 3], [2, 4]]
    """
    lines = common([value_of(x) for x in tensors], "cartesian_prod")
    for v in lines:
        if len(v.shape) != 1:
            raise ShapeError(_("cartesian_prod takes vectors."), got=show(v.shape))
    sizes = tuple([v.shape[0] for v in lines])
    columns: list[Value] = []
    for i, v in enumerate(lines):
        column = tuple([-1 if j == i else 1 for j in range(len(lines))])
        columns.append(reshaped(broadcast_to(reshaped(v, column), sizes), (-1, 1)))
    return lines[0] if len(lines) == 1 else concatenated(columns, 1)


@op
def combinations(x: Value, r: int = 2, with_replacement: bool = False) -> Value:
    """Return all choices of r elements of a vector, in order, a row for each.

    >>> import chainrule as cr
    >>> cr.combinations(cr.tensor([1, 2, 3])).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    r = whole("r", r, least=0)
    if len(x.shape) != 1 or isinstance(x.shape[0], SymbolicDim):
        raise ShapeError(
            _("combinations takes a vector of fixed length."), got=show(x.shape)
        )
    size = x.shape[0]
    count = math.comb(size + r - 1 if with_replacement and r else size, r)
    check_room((count, r), 8)
    if not (r and count):
        return full(0, x.dtype, (count, r) if r else (0,))
    choices = itertools.combinations
    if with_replacement:
        choices = itertools.combinations_with_replacement
    return indexed(x, value_of(np.array([*choices(range(size), r)])))


# -- repetition -----------------------------------------------------------------------


@op(public=False)
def repeat(x: Value, *sizes: Any) -> Value:
    """Repeat the whole tensor a number of times along each axis, as in PyTorch."""
    many = numbers_of(sizes)
    if len(many) < len(x.shape):
        raise ShapeError(
            _("repeat takes a number for every axis."),
            expected=_("at least {ndim}", ndim=len(x.shape)),
            got=f"{many}",
            fix=_("x.tile(…), or x.repeat_interleave(n) for NumPy's repeat"),
        )
    return tile(x, *many)


@op
def tile(x: Value, *sizes: Any) -> Value:
    """Repeat the whole tensor along each axis; numbers count from the last axis."""
    rule = _("The whole is repeated whole times.")
    many = [*shape_of(tuple(numbers_of(sizes)), rule)]
    many = [1] * (len(x.shape) - len(many)) + many
    shape = (1,) * (len(many) - len(x.shape)) + x.shape
    single: list[Dim] = []
    repeated: list[Dim] = []
    for n, size in zip(many, shape):
        single += [1, size]
        repeated += [n, size]
    result = broadcast_to(reshaped(x, tuple(single)), tuple(repeated))
    return reshaped(result, tuple([size * n for n, size in zip(many, shape)]))


@op
def repeat_interleave(
    x: Value, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Value:
    """Repeat each element of a tensor in a row; one number, or one per element.

    ``output_size`` is how many come of them, which follows anyway and is checked.

    >>> import chainrule as cr
    >>> cr.tensor([1, 2]).repeat_interleave(2)
    tensor([1, 1, 2, 2])
    >>> cr.tensor([1, 2]).repeat_interleave([2, 0])
    tensor([1, 1])
    """
    if dim is None or not x.shape:
        axes_of(x.shape, dim)
        x, dim = reshaped(x, (-1,)), 0
    axis = axis_of(x.shape, dim)
    shape = x.shape
    if isinstance(repeats, int):
        times = whole("repeats", repeats, least=0)
        apart = reshaped(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
        wide = broadcast_to(apart, (*shape[: axis + 1], times, *shape[axis + 1 :]))
        _check_count(output_size, shape[axis] * times)
        return reshaped(wide, (*shape[:axis], shape[axis] * times, *shape[axis + 1 :]))
    is_tensor = isinstance(repeats, TensorBase)
    counts = repeats.numpy() if is_tensor else as_array(repeats)
    valid = counts.dtype.kind in "iu" and counts.ndim < 2 and not (counts < 0).any()
    if not valid or counts.size not in (1, shape[axis]):
        raise ArgumentError(
            _("repeat_interleave repeats each element so often."),
            expected=_("an integer ≥ 0, or {shape} of them", shape=shape[axis]),
            got=f"{repeats!r:.80}",
        )
    indices = np.repeat(np.arange(int(shape[axis])), counts.reshape(-1))
    _check_count(output_size, indices.size)
    return indexed(x, key_along(axis, value_of(indices)))


def _check_count(given: int | None, count: Dim) -> None:
    if given is not None and given != count:
        raise ArgumentError(
            _("output_size is how many elements come of the repetition."),
            expected=str(count),
            got=f"{given!r:.40}",
        )


#: What is put around the elements of an axis.
PadMode = Literal["constant", "reflect", "replicate", "circular"]
#: The index of the element that a padding of n elements shows at position p.
_MODES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda p, n: n - 1 - np.abs(n - 1 - np.abs(p)),
    "replicate": lambda p, n: np.clip(p, 0, n - 1),
    "circular": lambda p, n: p % n,
}


@op(method=False)
def pad(
    x: Value,
    pad: Any,
    mode: PadMode = "constant",
    value: float | None = None,
) -> Value:
    """Pad a tensor around its elements, as PyTorch's ``pad``.

    Args:
        x: of any shape.
        pad: how many before and behind the last axis, then the one before it, …;
            negative numbers cut off.
        mode: ``"constant"``, or what continues the elements of an axis: ``"reflect"``
            (mirrored at the last one, which comes once), ``"replicate"`` (the last
            one), ``"circular"`` (from the other end).
        value: the constant; 0 by default.

    Raises:
        ShapeError: more elements than an axis has to continue it; nothing that is left.

    >>> import chainrule as cr
    >>> cr.pad(cr.tensor([1.0, 2.0]), (1, 2))
    tensor([0., 1., 2., 0., 0.])
    >>> cr.pad(cr.tensor([1, 2, 3]), (2, 1), mode="reflect")
    tensor([3, 2, 1, 2, 3, 2])
    """
    counts = list(pad) if isinstance(pad, tuple | list) else [pad]
    rule = _("pad takes two numbers an axis, from the last on.")
    if any(isinstance(n, tuple | list) for n in counts):
        raise ArgumentError(
            rule,
            expected=_("numbers one behind the other"),
            got=f"{pad!r:.60}",
            fix=_("for NumPy's ((a, b), (c, d)) of two axes: (c, d, a, b)"),
        )
    counts = [whole("pad", n) for n in counts]
    rank = len(x.shape)
    if len(counts) % 2 or len(counts) > 2 * rank:
        raise ArgumentError(
            rule,
            expected=_("an even number of at most {shape}", shape=2 * rank),
            got=f"{pad}",
        )
    choice("constant", *_MODES)("mode", mode)
    if mode != "constant" and value:
        raise ArgumentError(
            _("pad puts a value around its elements with mode='constant' alone."),
            expected=_("value=None"),
            got=f"value={value!r:.40}, mode={mode!r}",
        )
    for i in range(len(counts) // 2):
        axis, (low, high) = rank - 1 - i, counts[2 * i : 2 * i + 2]
        if low or high:
            x = _padded(x, axis, low, high, mode, value or 0.0)
    return x


def _padded(x: Value, axis: int, low: int, high: int, mode: str, value: float) -> Value:
    """Pad a tensor's axis by a constant, or by its own elements."""
    if mode == "circular" and min(low, high) < 0:  # what is left goes round
        x = _padded(x, axis, min(low, 0), min(high, 0), "constant", 0.0)
        low, high = max(low, 0), max(high, 0)
    n = x.shape[axis]
    if isinstance(n, int):
        needed = {"reflect": max(low, high) + 1, "circular": max(low, high)}.get(
            mode, 0
        )
        needed = max(
            needed, 1 - min(low, 0) - min(high, 0) if mode != "constant" else 0
        )
        if n < needed or n + low + high < 0:
            raise ShapeError(
                _("pad needs more elements along axis {axis}.", axis=axis),
                expected=_("at least {n}", n=max(needed, -low - high)),
                got=show(x.shape),
                fix=_("less padding, or mode='constant'"),
            )
    if mode != "constant":
        places = _MODES[mode](np.arange(-low, fixed_size(x, axis) + high), int(n))
        return indexed(x, key_along(axis, value_of(places)))
    if min(low, high) < 0:
        x = cut(x, axis, max(-low, 0), fixed_size(x, axis) - max(-high, 0))
    for count, behind in ((low, False), (high, True)):
        if count > 0:
            sizes = (*x.shape[:axis], count, *x.shape[axis + 1 :])
            edge = full(value, x.dtype, sizes)
            parts = [x, edge] if behind else [edge, x]
            x = movement.concatenate(*parts, axis=axis)
    return x
