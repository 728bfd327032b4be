"""Long sums of floats as NumPy computes them: sums of sums.

NumPy adds up pairwise where the terms are those of its innermost loop, neighbours in
memory as a rule, and one after the other elsewhere: the mean of a column of a million
numbers would have an error of 300 units in the last place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.graph.node import Array

#: Terms that are added up one after the other, at most.
CHAIN = 64


def added_up(x: Array, axes: tuple[int, ...], out: Array | None = None) -> Any:
    """Return the sums of an array along axes, in its dtype.

    Where a sum has more than ``CHAIN`` terms that NumPy would add up one after the
    other, it is one of sums of ``CHAIN`` terms, as often as that is so.

    Args:
        x: the array.
        axes: those to sum over.
        out: where the sums go.
    """
    if (
        x.size <= CHAIN
        or _at_once(x, axes)
        or x.dtype.kind != "f"
        or _pairwise(x, axes)
    ):
        add: Any = np.add.reduce
        return add(x, axes, x.dtype, out)
    kept = [n for a, n in enumerate(x.shape) if a not in axes]
    run = _run(x, axes)
    total = np.add.reduce(x, run, keepdims=True) if run else x
    for axis in sorted(set(axes) - set(run), key=lambda a: abs(x.strides[a])):
        total = _cascade(total, axis)
    total = total.reshape(kept)
    if out is None:
        return total if kept else total[()]
    np.copyto(out, total)
    return out


def _at_once(x: Array, axes: tuple[int, ...]) -> bool:
    """Return whether it is seen at a glance that NumPy's order is good."""
    if len(axes) == 1:
        (axis,) = axes
        if x.shape[axis] <= CHAIN:
            return True
        return axis == x.ndim - 1 and x.flags.c_contiguous
    return len(axes) == x.ndim and x.flags.c_contiguous


def _run(x: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes inside of all others in memory: NumPy adds them up pairwise."""
    order = sorted(
        (a for a, n in enumerate(x.shape) if n > 1), key=lambda a: abs(x.strides[a])
    )
    run: list[int] = []
    for axis in order:
        if axis not in axes:
            break
        run.append(axis)
    return tuple(run)


def _pairwise(x: Array, axes: tuple[int, ...]) -> bool:
    """Return whether NumPy's order is good: no chain, or none that is long."""
    run = _run(x, axes)
    chain = 1
    for axis in axes:
        chain *= 1 if axis in run else x.shape[axis]
    return chain <= CHAIN


def _cascade(x: Array, axis: int) -> Array:
    """Return the sums along an axis, which stays, with one element."""
    before, behind = x.shape[:axis], x.shape[axis + 1 :]
    at = (slice(None),) * axis
    while (n := x.shape[axis]) > CHAIN:
        whole = n // CHAIN
        done = whole * CHAIN
        parts = x[(*at, slice(done))].reshape(*before, whole, CHAIN, *behind)
        sums = np.add.reduce(parts, axis + 1)
        if done < n:
            rest = np.add.reduce(x[(*at, slice(done, n))], axis, keepdims=True)
            sums = np.concatenate([sums, rest], axis)
        x = sums
    return np.add.reduce(x, axis, keepdims=True)
