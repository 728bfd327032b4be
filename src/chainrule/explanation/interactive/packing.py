"""Arrays as JSON: short ones as lists, long ones as base64 of the smallest type."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from chainrule.graph.node import Array

#: An array of up to so many numbers is a list that can be read.
LISTED = 32
#: Types that JavaScript has arrays of, the smallest first.
TYPES = ("i1", "i2", "i4", "f4", "f8")


def packed(array: Array) -> Any:
    """Return the numbers of an array, flat, as JSON data from which they are exact.

    Equal ones are that number and how many; NaN and infinity stand in base64 alone.

    >>> packed(np.array([0.5, 2.0]))
    [0.5, 2.0]
    >>> packed(np.ones((20, 20)))
    {'all': 1.0, 'size': 400}
    >>> packed(np.arange(1000))["type"]
    'i2'
    """
    flat = np.asarray(array).reshape(-1)
    flat = flat.astype(np.float64) if flat.dtype.kind == "f" else flat
    known = bool(np.isfinite(flat).all())
    if known and flat.size <= LISTED:
        return [_plain(v) for v in flat.tolist()]
    if known and (flat == flat[0]).all() and not _negative_zeros(flat):
        return {"all": flat[0].item(), "size": flat.size}
    for kind in TYPES:
        with np.errstate(all="ignore"):
            small = flat.astype("<" + kind)
        again = small.astype(flat.dtype)
        signed = kind.startswith("f") or not _negative_zeros(flat)
        if signed and np.array_equal(again, flat, equal_nan=flat.dtype.kind == "f"):
            text = base64.b64encode(small.tobytes()).decode("ascii")
            return {"type": kind, "base64": text}
    raise OverflowError(f"{flat.dtype}")


def _plain(number: Any) -> Any:
    return int(number) if isinstance(number, bool) else number


def _negative_zeros(flat: Array) -> bool:
    return flat.dtype.kind == "f" and bool(np.signbit(flat[flat == 0]).any())


def places(index: Array, shape: tuple[int, ...]) -> Any:
    """Return places in memory, one for each element of a shape, as JSON data.

    Where a step along an axis is always the same distance in memory, as in a
    transposition, a slice or a repetition, these are ``start`` and ``steps``.

    >>> places(np.array([0, 2, 1, 3]), (2, 2))
    {'start': 0, 'steps': [1, 2]}
    """
    if not index.size:
        return {"start": 0, "steps": [0] * len(shape)}
    grid = index.reshape(shape)
    start = int(grid.flat[0])
    steps = [
        int(grid[tuple(int(i == axis) for i in range(len(shape)))]) - start
        if length > 1
        else 0
        for axis, length in enumerate(shape)
    ]
    regular = np.full(shape, start)
    for axis, (step, length) in enumerate(zip(steps, shape)):
        along = [1] * len(shape)
        along[axis] = length
        regular = regular + step * np.arange(length).reshape(along)
    if start >= 0 and np.array_equal(regular, grid):
        return {"start": start, "steps": steps}
    return packed(index)
