"""``tensor[key]``: NumPy's indexing, as slices, reshapes and rows by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.types import Dim, DType
from chainrule.primitives.indexing import take
from chainrule.primitives.movement import flip, slice_
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap


def index(t: Tensor, key: Any) -> Tensor:
    """The elements of ``t`` that ``key`` names.

    Integers, slices (any step), ``...``, ``None``, and one array of integers or
    booleans.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    keys = [_array_key(k) for k in keys]
    masks = sum(k.ndim for k in keys if isinstance(k, Tensor) and k.dtype is DType.bool)
    plain = [k for k in keys if k is not None and k is not Ellipsis]
    consumed = masks + sum(
        not (isinstance(k, Tensor) and k.dtype is DType.bool) for k in plain
    )
    if consumed > t.ndim or sum(k is Ellipsis for k in keys) > 1:
        raise ShapeError(
            "Too many indices.",
            expected=f"at most {t.ndim} for shape {show(t.shape)}, one '...'",
            got=str(consumed),
        )
    if Ellipsis not in [k for k in keys if not isinstance(k, Tensor)]:
        keys.append(Ellipsis)
    at = next(i for i, k in enumerate(keys) if k is Ellipsis)
    keys[at : at + 1] = [slice(None)] * (t.ndim - consumed)

    starts: list[int] = []
    stops: list[Dim] = []
    strides: list[int] = []
    flips: list[int] = []
    shape: list[Dim | None] = []  # None: the axis is dropped
    gather: tuple[int, Tensor] | None = None
    axis = 0
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        dim = t.shape[axis]
        if isinstance(k, Tensor):
            if gather is not None:
                raise ArgumentError(
                    "Indexing takes one array of indices.",
                    expected="one array; integers and slices beside it",
                    got="several",
                    fix="index twice, or flatten the axes first",
                )
            gather = (len([s for s in shape if s is not None]), k)
            # A mask stands for all the axes that it covers: they are taken whole here.
            covered = k.ndim if k.dtype is DType.bool else 1
            for size in t.shape[axis : axis + covered]:
                starts.append(0)
                stops.append(size)
                strides.append(1)
                shape.append(size)
            axis += covered
            continue
        if isinstance(k, slice) and k == slice(None):
            starts.append(0)
            stops.append(dim)
            strides.append(1)
            shape.append(dim)
        elif not isinstance(dim, int):
            raise ShapeError(
                "The batch axis N is taken whole, or by an array of indices.",
                expected=":",
                got=str(k),
            )
        elif isinstance(k, slice):
            start, stop, step = k.indices(dim)
            count = len(range(start, stop, step))
            if step < 0:
                flips.append(axis)
                start, step = start + (count - 1) * step if count else 0, -step
            starts.append(start)
            stops.append(start + (count - 1) * step + 1 if count else start)
            strides.append(step)
            shape.append(count)
        else:
            if not -dim <= k < dim:
                raise ShapeError(
                    "Index out of range.",
                    expected=f"−{dim} … {dim - 1} on axis {axis}",
                    got=str(k),
                )
            starts.append(k % dim)
            stops.append(k % dim + 1)
            strides.append(1)
            shape.append(None)
        axis += 1
    value = t.value
    whole = all(
        a == 0 and b == d and s == 1
        for a, b, d, s in zip(starts, stops, t.shape, strides)
    )
    if not whole:
        value = slice_(
            value, starts=tuple(starts), stops=tuple(stops), strides=tuple(strides)
        )
    if flips:
        value = flip(value, axes=tuple(flips))
    made = wrap(value)
    kept = tuple(d for d in shape if d is not None)
    if made.shape != kept:
        made = made.reshape(*kept)
    return made if gather is None else _gather(made, *gather)


def _array_key(k: Any) -> Any:
    if k is None or k is Ellipsis or isinstance(k, slice):
        return k
    if isinstance(k, int | np.integer) and not isinstance(k, bool):
        return int(k)
    made = as_tensor(k)
    if made.dtype is DType.bool and made.ndim == 0:
        raise ArgumentError(
            "A single truth value does not index.",
            expected="a mask with an axis, or an integer",
            got=repr(k),
        )
    if made.dtype is DType.bool or made.dtype.is_integer:
        return int(made) if made.ndim == 0 and made.dtype is not DType.bool else made
    raise ArgumentError(
        "Tensors are indexed by integers, slices, '...', None, integer or bool arrays.",
        expected="one of these",
        got=made.dtype.name,
    )


def _gather(t: Tensor, axis: int, key: Tensor) -> Tensor:
    """Rows by index along ``axis``; a mask is turned into indices."""
    if key.dtype is DType.bool:
        mask = key.numpy()
        if mask.shape != t.shape[axis : axis + mask.ndim]:
            raise ShapeError(
                "A mask must have the shape of the axes that it selects from.",
                expected=show(t.shape[axis : axis + mask.ndim]),
                got=show(mask.shape),
            )
        lead, rest = t.shape[:axis], t.shape[axis + mask.ndim :]
        t = t.reshape(*lead, mask.size, *rest)
        key = Tensor(np.flatnonzero(mask.ravel()))
    if key._value.array is not None:
        numbers = key.numpy().astype(np.int64)
        rows = t.shape[axis]
        if isinstance(rows, int):
            numbers = np.where(numbers < 0, numbers + rows, numbers)
        key = Tensor(numbers)
    if axis == 0:
        return wrap(take(t.value, key.value))
    order = (axis, *(i for i in range(t.ndim) if i != axis))
    made = wrap(take(t.permute(order).value, key.value))
    # Move the new axes from the front back to where the old one was.
    new = tuple(range(key.ndim))
    rest = tuple(range(key.ndim, made.ndim))
    return made.permute((*rest[:axis], *new, *rest[axis:]))
