"""Operators that pick, place, sort and find elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.interop.onnx.reader.operators.elementwise import as_constant
from chainrule.interop.onnx.reader.symbolic import Array, plain
from chainrule.interop.onnx.reader.table import (
    Known,
    axis_of,
    in_trace,
    known,
    operator,
)
from chainrule.tensor import Tensor, tensor
from chainrule.text import _


def _picked(x: Array, indices: Array, *, axis: int = 0) -> Array:
    axis, at = axis_of(axis, x.ndim), indices.astype(np.int64)
    shape = (*x.shape[:axis], *at.shape, *x.shape[axis + 1 :])
    return plain(np.take(x, at.reshape(-1), axis).reshape(shape))


@operator("Gather", since=1, symbolic=_picked)
def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    axis = axis_of(axis, x.ndim)
    flat = fn.take(x, fn.reshape(indices, (-1,)), dim=axis)
    shape = tuple(x.shape)
    return fn.reshape(flat, (*shape[:axis], *indices.shape, *shape[axis + 1 :]))


@operator("GatherElements", since=11)
def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    return fn.gather(x, axis_of(axis, x.ndim), indices)


def _coordinates(x: Tensor, indices: Tensor, batch: int = 0) -> tuple[Any, ...]:
    """Return an index for each axis of a tensor, from the last axis of ``indices``."""
    if indices.ndim <= batch or not 0 < indices.shape[-1] <= x.ndim - batch:
        raise ShapeError(
            _("The last axis of the indices has one for each axis that it picks from."),
            expected=f"1 … {x.ndim - batch}",
            got=str(tuple(indices.shape)),
        )
    rest = indices.ndim - 1 - batch
    own = tuple(
        as_constant(
            np.arange(x.shape[a]).reshape(
                [-1 if b == a else 1 for b in range(batch + rest)]
            ),
            indices,
        )
        for a in range(batch)
    )
    return (*own, *fn.unbind(indices, -1))


@operator("GatherND", since=11)
def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    return x[_coordinates(x, indices, batch_dims)]


#: What the standard calls a reduction → ours.
_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements", "Scatter", since=9)
def scatter_elements(
    x: Tensor,
    indices: Tensor,
    updates: Tensor,
    *,
    axis: int = 0,
    reduction: str = "none",
) -> Tensor:
    axis, indices = axis_of(axis, x.ndim), indices.astype("int64")
    indices = fn.where(indices < 0, indices + x.shape[axis], indices)
    if reduction == "none":
        return fn.scatter(x, axis, indices, updates)
    how: Any = _REDUCE[reduction]
    return fn.scatter_reduce(x, axis, indices, updates, how)


@operator("ScatterND", since=11)
def scatter_nd(
    x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none"
) -> Tensor:
    at = _coordinates(x, indices)
    if reduction in ("none", "add"):
        return fn.index_put(x, at, updates, reduction == "add")
    depth, shape = indices.shape[-1], tuple(x.shape)
    index = fn.zeros_like(at[0])
    for i, part in enumerate(at):
        index = index * shape[i] + fn.where(part < 0, part + shape[i], part)
    inner = int(np.prod(shape[depth:], dtype=np.int64))
    rows = fn.reshape(x, (-1, inner))
    how: Any = _REDUCE[reduction]
    result = fn.index_reduce(
        rows, 0, fn.reshape(index, (-1,)), fn.reshape(updates, (-1, inner)), how
    )
    return fn.reshape(result, shape)


@operator("TensorScatter", since=24)
def tensor_scatter(
    cache: Tensor,
    update: Tensor,
    write: Tensor | None = None,
    *,
    axis: int = -2,
    mode: str = "linear",
) -> Tensor:
    """Write a piece of a sequence into a cache, at an index for each of the batch."""
    axis = axis_of(axis, cache.ndim)
    length = update.shape[axis]
    shape = [1] * cache.ndim
    shape[axis] = length
    at = tensor(np.arange(length, dtype=np.int64).reshape(shape))
    if write is not None:
        at = at + fn.reshape(write.astype("int64"), (-1, *[1] * (cache.ndim - 1)))
    if mode == "circular":
        at = at % cache.shape[axis]
    return fn.scatter(cache, axis, fn.broadcast_to(at, tuple(update.shape)), update)


@operator("OneHot", since=9)
def one_hot(indices: Tensor, depth: Known, values: Tensor, *, axis: int = -1) -> Tensor:
    """values[1] at the index, values[0] elsewhere; an index outside has none."""
    n = int(depth.reshape(-1)[0])
    axis = axis_of(axis, indices.ndim + 1)
    shape = [1] * (indices.ndim + 1)
    shape[axis] = n
    index = fn.unsqueeze(indices, axis)
    index = fn.where(index < 0, index + n, index)
    at = as_constant(np.arange(n).reshape(shape), index) == index
    return fn.where(at, values[1], values[0])


@operator("Compress", since=9)
def compress(x: Tensor, condition: Known, *, axis: int | None = None) -> Tensor:
    if axis is None:
        x, axis = fn.reshape(x, (-1,)), 0
    (at,) = np.nonzero(condition.astype(bool))
    return fn.take(x, tensor(at.astype(np.int64)), dim=axis_of(axis, x.ndim))


@operator("NonZero", since=9)
def non_zero(x: Tensor) -> Tensor:
    return fn.t(fn.nonzero(x))


@operator("TopK", since=11)
def top_k(
    x: Tensor, k: Known, *, axis: int = -1, largest: int = 1, sorted: int = 1
) -> Sequence[Tensor]:
    return _top_k(x, int(k.reshape(())), axis, bool(largest))


@operator("TopK", since=10)
def top_k_10(x: Tensor, k: Known, *, axis: int = -1) -> Sequence[Tensor]:
    return _top_k(x, int(k.reshape(())), axis, True)


@operator("TopK", since=1)
def top_k_1(x: Tensor, *, k: int, axis: int = -1) -> Sequence[Tensor]:
    return _top_k(x, k, axis, True)


def _top_k(x: Tensor, k: int, axis: int, largest: bool) -> Sequence[Tensor]:
    """The k largest or smallest; of equals the one with the lower index first."""
    axis = axis_of(axis, x.ndim)
    if not 0 <= k <= x.shape[axis]:
        raise ArgumentError(
            _("TopK takes no more than there are."),
            expected=f"0 … {x.shape[axis]}",
            got=str(k),
        )
    ordered = fn.sort(x, dim=axis, descending=largest)
    first: list[slice] = [slice(None)] * x.ndim
    first[axis] = slice(0, k)
    return ordered.values[tuple(first)], ordered.indices[tuple(first)]


@operator("Unique", since=11)
def unique(
    x: Tensor, *, axis: int | None = None, sorted: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values, the index of each one's first place, of each place its value; counts."""
    array = known(x)
    values, first, inverse, counts = np.unique(
        array.reshape(-1) if axis is None else array,
        return_index=True,
        return_inverse=True,
        return_counts=True,
        axis=0 if axis is None else axis_of(axis, x.ndim),
    )
    if not sorted:
        order = np.argsort(first, kind="stable")
        rank = np.argsort(order, kind="stable")
        values = np.take(values, order, 0 if axis is None else axis)
        first, counts, inverse = first[order], counts[order], rank[inverse.reshape(-1)]
    parts = (values, first, inverse.reshape(-1), counts)
    new = [tensor(np.ascontiguousarray(part)) for part in parts]
    first_at, of_each, times = (part.astype("int64") for part in new[1:])
    return new[0], first_at, of_each, times


@operator("NonMaxSuppression", since=10)
def non_max_suppression(
    boxes: Any,
    scores: Any,
    most: Known | None = None,
    overlap: Known | None = None,
    least: Known | None = None,
    *,
    center_point_box: int = 0,
) -> Tensor:
    """The boxes of each class that no better one overlaps: (batch, class, box)."""
    box, score = np.asarray(known(boxes), np.float64), known(scores)
    limit = int(most.reshape(-1)[0]) if most is not None and most.size else 0
    share = (
        float(overlap.reshape(-1)[0]) if overlap is not None and overlap.size else 0.0
    )
    floor = float(least.reshape(-1)[0]) if least is not None and least.size else -np.inf
    if center_point_box:
        middle, size = box[..., :2], box[..., 2:]
        low, high = middle - size / 2, middle + size / 2
    else:
        low = np.minimum(box[..., :2], box[..., 2:])
        high = np.maximum(box[..., :2], box[..., 2:])
    rows = []
    for n, c in np.ndindex(score.shape[:2]):
        order = np.argsort(-score[n, c], kind="stable")
        left = [i for i in order if score[n, c, i] > floor]
        kept: list[int] = []
        while left and len(kept) < limit:
            best, *left = left
            kept.append(best)
            left = [i for i in left if _overlap(low[n], high[n], best, i) <= share]
        rows += [(n, c, i) for i in kept]
    return tensor(np.array(rows, np.int64).reshape(-1, 3))


def _overlap(low: Array, high: Array, i: int, j: int) -> float:
    """Return the intersection of two boxes over their union."""
    sides = np.minimum(high[i], high[j]) - np.maximum(low[i], low[j])
    common = float(np.prod(np.maximum(sides, 0)))
    union = float(np.prod(high[i] - low[i]) + np.prod(high[j] - low[j])) - common
    return common / union if union > 0 else 0.0


__all__ = ["gather", "in_trace"]
