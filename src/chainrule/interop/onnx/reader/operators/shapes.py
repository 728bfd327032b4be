"""Operators on shapes: what moves, repeats, cuts and joins, and asks for sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.types import SymbolicDim, size_of
from chainrule.interop.onnx.reader.graph import Node
from chainrule.interop.onnx.reader.operators.elementwise import as_constant
from chainrule.interop.onnx.reader.operators.types import dtype_of
from chainrule.interop.onnx.reader.symbolic import Array, plain, shape_array
from chainrule.interop.onnx.reader.table import Known, Sizes, axis_of, operator, sizes
from chainrule.tensor import Tensor
from chainrule.text import _


def axes_of(axes: Any, rank: int) -> tuple[int, ...]:
    """Return axes, which may count from the end, as different ones from the front."""
    result = tuple(axis_of(int(a), rank) for a in np.reshape(axes, -1))
    if len(set(result)) < len(result):
        raise ArgumentError(
            _("An axis is named twice."), expected=_("each once"), got=str(result)
        )
    return result


# -- sizes -----------------------------------------------------------------------------


@operator("Shape", folds=False)
def shape(x: Any, *, start: int = 0, end: int | None = None) -> Array:
    return shape_array(tuple(x.shape)[start:end])


@operator("Size", folds=False)
def size(x: Any) -> Array:
    return shape_array((size_of(tuple(x.shape)),)).reshape(())


@operator("ConstantOfShape", since=9)
def constant_of_shape(shape: Sizes, *, value: Known | None = None) -> Tensor:
    number = np.zeros(1, np.float32) if value is None else value
    return fn.full(shape, number.reshape(-1)[0], dtype=number.dtype)


@operator("Range", since=11)
def range_(start: Known, limit: Known, delta: Known) -> Tensor:
    first, last, step = (np.asarray(v).reshape(()) for v in (start, limit, delta))
    return fn.arange(first.item(), last.item(), step.item(), dtype=first.dtype)


@operator("EyeLike", since=9)
def eye_like(x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    rows, columns = x.shape
    kind = x.dtype if dtype is None else dtype_of(dtype)
    return fn.eye(rows, columns, k=k, dtype=kind)


# -- reshaping -------------------------------------------------------------------------


def _reshaped(array: Array, shape: Array, *, allowzero: int = 0) -> Array:
    wanted = [
        array.shape[i] if d == 0 and not allowzero else d for i, d in enumerate(shape)
    ]
    return array.reshape([int(d) for d in wanted])


@operator("Reshape", since=5, symbolic=_reshaped)
def reshape(x: Tensor, shape: Sizes, *, allowzero: int = 0) -> Tensor:
    """A size of 0 is that of the input, unless ``allowzero``."""
    wanted = list(shape)
    for i, d in enumerate(wanted):
        if isinstance(d, int) and d == 0 and not allowzero:
            wanted[i] = x.shape[i]
    return fn.reshape(x, tuple(wanted))


@operator("Flatten", since=1)
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    axis = axis + x.ndim if axis < 0 else axis
    rows, columns = size_of(tuple(x.shape[:axis])), size_of(tuple(x.shape[axis:]))
    return fn.reshape(x, (rows, columns))


def _squeezed(array: Array, axes: Known | None = None) -> Array:
    return array.squeeze(None if axes is None else axes_of(axes, array.ndim))


def _unsqueezed(array: Array, axes: Known) -> Array:
    return np.expand_dims(array, axes_of(axes, array.ndim + np.size(axes)))


@operator("Squeeze", since=13, symbolic=_squeezed)
def squeeze(x: Tensor, axes: Known | None = None) -> Tensor:
    if axes is None:
        return fn.squeeze(x)
    where = axes_of(axes, x.ndim)
    if any(isinstance(x.shape[a], int) and x.shape[a] != 1 for a in where):
        raise ShapeError(
            _("Squeeze takes axes of size 1 out."),
            expected="1",
            got=str(tuple(x.shape)),
        )
    return fn.squeeze(x, where)


@operator("Squeeze", since=1, symbolic=lambda x, *, axes=None: _squeezed(x, axes))
def squeeze_1(x: Tensor, *, axes: tuple[int, ...] | None = None) -> Tensor:
    return squeeze(x, None if axes is None else np.array(axes))


@operator("Unsqueeze", since=13, symbolic=_unsqueezed)
def unsqueeze(x: Tensor, axes: Known) -> Tensor:
    for axis in sorted(axes_of(axes, x.ndim + axes.size)):
        x = fn.unsqueeze(x, axis)
    return x


@operator("Unsqueeze", since=1, symbolic=lambda x, *, axes: _unsqueezed(x, axes))
def unsqueeze_1(x: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    return unsqueeze(x, np.array(axes))


@operator("Transpose")
def transpose(x: Tensor, *, perm: tuple[int, ...] | None = None) -> Tensor:
    return fn.permute(x, tuple(range(x.ndim))[::-1] if perm is None else perm)


@operator("Expand", since=8)
def expand(x: Tensor, shape: Sizes) -> Tensor:
    """Sizes of 1 on either side are those of the other."""
    rank = max(x.ndim, len(shape))
    own = (1,) * (rank - x.ndim) + tuple(x.shape)
    wanted = (1,) * (rank - len(shape)) + tuple(shape)
    both = tuple(a if isinstance(b, int) and b == 1 else b for a, b in zip(own, wanted))
    return fn.broadcast_to(x, both)


# -- pieces ----------------------------------------------------------------------------


def _joined(*arrays: Array, axis: int) -> Array:
    return plain(np.concatenate([a.astype(object) for a in arrays], axis))


@operator("Concat", since=4, one_dtype=True, symbolic=_joined)
def concat(*xs: Tensor, axis: int) -> Tensor:
    return fn.concat(xs, dim=axis_of(axis, xs[0].ndim))


@operator("Split", since=18)
def split_18(
    x: Tensor,
    split: Known | None = None,
    *,
    axis: int = 0,
    num_outputs: int | None = None,
) -> tuple[Tensor, ...]:
    return _split(x, split, axis, num_outputs, 0)


@operator("Split", since=13)
def split_13(
    x: Tensor, split: Known | None = None, *, axis: int = 0, node: Node
) -> tuple[Tensor, ...]:
    return _split(x, split, axis, None, len(node.outputs))


@operator("Split", since=2)
def split_2(
    x: Tensor, *, axis: int = 0, split: tuple[int, ...] | None = None, node: Node
) -> tuple[Tensor, ...]:
    return _split(x, split, axis, None, len(node.outputs))


def _split(
    x: Tensor, lengths: Any, axis: int, parts: int | None, outputs: int
) -> tuple[Tensor, ...]:
    """Return parts of given lengths, or of equal ones but for the last."""
    axis = axis_of(axis, x.ndim)
    total = x.shape[axis]
    if lengths is None:
        count = parts or outputs
        if not 0 < count <= 65536:
            raise ArgumentError(
                _("Split makes parts."), expected=_("at least one"), got=str(count)
            )
        if isinstance(total, SymbolicDim):
            lengths = [total // count] * count
        else:
            one = -(-total // count)
            lengths = [max(0, min(one, total - one * i)) for i in range(count)]
    return fn.split(x, [int(n) for n in lengths], dim=axis)


def _sliced(
    x: Array, starts: Any, ends: Any, axes: Any = None, steps: Any = None
) -> Array:
    return plain(x[_slices(x.shape, starts, ends, axes, steps)])


def _slices(
    shape: Any, starts: Any, ends: Any, axes: Any, steps: Any
) -> tuple[slice, ...]:
    """Return a slice for each axis; ends beyond it are its end."""
    which = range(len(starts)) if axes is None else axes_of(axes, len(shape))
    every = [1] * len(starts) if steps is None else [int(s) for s in steps]
    if not len(starts) == len(ends) == len(which) == len(every):
        raise ShapeError(
            _("Slice has a start, an end, an axis and a step for each."),
            expected=str(len(starts)),
            got=f"{len(ends)}, {len(which)}, {len(every)}",
        )
    result = [slice(None)] * len(shape)
    for first, last, axis, step in zip(starts, ends, which, every):
        total = shape[axis]
        if step < 0 and isinstance(last, int):
            n = int(total)
            last = None if last < -n else last  # before the first element
        if isinstance(last, int) and last >= 2**31 - 1 and step > 0:
            last = None
        result[axis] = _slice(first, last, step, total)
    return tuple(result)


def _slice(first: Any, last: Any, step: int, total: Any) -> slice:
    """Return a slice; a named size that is taken whole needs no number."""
    if isinstance(total, SymbolicDim) and step == 1:
        whole = isinstance(last, SymbolicDim) and last == total
        if isinstance(first, int) and first == 0 and (last is None or whole):
            return slice(None)
    return slice(first, last, step)


@operator("Slice", since=10, symbolic=_sliced)
def slice_10(
    x: Tensor,
    starts: Sizes,
    ends: Sizes,
    axes: Known | None = None,
    steps: Known | None = None,
) -> Tensor:
    return x[_slices(tuple(x.shape), starts, ends, axes, steps)]


@operator(
    "Slice",
    since=1,
    symbolic=lambda x, *, starts, ends, axes=None: _sliced(x, starts, ends, axes),
)
def slice_1(
    x: Tensor,
    *,
    starts: tuple[int, ...],
    ends: tuple[int, ...],
    axes: tuple[int, ...] | None = None,
) -> Tensor:
    return x[_slices(tuple(x.shape), starts, ends, axes, None)]


@operator("Tile", since=6)
def tile(x: Tensor, repeats: Sizes) -> Tensor:
    if len(repeats) != x.ndim:
        raise ShapeError(
            _("Tile has a number for each axis."),
            expected=str(x.ndim),
            got=str(len(repeats)),
        )
    return fn.tile(x, repeats)


@operator("Trilu", since=14)
def trilu(x: Tensor, k: Known | None = None, *, upper: int = 1) -> Tensor:
    diagonal = 0 if k is None else int(k.reshape(()))
    return fn.triu(x, diagonal) if upper else fn.tril(x, diagonal)


# -- padding ---------------------------------------------------------------------------

MODES = {
    "constant": "constant",
    "reflect": "reflect",
    "edge": "replicate",
    "wrap": "circular",
}


def padded(x: Tensor, pads: Any, mode: str = "constant", value: Any = None) -> Tensor:
    """Return a tensor with elements added, or taken away, at both ends of its axes.

    Args:
        x: the tensor.
        pads: what begins each axis, then what ends each.
        mode: the standard's word.
        value: what is added; 0 by default.
    """
    pads = [int(p) for p in pads]
    if len(pads) != 2 * x.ndim or mode not in MODES:
        raise ShapeError(
            _("Pad has a beginning and an end for each axis, and a mode."),
            expected=f"{2 * x.ndim}, {', '.join(MODES)}",
            got=f"{len(pads)}, {mode!r:.40}",
        )
    if not any(pads):
        return x
    begins, ends = pads[: x.ndim], pads[x.ndim :]
    if mode == "constant" and isinstance(value, Tensor):
        inside = fn.pad(fn.ones_like(x, dtype="bool"), _reversed(begins, ends))
        return fn.where(inside, fn.pad(x, _reversed(begins, ends)), value)
    if mode == "constant":
        return fn.pad(x, _reversed(begins, ends), value=0 if value is None else value)
    how: Any = MODES[mode]
    for axis, (begin, end) in enumerate(zip(begins, ends)):
        if begin or end:
            x = fn.movedim(x, axis, -1)
            x = fn.pad(x, (begin, end), mode=how)
            x = fn.movedim(x, -1, axis)
    return x


def _reversed(begins: list[int], ends: list[int]) -> tuple[int, ...]:
    """Return pads as ours: from the last axis, a beginning and an end each."""
    return tuple(p for pair in zip(begins[::-1], ends[::-1]) for p in pair)


@operator("Pad", since=11, states=(2,))
def pad(
    x: Tensor,
    pads: Known,
    value: Any = None,
    axes: Known | None = None,
    *,
    mode: str = "constant",
) -> Tensor:
    every = [0] * (2 * x.ndim)
    which = range(x.ndim) if axes is None else axes_of(axes, x.ndim)
    if pads.size != 2 * len(which):
        raise ShapeError(
            _("Pad has a beginning and an end for each axis, and a mode."),
            expected=str(2 * len(which)),
            got=str(pads.size),
        )
    for i, axis in enumerate(which):
        every[axis], every[x.ndim + axis] = pads[i], pads[len(which) + i]
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0].item() if value.size else None
    elif value is not None:
        value = fn.reshape(value, ())
    return padded(x, every, mode, value)


@operator("Pad", since=2)
def pad_2(
    x: Tensor, *, pads: tuple[int, ...], mode: str = "constant", value: float = 0.0
) -> Tensor:
    return padded(x, pads, mode, value)


@operator("CenterCropPad", since=18)
def center_crop_pad(
    x: Tensor, shape: Known, *, axes: tuple[int, ...] | None = None
) -> Tensor:
    which = range(x.ndim) if axes is None else axes_of(axes, x.ndim)
    pads = [0] * (2 * x.ndim)
    for axis, wanted in zip(which, shape.tolist()):
        more = wanted - x.shape[axis]
        first = more // 2 if more > 0 else -(-more // 2)
        pads[axis], pads[x.ndim + axis] = first, more - first
    return padded(x, pads)


# -- channels and space ----------------------------------------------------------------


@operator("DepthToSpace", since=1)
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    if mode == "DCR":
        parts = fn.reshape(x, (n, b, b, c // (b * b), h, w))
        parts = fn.permute(parts, (0, 3, 4, 1, 5, 2))
    else:
        parts = fn.reshape(x, (n, c // (b * b), b, b, h, w))
        parts = fn.permute(parts, (0, 1, 4, 2, 5, 3))
    return fn.reshape(parts, (n, c // (b * b), h * b, w * b))


@operator("SpaceToDepth", since=1)
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    parts = fn.reshape(x, (n, c, h // b, b, w // b, b))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return fn.reshape(fn.permute(parts, order), (n, c * b * b, h // b, w // b))


@operator("ReverseSequence", since=10)
def reverse_sequence(
    x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0
) -> Tensor:
    """The first ``lengths`` entries along time in reverse, for each of the batch."""
    x = fn.movedim(x, (time_axis, batch_axis), (0, 1))
    reverse = fn.movedim(reversed_rows(x, lengths), (0, 1), (time_axis, batch_axis))
    return reverse


def reversed_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """Return (T, N, …) with the first lengths[n] entries of each n in reverse."""
    steps = as_constant(np.arange(x.shape[0])[:, None], lengths)
    index = fn.where(steps < lengths, lengths - 1 - steps, steps).astype("int64")
    index = fn.reshape(index, (*index.shape, *[1] * (x.ndim - 2)))
    return fn.gather(x, 0, fn.broadcast_to(index, tuple(x.shape)))


__all__ = ["axes_of", "padded", "reversed_rows", "sizes"]
