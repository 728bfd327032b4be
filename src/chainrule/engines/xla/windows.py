"""XLA's operations for pooling: sums, maxima and their places in sliding windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.engines.xla.elementwise import Lowering, larger, least
from chainrule.graph.primitive import Primitive
from chainrule.primitives.sliding import Pads, dilated
from chainrule.primitives.windows import (
    window_argmax,
    window_best,
    window_max,
    window_max_pullback,
    window_sum,
)

Ints = tuple[int, ...]


def _of_all(rank: int, axes: Ints, items: Any, other: Any) -> tuple[Any, ...]:
    """Return an item for each axis: those of the windows, and another elsewhere."""
    known = dict(zip(axes, items, strict=True))
    return tuple(known.get(i, other) for i in range(rank))


def _padded(
    x: Array, axes: Ints, padding: Pads, base_dilation: Ints, fill: Any
) -> Array:
    """Return an array with a number between its elements and around them."""
    rows = [(lo, hi, s - 1) for (lo, hi), s in zip(padding, base_dilation)]
    return lax.pad(x, x.dtype.type(fill), _of_all(x.ndim, axes, rows, (0, 0, 0)))


def _reduced(
    x: Array, first: Any, function: Any, axes: Ints, w: Ints, s: Ints, r: Ints
) -> Array:
    rank = x.ndim
    return lax.reduce_window(
        x,
        x.dtype.type(first),
        function,
        _of_all(rank, axes, w, 1),
        _of_all(rank, axes, s, 1),
        "VALID",
        window_dilation=_of_all(rank, axes, r, 1),
    )


def _sum(
    x: Array,
    *,
    axes: Ints,
    window: Ints,
    strides: Ints,
    padding: Pads,
    dilation: Ints,
    base_dilation: Ints,
) -> Array:
    x = _padded(x, axes, padding, base_dilation, 0)
    function = lax.bitwise_or if x.dtype == np.bool_ else lax.add
    return _reduced(x, 0, function, axes, window, strides, dilation)


def _max(
    x: Array, *, axes: Ints, window: Ints, strides: Ints, padding: Pads, dilation: Ints
) -> Array:
    none = least(x.dtype)
    x = _padded(x, axes, padding, (1,) * len(axes), none)
    # On CPUs XLA drops NaN from large reductions by its own maximum.
    return _reduced(x, none, larger, axes, window, strides, dilation)


def _best(
    x: Array, *, axes: Ints, window: Ints, strides: Ints, padding: Pads, dilation: Ints
) -> tuple[Array, Array]:
    """Return the largest of each window and its place: the first of equals.

    Axis by axis, from the last: of the lines of a window the first that has the largest
    has it first. Padding has the place −1 and is never chosen.
    """
    shape = x.shape
    line = np.arange(math.prod(shape[a] for a in axes), dtype=np.int64)
    ones = [n if i in axes else 1 for i, n in enumerate(shape)]
    order = [a for a in range(x.ndim) if a in axes]
    turned = line.reshape([shape[a] for a in axes])
    turned = turned.transpose([axes.index(a) for a in order]).reshape(ones)
    place = jnp.broadcast_to(jnp.asarray(turned), shape)
    single = (1,) * len(axes)
    x = _padded(x, axes, padding, single, least(x.dtype))
    place = _padded(place, axes, padding, single, -1)
    for axis, w, s, r in reversed([*zip(axes, window, strides, dilation, strict=True)]):
        taps = [_tap(x, place, axis, w, s, r, k) for k in range(w)]
        x, place = taps[0]
        for tap, there in taps[1:]:
            better = lax.gt(tap, x) | (lax.ne(tap, tap) & lax.eq(x, x))
            better = (better | lax.lt(place, lax.full_like(place, 0))) & lax.ge(
                there, lax.full_like(there, 0)
            )
            x, place = lax.select(better, tap, x), lax.select(better, there, place)
    return x, place


def _place(x: Array, **attrs: Any) -> Array:
    return _best(x, **attrs)[1]


def _tap(
    x: Array, place: Array, axis: int, w: int, s: int, r: int, k: int
) -> tuple[Array, Array]:
    """Return the k-th element of each window along an axis, and its place."""
    stop = x.shape[axis] - dilated(w, r) + k * r + 1
    first, second = (lax.slice_in_dim(a, k * r, stop, s, axis) for a in (x, place))
    return first, second


def _pulled_back(
    g: Array,
    x: Array,
    *,
    axes: Ints,
    window: Ints,
    strides: Ints,
    padding: Pads,
    dilation: Ints,
) -> Array:
    """Return g where the maxima stand: a choice for each tap of the windows.

    XLA adds by index one element after the other.
    """
    rank, shape = x.ndim, x.shape
    best = _max(
        x,
        axes=axes,
        window=window,
        strides=strides,
        padding=padding,
        dilation=dilation,
    )
    single, zero = (1,) * len(axes), g.dtype.type(0)
    ones = jnp.ones([n if i in axes else 1 for i, n in enumerate(shape)], np.bool_)
    x = _padded(x, axes, padding, single, least(x.dtype))
    inside = _padded(ones, axes, padding, single, False)
    free = jnp.ones(best.shape, np.bool_)
    parts: list[Array] = []
    for tap in np.ndindex(*window):
        here, known = x, inside
        pads = [(0, 0, 0)] * rank
        for axis, k, w, s, r, (lo, _) in zip(
            axes, tap, window, strides, dilation, padding, strict=True
        ):
            stop = here.shape[axis] - dilated(w, r) + k * r + 1
            here, known = (
                lax.slice_in_dim(a, k * r, stop, s, axis) for a in (here, known)
            )
            first = k * r - lo
            reach = (best.shape[axis] - 1) * s + 1 + first
            pads[axis] = (first, shape[axis] - reach, s - 1)
        hit = ((here == best) | (here != here)) & known & free
        free = free & ~hit
        parts.append(lax.pad(jnp.where(hit, g, zero), zero, pads))
    total = jnp.zeros(shape, g.dtype)
    for part in reversed(parts):  # to each element what its windows send, in order
        total = total + part
    return total


WINDOWS: dict[Primitive, Lowering] = {
    window_sum: _sum,
    window_max: _max,
    window_argmax: _place,
    window_best: _best,
    window_max_pullback: _pulled_back,
}
