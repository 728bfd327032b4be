"""XLA's linear algebra: solutions, factors, functions of stacks of matrices."""

from __future__ import annotations

import math

import numpy as np

from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.engines.xla.elementwise import Lowering
from chainrule.graph.primitive import Primitive
from chainrule.primitives import decompositions, linear_systems


def _of_none(a: Array) -> bool:
    return not a.size


# -- systems ---------------------------------------------------------------------------


def _solve(a: Array, b: Array) -> tuple[Array, Array]:
    lead = a.shape[:-2]
    if _of_none(a):
        return b, jnp.zeros(lead, np.int32)
    zero = jnp.diagonal(lax.linalg.lu(a)[0], axis1=-2, axis2=-1) == 0
    place = jnp.argmax(zero, -1) + 1
    info = jnp.where(jnp.any(zero, -1), place, 0).astype(np.int32)
    x = b if _of_none(b) else jnp.linalg.solve(a, b)
    return jnp.where((info > 0)[..., None, None], np.nan, x).astype(b.dtype), info


def _triangular(a: Array, b: Array, *, upper: bool, unit: bool) -> Array:
    if _of_none(b):
        return b
    return lax.linalg.triangular_solve(
        a, b, left_side=True, lower=not upper, unit_diagonal=unit
    )


# -- factors ---------------------------------------------------------------------------


def _lu(a: Array) -> tuple[Array, Array]:
    if _of_none(a):
        return a, jnp.zeros((*a.shape[:-2], min(a.shape[-2:])), np.int32)
    factors, pivots, __ = lax.linalg.lu(a)
    return factors, (pivots + 1).astype(np.int32)


def _permutation(pivots: Array, *, size: int) -> Array:
    lead, steps = pivots.shape[:-1], pivots.shape[-1]
    count = math.prod(lead)
    places = lax.reshape(pivots, (count, steps)).astype(np.int64) - 1
    order = jnp.broadcast_to(jnp.arange(size, dtype=np.int64), (count, size))
    each = jnp.arange(count)

    def exchange(j: Array, order: Array) -> Array:
        place = places[:, j]
        here, there = order[:, j], order[each, place]
        return order.at[:, j].set(there).at[each, place].set(here)

    if steps and count:
        order = lax.fori_loop(0, steps, exchange, order)
    return lax.reshape(order, (*lead, size))


def _cholesky(a: Array) -> tuple[Array, Array]:
    if _of_none(a):
        return a, jnp.zeros(a.shape[:-2], np.int32)
    made = jnp.tril(lax.linalg.cholesky(a, symmetrize_input=False))
    wrong = jnp.any(made != made, (-2, -1))
    info = lax.cond(jnp.any(wrong), _first_minor, _no_minor, a)
    info = jnp.where(wrong, info, 0)
    return jnp.where(wrong[..., None, None], np.nan, made).astype(a.dtype), info


def _no_minor(a: Array) -> Array:
    return jnp.zeros(a.shape[:-2], np.int32)


def _first_minor(a: Array) -> Array:
    """Return which leading minor is the first without a root, counted from 1, or 0."""
    n, info = a.shape[-1], jnp.zeros(a.shape[:-2], np.int32)
    rows = jnp.tril(a)
    rows = rows + jnp.swapaxes(jnp.tril(a, -1), -1, -2)

    def eliminate(k: Array, held: tuple[Array, Array]) -> tuple[Array, Array]:
        rows, info = held
        column = lax.dynamic_index_in_dim(rows, k, rows.ndim - 1, keepdims=False)
        pivot = lax.dynamic_index_in_dim(column, k, column.ndim - 1, keepdims=False)
        info = jnp.where((info == 0) & ~(pivot > 0), k + 1, info).astype(np.int32)
        rest = jnp.where(jnp.arange(n) > k, column, 0)
        rows = rows - rest[..., :, None] * rest[..., None, :] / pivot[..., None, None]
        return rows, info

    return lax.fori_loop(0, n, eliminate, (rows, info))[1]


def _det(a: Array) -> Array:
    """Return determinants: 0 with a zero pivot, whatever the others are."""
    if _of_none(a):
        return jnp.ones(a.shape[:-2], a.dtype)
    factors, pivots, __ = lax.linalg.lu(a)
    diagonal = jnp.diagonal(factors, axis1=-2, axis2=-1)
    odd = jnp.sum(pivots != jnp.arange(a.shape[-1]), -1) % 2 == 1
    product = jnp.prod(diagonal, -1) * jnp.where(odd, -1, 1).astype(a.dtype)
    zero = jnp.any(diagonal == 0, -1)
    return jnp.where(zero, lax.full_like(product, 0), product)


def _cofactors(a: Array) -> Array:
    if _of_none(a):
        return a
    n = a.shape[-1]
    u, s, vh = jnp.linalg.svd(a)
    others = jnp.where(jnp.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
    sign = jnp.linalg.det(u) * jnp.linalg.det(vh)
    scaled = u * others[..., None, :]
    return (_product(scaled, vh) * sign[..., None, None]).astype(a.dtype)


def _qr(a: Array, *, complete: bool) -> tuple[Array, Array]:
    made = jnp.linalg.qr(a, "complete" if complete else "reduced")
    return made[0], made[1]


def _eigh(a: Array, *, upper: bool) -> tuple[Array, Array]:
    if _of_none(a):
        return jnp.zeros(a.shape[:-1], a.dtype), a
    v, w = lax.linalg.eigh(a, lower=not upper, symmetrize_input=False)
    return w, v


def _svd(a: Array, *, full: bool) -> tuple[Array, Array, Array]:
    u, s, vh = jnp.linalg.svd(a, full_matrices=full)
    return u, s, vh


# -- functions of matrices -------------------------------------------------------------


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _pinv(a: Array, cut: Array) -> Array:
    u, s, vh = jnp.linalg.svd(a, full_matrices=False)
    inverse = jnp.where(s > cut[..., None], 1 / jnp.where(s == 0, 1, s), 0)
    v = jnp.swapaxes(vh, -1, -2) * inverse[..., None, :]
    return _product(v, jnp.swapaxes(u, -1, -2)).astype(a.dtype)


def _exp(a: Array) -> Array:
    if _of_none(a):
        return a
    dtype, near = a.dtype, decompositions.NEAR
    a = a.astype(np.float64)  # float32 loses digits in the squarings
    norms = jnp.abs(a).sum(-2).max(-1)
    ratio = jnp.where(jnp.isfinite(norms) & (norms > near), norms / near, 1)
    squarings = jnp.ceil(jnp.log2(ratio)).astype(np.int32)[..., None, None]
    x = a * jnp.exp2(-squarings.astype(np.float64))
    powers = [jnp.broadcast_to(jnp.eye(a.shape[-1], dtype=np.float64), a.shape)]
    square = _product(x, x)
    for __ in range(6):
        powers.append(_product(powers[-1], square))
    zero = jnp.zeros_like(a)
    odd = sum((p * c for p, c in zip(powers, decompositions.PADE[1::2])), zero)
    even = sum((p * c for p, c in zip(powers, decompositions.PADE[::2])), zero)
    odd = _product(x, odd)
    y, __ = _solve(even - odd, even + odd)

    def squared(i: Array, y: Array) -> Array:
        return jnp.where(i < squarings, _product(y, y), y)

    return lax.fori_loop(0, jnp.max(squarings), squared, y).astype(dtype)


MATRICES: dict[Primitive, Lowering] = {
    linear_systems.solve: _solve,
    linear_systems.solve_triangular: _triangular,
    linear_systems.lu: _lu,
    linear_systems.permutation: _permutation,
    linear_systems.cholesky: _cholesky,
    linear_systems.det: _det,
    linear_systems.cofactors: _cofactors,
    decompositions.qr: _qr,
    decompositions.eigh: _eigh,
    decompositions.svd: _svd,
    decompositions.pinv: _pinv,
    decompositions.matrix_exp: _exp,
}
