"""Rows of primitives that move, repeat or make elements: shapes, slices, constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.graph.types import DType
from chainrule.interop.onnx.writer.emitter import Emitter, Ref
from chainrule.interop.onnx.writer.table import Call, row
from chainrule.primitives import creation
from chainrule.primitives import movement as p

#: Ranges up to so many numbers are written out.
_WRITTEN = 4096


@row(p.broadcast_to)
def of_broadcast_to(c: Call) -> Ref:
    return c.e.expand(c.x, c.attrs["shape"])


@row(p.reshape)
def of_reshape(c: Call) -> Ref:
    return c.e.reshape(c.x, c.attrs["shape"])


@row(p.transpose)
def of_transpose(c: Call) -> Ref:
    return c.e.transpose(c.x, c.attrs["axes"])


@row(p.slice_)
def of_slice(c: Call) -> Ref:
    whole = c.values[0].shape
    bounds = zip(*(c.attrs[k] for k in ("starts", "stops", "strides")))
    cuts = [
        (axis, *bound)
        for axis, (bound, dim) in enumerate(zip(bounds, whole))
        if bound != (0, dim, 1)
    ]
    return c.e.cut(c.x, *zip(*cuts)) if cuts else c.x


@row(p.flip)
def of_flip(c: Call) -> Ref:
    return flipped(c.e, c.x, c.attrs["axes"])


def flipped(e: Emitter, x: Ref, axes: Sequence[int]) -> Ref:
    """Return an array with the order of elements along axes reversed."""
    n, least = len(axes), np.iinfo(np.int64).min
    return e.cut(x, axes, [-1] * n, [least] * n, [-1] * n)


@row(p.pad)
def of_pad(c: Call) -> Ref:
    x, shape = c.x, c.values[0].shape
    low, high, interior = (c.attrs[k] for k in ("low", "high", "interior"))
    x = dilated(c.e, x, shape, dict(enumerate(interior)))
    return padded(c.e, x, low, high)


def padded(e: Emitter, x: Ref, low: Sequence[int], high: Sequence[int]) -> Ref:
    """Return an array with zeros around it; negative counts crop."""
    if any(n < 0 for n in (*low, *high)):
        axes = [i for i, ends in enumerate(zip(low, high)) if min(ends) < 0]
        starts = [max(-low[i], 0) for i in axes]
        ends = [min(high[i], 0) or np.iinfo(np.int64).max for i in axes]
        x = e.cut(x, axes, starts, ends)
        low, high = ([max(n, 0) for n in counts] for counts in (low, high))
    if not any((*low, *high)):
        return x
    return x.op("Pad", e.ints([*low, *high]))


def dilated(e: Emitter, x: Ref, shape: Sequence[object], gaps: dict[int, int]) -> Ref:
    """Return an array with zeros between the elements of axes, ``gaps`` of each.

    Each element becomes a row with the zeros behind it; those behind the last go.
    """
    lengths = list(shape)
    for axis, gap in gaps.items():
        length = lengths[axis]
        if not gap or not length:
            continue
        assert isinstance(length, int)
        none = [0] * (len(lengths) + 1)
        behind = [*none[: axis + 1], gap, *none[axis + 2 :]]
        x = padded(e, e.unsqueeze(x, axis + 1), none, behind)
        lengths[axis] = length * (gap + 1)
        x = e.reshape(x, tuple(lengths))  # type: ignore[arg-type]
        lengths[axis] = last = (length - 1) * (gap + 1) + 1
        x = e.cut(x, [axis], [0], [last])
    return x


@row(p.concatenate)
def of_concatenate(c: Call) -> Ref:
    return c.e.concat(c.inputs, c.attrs["axis"])


@row(p.copy)
def of_copy(c: Call) -> Ref:
    return c.x


# -- made from nothing -----------------------------------------------------------------


@row(creation.constant)
def of_constant(c: Call) -> Ref:
    value, shape, dtype = (c.attrs[k] for k in ("value", "shape", "dtype"))
    return c.e.constant(np.array(value, dtype.numpy).reshape(shape))


@row(creation.size)
def of_size(c: Call) -> Ref:
    dim, dtype = c.attrs["dim"], c.attrs["dtype"]
    if isinstance(dim, int):
        return c.e.scalar(dim, dtype)
    return c.e.squeeze(c.e.size(dim), 0).cast(dtype)


@row(creation.iota)
def of_iota(c: Call) -> Ref:
    shape, axis, dtype = (c.attrs[k] for k in ("shape", "axis", "dtype"))
    length = shape[axis]
    if isinstance(length, int) and length <= _WRITTEN:
        line = c.e.constant(np.arange(length).astype(dtype.numpy), "range")
    else:
        line = counted(c.e, c.e.squeeze(c.e.size(length), 0)).cast(dtype)
    if len(shape) == 1:
        return line
    ones = [1] * len(shape)
    ones[axis] = -1
    line = c.e.node("Reshape", [line, c.e.ints(ones)], [dtype])[0]
    return c.e.expand(line, shape)


def counted(e: Emitter, count: Ref) -> Ref:
    """Return 0, 1, 2, … as int64, ``count`` of them."""
    bounds = [e.scalar(0, DType.int64), count, e.scalar(1, DType.int64)]
    return e.node("Range", bounds, [DType.int64])[0]
