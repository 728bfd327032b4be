"""XLA's operations for primitives that create arrays, move elements or reduce axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.engines.xla.elementwise import Lowering, is_float, least, same
from chainrule.graph.primitive import REFERENCES, Primitive
from chainrule.graph.types import DType
from chainrule.primitives import creation, movement, reduce, sorting

Ints = tuple[int, ...]


def _number(primitive: Primitive) -> Lowering:
    def lower(**attrs: Any) -> Array:
        return jnp.asarray(REFERENCES[primitive](**attrs))

    return lower


def _iota(*, shape: Ints, axis: int, dtype: DType) -> Array:
    return lax.broadcasted_iota(dtype.numpy, shape, axis)


def _pad(x: Array, *, low: Ints, high: Ints, interior: Ints) -> Array:
    return lax.pad(x, x.dtype.type(0), tuple(zip(low, high, interior, strict=True)))


def _concatenate(*xs: Array, axis: int) -> Array:
    return lax.concatenate(xs, axis)


def _itself(x: Array) -> Array:
    return x


# -- reductions ------------------------------------------------------------------------


def _sum(x: Array, *, axes: Ints) -> Array:
    if x.dtype == np.bool_:
        return jnp.any(x, axes)
    return jnp.sum(x, axes, x.dtype, promote_integers=False)


def _prod(x: Array, *, axes: Ints) -> Array:
    if x.dtype == np.bool_:
        return jnp.all(x, axes)
    return jnp.prod(x, axes, x.dtype, promote_integers=False)


def _max(x: Array, *, axes: Ints) -> Array:
    """Return the largest along axes, NaN where one is.

    On CPUs XLA drops NaN from large reductions by its own maximum; another function
    uses no vectors, and cannot be divided over devices. So its own is corrected: ∑ x²
    is NaN exactly where an x is, for squares of infinity add up to infinity.
    """
    if not is_float(x):
        return lax.reduce(x, x.dtype.type(least(x.dtype)), lax.max, axes)
    if axes == (0,) and x.ndim > 1:
        return _first_max(x)
    largest = lax.reduce(x, x.dtype.type(least(x.dtype)), lax.max, axes)
    squares = lax.reduce(x * x, x.dtype.type(0), lax.add, axes)
    return lax.select(lax.ne(squares, squares), squares, largest)


def _first_max(x: Array) -> Array:
    """Return the largest along the first axis, where maxima of floats are slow.

    Floats without a sign are in the order of their bits; NaN comes last.
    """
    kind = np.dtype(f"i{x.dtype.itemsize}")
    most = kind.type(np.iinfo(kind).max)

    def ordered(bits: Array) -> Array:
        sign = lax.shift_right_arithmetic(bits, same(bits, 8 * kind.itemsize - 1))
        return lax.bitwise_xor(bits, lax.bitwise_and(sign, same(bits, most)))

    bits = ordered(lax.bitcast_convert_type(x, kind))
    bits = lax.select(lax.ne(x, x), same(bits, most), bits)
    least_ = np.asarray(least(x.dtype), x.dtype).view(kind)[()]
    none = least_ ^ (least_ >> (8 * kind.itemsize - 1) & most)
    largest = lax.reduce(bits, kind.type(none), lax.max, (0,))
    return lax.bitcast_convert_type(ordered(largest), x.dtype)


def _index(function: Any) -> Lowering:
    return lambda x, axis: function(x, axis).astype(np.int64)


def _cumulative(function: Any, of_truth: Any) -> Lowering:
    def lower(x: Array, *, axis: int, reverse: bool) -> Array:
        # XLA merges a pad before it with the windows that it makes of it, wrongly:
        # of (0, 1, 0) the sums would be (1, 1, 1).
        x = lax.optimization_barrier(x)
        if x.dtype != np.bool_:
            return function(x, axis, reverse)
        return of_truth(x.astype(np.uint8), axis, reverse).astype(np.bool_)

    return lower


def _recurrence(a: Array, b: Array, *, axis: int, reverse: bool) -> Array:
    """Return yᵢ = aᵢ yᵢ₋₁ + bᵢ, one after the other.

    A tree of products overflows where the recurrence does not.
    """
    if not b.shape[axis]:
        return b

    def step(y: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        factor, term = pair
        y = factor * y + term
        return y, y

    factors, terms = (jnp.moveaxis(x, axis, 0) for x in (a, b))
    if reverse:
        factors, terms = lax.rev(factors, (0,)), lax.rev(terms, (0,))
    first = terms[0]
    __, rest = lax.scan(step, first, (factors[1:], terms[1:]))
    rows = jnp.concatenate([first[None], rest])
    return jnp.moveaxis(lax.rev(rows, (0,)) if reverse else rows, 0, axis)


def _argsort(x: Array, *, axis: int, descending: bool) -> Array:
    if not descending:
        return jnp.argsort(x, axis, stable=True).astype(np.int64)
    # From behind, so that equal elements keep their order.
    turned = jnp.argsort(lax.rev(x, (axis,)), axis, stable=True)
    return (x.shape[axis] - 1 - lax.rev(turned, (axis,))).astype(np.int64)


MOVEMENT: dict[Primitive, Lowering] = {
    creation.constant: _number(creation.constant),
    creation.size: _number(creation.size),
    creation.iota: _iota,
    movement.broadcast_to: jnp.broadcast_to,
    movement.reshape: lambda x, shape: lax.reshape(x, shape),
    movement.transpose: lambda x, axes: lax.transpose(x, axes),
    movement.slice_: lambda x, starts, stops, strides: lax.slice(
        x, starts, stops, strides
    ),
    movement.pad: _pad,
    movement.flip: lambda x, axes: lax.rev(x, axes),
    movement.concatenate: _concatenate,
    movement.copy: _itself,
    movement.reduce_sum: _sum,
    reduce.reduce_max: _max,
    reduce.reduce_prod: _prod,
    reduce.argmax: _index(jnp.argmax),
    reduce.argmin: _index(jnp.argmin),
    reduce.cumsum: _cumulative(lax.cumsum, lax.cummax),
    reduce.cumprod: _cumulative(lax.cumprod, lax.cummin),
    reduce.linear_recurrence: _recurrence,
    sorting.argsort: _argsort,
}
