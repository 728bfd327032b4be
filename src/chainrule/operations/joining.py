"""Tensor functions that join, split, repeat and pad tensors.

Pieces are views of the tensor that they are cut from, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Array, Value
from chainrule.graph.types import Dim, SymbolicDim
from chainrule.operations.arguments import axis_of, numbers_of, shape_of, whole
from chainrule.operations.indexing import indexed, narrowed
from chainrule.operations.op import Viewed, op
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
    reshaped,
    squeezed,
    with_ones,
)
from chainrule.operations.views import INDEX, NARROW, item, key_along
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


@op(method=False)
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


# -- pieces ---------------------------------------------------------------------------


def _pieces(x: Value, lengths: Sequence[int], axis: int) -> tuple[Viewed, ...]:
    """Return views of a tensor: consecutive pieces of given lengths along an axis."""
    pieces: list[Viewed] = []
    start = 0
    for length in lengths:
        end = start + length
        key = key_along(axis, slice(start, end))
        pieces.append(Viewed(cut(x, axis, start, end), INDEX, (key,)))
        start = end
    return tuple(pieces)


@op
def split(x: Value, lengths: int | Sequence[int], dim: int = 0) -> tuple[Viewed, ...]:
    """Split a tensor along ``dim`` into pieces of one given length, or of several.

    The last piece may be shorter. As in PyTorch, an integer is a piece's length;
    ``chunk`` takes their number.
    """
    axis = axis_of(x.shape, dim)
    size = _fixed_size(x, axis)
    if isinstance(lengths, int):
        if lengths < 1:
            raise ArgumentError(
                _("Pieces have a length."), expected=_("at least 1"), got=str(lengths)
            )
        lengths = [min(lengths, size - at) for at in range(0, size, lengths)] or [0]
    rule = _("Pieces have a length, or a length each.")
    many = shape_of(tuple(lengths) if isinstance(lengths, list) else lengths, rule)
    if sum(many) != size or min(many, default=0) < 0:
        raise ShapeError(
            _("The pieces must make up the axis."),
            expected=_("lengths ≥ 0 that add up to {size}", size=size),
            got=f"{list(many)}"[:80],
        )
    return _pieces(x, many, axis)  # type: ignore[arg-type]


def _fixed_size(x: Value, axis: int) -> int:
    size = x.shape[axis]
    if isinstance(size, SymbolicDim):
        raise ShapeError(
            _(
                "The axis of {size} is not cut: its length is known only at the run.",
                size=size,
            ),
            expected=_("an axis of fixed length"),
            got=_("dim={dim} of shape {shape}", dim=axis, shape=show(x.shape)),
            fix=_("cut another axis, or trace with fixed shapes"),
        )
    return size


@op
def chunk(x: Value, chunks: int, dim: int = 0) -> tuple[Viewed, ...]:
    """Split a tensor along ``dim`` into ``chunks`` pieces; the last may be shorter."""
    axis = axis_of(x.shape, dim)
    if not isinstance(chunks, int) or chunks < 1:
        raise ArgumentError(
            _("Chunks are counted."), expected=_("at least 1"), got=f"{chunks!r:.40}"
        )
    return split(x, max(-(-_fixed_size(x, axis) // chunks), 1), axis)


@op("unstack")
def unbind(x: Value, dim: int = 0) -> tuple[Viewed, ...]:
    """Return the slices of a tensor along ``dim`` as tensors without that axis."""
    axis = axis_of(x.shape, dim)
    size = _fixed_size(x, axis)
    return tuple(
        Viewed(squeezed(cut(x, axis, i, i + 1), axis), INDEX, (key_along(axis, i),))
        for i in range(size)
    )


@op
def narrow(x: Value, dim: int, start: Any, length: int) -> Viewed:
    """Return ``length`` elements of x along ``dim`` from ``start``, maybe a tensor."""
    axis, first = axis_of(x.shape, dim), value_of(start)
    size, (block,) = x.shape[axis], shape_of(length, _("A block has a length."))
    length = int(block)
    known = first.array if first.dtype.is_integer and not first.shape else None
    if known is not None and isinstance(size, int):
        begin = int(known) + size * (int(known) < 0)
        if 0 <= begin <= size - length:
            key = key_along(axis, slice(begin, begin + length))
            return Viewed(indexed(x, key), INDEX, (key,))
    result = narrowed(x, axis, first, length)
    return Viewed(result, NARROW, (axis, first, length))


@op(public=False)
def select(x: Value, dim: int, index: Any) -> Any:
    """Return the slice of a tensor at ``index`` along ``dim``, without that axis."""
    return item(x, key_along(axis_of(x.shape, dim), index))


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
def repeat_interleave(x: Value, repeats: Any, dim: int | None = None) -> Value:
    """Repeat each element of a tensor in a row; one number, or one per element.

    >>> import chainrule as cr
    >>> cr.tensor([1, 2]).repeat_interleave(2)
    tensor([1, 1, 2, 2])
    >>> cr.tensor([1, 2]).repeat_interleave([2, 0])
    tensor([1, 1])
    """
    if dim is None:
        x, dim = reshaped(x, (-1,)), 0
    axis = axis_of(x.shape, dim)
    shape = x.shape
    if isinstance(repeats, int):
        times = whole("repeats", repeats, least=0)
        apart = reshaped(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
        wide = broadcast_to(apart, (*shape[: axis + 1], times, *shape[axis + 1 :]))
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
    return indexed(x, key_along(axis, value_of(indices)))


#: The index of the element that a padding of n elements shows at position p.
_MODES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda p, n: n - 1 - np.abs(n - 1 - np.abs(p)),
    "replicate": lambda p, n: np.clip(p, 0, n - 1),
    "circular": lambda p, n: p % n,
}


@op(method=False)
def pad(
    x: Value, pad: Any, mode: str = "constant", value: float | None = None
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
        places = _MODES[mode](np.arange(-low, _fixed_size(x, axis) + high), int(n))
        return indexed(x, key_along(axis, value_of(places)))
    if min(low, high) < 0:
        x = cut(x, axis, max(-low, 0), _fixed_size(x, axis) - max(-high, 0))
    for count, behind in ((low, False), (high, True)):
        if count > 0:
            sizes = (*x.shape[:axis], count, *x.shape[axis + 1 :])
            edge = full(value, x.dtype, sizes)
            parts = [x, edge] if behind else [edge, x]
            x = movement.concatenate(*parts, axis=axis)
    return x
