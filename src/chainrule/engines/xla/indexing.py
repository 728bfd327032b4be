"""XLA's operations for indices: rows, elements along an axis, blocks.

What is out of range is found by :mod:`chainrule.engines.xla.checks`. Equal indices are
applied in their order on CPUs; where one counts, the last, it is found first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.engines.xla.elementwise import Lowering
from chainrule.graph.primitive import Primitive
from chainrule.primitives import indexing

#: Indices are in range, or the results are thrown away.
_INSIDE: Any = "promise_in_bounds"


def _places(indices: Array, rows: int) -> Array:
    return indices.astype(np.int32 if rows < 2**31 else np.int64)


def _take(x: Array, indices: Array) -> Array:
    if not indices.size or not x.size:
        return jnp.zeros((*indices.shape, *x.shape[1:]), x.dtype)
    return x.at[_places(indices, x.shape[0])].get(mode=_INSIDE)


def _added(x: Array, places: Any, updates: Array) -> Array:
    if x.dtype == np.bool_:
        return x.at[places].max(updates, mode="drop")
    return x.at[places].add(updates, mode="drop")


def _scatter_add(base: Array, indices: Array, updates: Array) -> Array:
    if not indices.size or not base.size:
        return base
    return _added(base, _places(indices, base.shape[0]), updates)


def _put_rows(x: Array, indices: Array, rows: Array) -> Array:
    if not indices.size or not x.size:
        return x
    count, height = indices.size, x.shape[0]
    flat = lax.reshape(_places(indices, height), (count,))
    rows = lax.reshape(rows, (count, *x.shape[1:]))
    order = lax.iota(np.int32, count)
    last = jnp.full((height,), -1, np.int32).at[flat].max(order, mode="drop")
    chosen = rows.at[lax.max(last, lax.full_like(last, 0))].get(mode=_INSIDE)
    changed = lax.reshape(last >= 0, (height,) + (1,) * (x.ndim - 1))
    return jnp.where(changed, chosen, x)


def _along(shape: tuple[int, ...], indices: Array, axis: int) -> tuple[Array, ...]:
    """Return the indices of elements along an axis, as one for each axis."""
    places = [
        lax.broadcasted_iota(np.int32, indices.shape, i) for i in range(len(shape))
    ]
    places[axis] = _places(indices, shape[axis])
    return tuple(places)


def _gather(x: Array, indices: Array, *, axis: int) -> Array:
    if not indices.size or not x.size:
        return jnp.zeros(indices.shape, x.dtype)
    places = _places(indices, x.shape[axis])
    return jnp.take_along_axis(x, places, axis, mode=_INSIDE)


def _scatter_along(base: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    if not indices.size or not base.size:
        return base
    return _added(base, _along(base.shape, indices, axis), updates)


def _starts(starts: tuple[Array, ...]) -> list[Array]:
    return [start.astype(np.int64) for start in starts]


def _block(x: Array, *starts: Array, sizes: tuple[int, ...]) -> Array:
    return lax.dynamic_slice(x, _starts(starts), sizes) if sizes else x


def _update(x: Array, update: Array, *starts: Array) -> Array:
    if not math.prod(update.shape):
        return x
    return lax.dynamic_update_slice(x, update, _starts(starts)) if starts else update


INDEXING: dict[Primitive, Lowering] = {
    indexing.take: _take,
    indexing.scatter_add: _scatter_add,
    indexing.put_rows: _put_rows,
    indexing.gather: _gather,
    indexing.scatter_add_along: _scatter_along,
    indexing.dynamic_slice: _block,
    indexing.dynamic_update_slice: _update,
}
