"""Primitives for linear systems: solutions, triangular factors, determinants.

Derivatives: Giles 2008, An extended collection of matrix derivative results. A matrix
without a result (one that is singular, or not positive definite) gives NaN, and its
``info`` says where it was met; whoever asked for it refuses the run.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from chainrule import notation as write
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.batching import pointwise
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, convert, equal, mul, neg, sub
from chainrule.primitives.matrices import (
    all_of,
    by_matrix,
    identity,
    lower,
    matrices,
    need_rows,
    on_diagonal,
    product,
    turned,
    upper,
)
from chainrule.primitives.movement import (
    broadcast_to,
    concatenate,
    full_like,
    reduce_sum,
    reshape,
    section,
)
from chainrule.primitives.rules import need_integer, show
from chainrule.text import _, ngettext

Values = tuple[Any, ...]


def _matrix(x: Value, number: Value) -> Value:
    """Return stacks of matrices that are filled with one number each."""
    return broadcast_to(reshape(number, shape=(*number.shape, 1, 1)), shape=x.shape)


# -- systems ---------------------------------------------------------------------------


def _solve_rule(a: ArrayType, b: ArrayType) -> tuple[ArrayType, ArrayType]:
    need_rows("solve", a, b)
    return b, ArrayType(a.shape[:-2], DType.int32)


def solutions(a: Array, b: Array) -> tuple[Array, ...]:
    """Return the solutions of a x = b, by NumPy, which refuses singular matrices."""
    return (np.linalg.solve(a, b),)


def _solved(a: Array, b: Array) -> tuple[Array, ...]:
    """Return the solutions, and a 0 for each matrix that was not refused."""
    return np.linalg.solve(a, b), np.zeros(a.shape[:-2])


def _solve_vjp(gs: Values, ys: Values, inputs: Values, needed: Any) -> list[Cotangent]:
    right, __ = solve(turned(inputs[0]), gs[0])
    return [neg(product(right, turned(ys[0]))) if needed[0] else None, right]


@declare(
    batch=pointwise,
    rule=_solve_rule,
    joint_vjp=_solve_vjp,
    shown=lambda a, b: write.apply("solve", a, b),
    source="Anderson et al. 1999, LAPACK Users' Guide: gesv; Giles 2008, 2.3.1",
    cases=(
        Case(("f[1,1]", "f[1,3]"), ranges=((0.5, 2), None)),
        Case(("f[2,1,1]", "f[2,1,2]"), ranges=((0.5, 2), None)),
        Case(("f[0,0]", "f[0,2]")),
    ),
)
def solve(a: Array, b: Array) -> tuple[Array, Array]:
    """A⁻¹ b, and for each matrix the number of the first pivot that is zero, or 0."""
    x, refused = by_matrix(_solved, (a, b), [b.shape[-2:], ()])
    info = np.zeros(a.shape[:-2], np.int32)
    if np.isnan(refused).any():
        zero = np.diagonal(factored(a)[0], axis1=-2, axis2=-1) == 0
        at = cast("Array", np.argmax(zero, -1))
        first = cast("Array", np.where(zero.any(-1), at + 1, a.shape[-1]))
        info = cast("Array", np.where(np.isnan(refused), first, info)).astype(np.int32)
    return x, info


def _triangular_rule(
    a: ArrayType, b: ArrayType, *, upper: bool, unit: bool
) -> ArrayType:
    need_rows("solve_triangular", a, b)
    return b


def _triangular_vjp(
    gs: Values, ys: Values, inputs: Values, needed: Any, upper: bool, unit: bool
) -> list[Cotangent]:
    right = solve_triangular(turned(inputs[0]), gs[0], upper=not upper, unit=unit)
    left = None
    if needed[0]:
        left = neg(product(right, turned(ys[0])))
        left = _upper(left, int(unit)) if upper else lower(left, -int(unit))
    return [left, right]


_upper = upper


@declare(
    batch=pointwise,
    rule=_triangular_rule,
    joint_vjp=_triangular_vjp,
    shown=lambda a, b, upper, unit: write.apply("solve", a, b),
    source="Golub & Van Loan, Matrix Computations, 3.1",
    cases=tuple(
        Case((f"f[{s}]", f"f[{r}]"), {"upper": u, "unit": i}, ranges=((0.5, 1.5), None))
        for s, r, u, i in (
            ("3,3", "3,2", True, False),
            ("3,3", "3,1", False, True),
            ("2,2,2", "2,2,2", False, False),
            ("0,0", "0,2", False, False),
        )
    ),
)
def solve_triangular(a: Array, b: Array, *, upper: bool, unit: bool) -> Array:
    x, n = np.array(b), a.shape[-1]
    for i in reversed(range(n)) if upper else range(n):
        known = slice(i + 1, n) if upper else slice(0, i)
        x[..., i, :] -= (a[..., i : i + 1, known] @ x[..., known, :])[..., 0, :]
        if not unit:
            x[..., i, :] /= a[..., i, i, None]
    return x


# -- factors ---------------------------------------------------------------------------


def _lu_rule(a: ArrayType) -> tuple[ArrayType, ArrayType]:
    m, n = matrices("lu", a)
    return a, ArrayType((*a.shape[:-2], min(m, n)), DType.int32)


def _lu_vjp(gs: Values, ys: Values, inputs: Values, needed: Any) -> list[Cotangent]:
    (factors, pivots), g = all_of(ys, lu, inputs), gs[0]
    m, n = factors.shape[-2:]
    k, rank = min(m, n), len(factors.shape)

    def parts(x: Value, axis: int) -> tuple[Value, Value]:
        ends = (0, k), (k, x.shape[axis])
        near, far = (section(x, axis, start, int(stop)) for start, stop in ends)
        return near, far

    g_low, g_up = lower(g, -1), upper(g)
    square, rest = factors, None
    if n > k:  # U = (U₁ U₂), U₂ = L⁻¹ A₂
        square, far = parts(factors, rank - 1)
        g_up, g_far = parts(g_up, rank - 1)
        rest = solve_triangular(turned(square), g_far, upper=True, unit=True)
        g_low = sub(parts(g_low, rank - 1)[0], product(rest, turned(far)))
    elif m > k:  # L = (L₁; L₂), L₂ = A₂ U⁻¹
        square, far = parts(factors, rank - 2)
        g_low, g_far = parts(g_low, rank - 2)
        rest = turned(solve_triangular(square, turned(g_far), upper=True, unit=False))
        g_up = sub(parts(g_up, rank - 2)[0], product(turned(far), rest))
    unit = on_diagonal(lower(square), full_like(square, 1.0))
    inner = lower(product(turned(unit), g_low), -1)
    inner = add(inner, upper(product(g_up, turned(upper(square)))))
    inner = solve_triangular(turned(square), inner, upper=True, unit=True)
    inner = turned(solve_triangular(square, turned(inner), upper=True, unit=False))
    if rest is not None:
        inner = concatenate(inner, rest, axis=rank - 1 if n > k else rank - 2)
    order = permutation(pivots, size=m)
    return [product(permutation_matrix(inner, order), inner)]


def permutation_matrix(x: Value, order: Value) -> Value:
    """Return P with (Pᵀ A)[i] = A[order[i]], in the dtype of x."""
    m = order.shape[-1]
    shape: Any = (*order.shape[:-1], m, m)
    places = iota(shape=shape, axis=len(shape) - 2, dtype=order.dtype)
    wanted = broadcast_to(reshape(order, shape=(*order.shape[:-1], 1, m)), shape=shape)
    return convert(equal(places, wanted), dtype=x.dtype)


@declare(
    batch=pointwise,
    rule=_lu_rule,
    joint_vjp=_lu_vjp,
    shown=lambda a: write.apply("LU", a),
    source="Golub & Van Loan, Matrix Computations, 3.4: partial pivoting",
    cases=(
        Case(("f[2,2]",), ranges=((0.5, 2),)),
        Case(("f[2,1,3]",), ranges=((0.5, 2),)),
        Case(("f[3,1]",), ranges=((0.5, 2),)),
        Case(("f[0,2]",)),
    ),
)
def lu(a: Array) -> tuple[Array, Array]:
    return factored(a)


def factored(a: Array) -> tuple[Array, Array]:
    """Return L and U in one matrix, and the rows exchanged, counted from 1."""
    m, n = a.shape[-2:]
    work: Array = np.array(a).reshape(math.prod(a.shape[:-2]), m, n)
    pivots = np.zeros((len(work), min(m, n)), np.int32)
    each = np.arange(len(work))
    for j in range(min(m, n)):
        place = j + np.abs(work[:, j:, j]).argmax(1)
        pivots[:, j] = place + 1
        work[each, j], work[each, place] = work[each, place], work[each, j]
        pivot = work[:, j, j]
        work[:, j + 1 :, j] /= np.where(pivot == 0, 1, pivot)[:, None]
        work[:, j + 1 :, j + 1 :] -= (
            work[:, j + 1 :, j, None] * work[:, j, None, j + 1 :]
        )
    return work.reshape(a.shape), pivots.reshape(*a.shape[:-2], min(m, n))


def _permutation_rule(pivots: ArrayType, *, size: int) -> ArrayType:
    need_integer("permutation", _("pivots"), pivots.dtype)
    steps = pivots.shape[-1] if pivots.shape else size + 1
    if not isinstance(steps, int) or steps > size:
        raise ShapeError(
            _("permutation exchanges rows that there are."),
            expected=ngettext(
                "up to {n} pivot on the last axis",
                "up to {n} pivots on the last axis",
                n=size,
            ),
            got=show(pivots.shape),
        )
    return ArrayType((*pivots.shape[:-1], size), DType.int64)


@declare(
    batch=pointwise,
    rule=_permutation_rule,
    shown=lambda pivots, size: write.apply("permutation", pivots),
    source="Anderson et al. 1999, LAPACK Users' Guide: laswp",
    cases=(
        Case(("i32[3]",), {"size": 3}, ranges=((1, 4),)),
        Case(("i32[5,2]",), {"size": 4}, ranges=((1, 5),)),
        Case(("i32[0]",), {"size": 2}),
    ),
)
def permutation(pivots: Array, *, size: int) -> Array:
    """The order of rows after exchanges: row i of L U is row order[i] of A."""
    lead, steps = pivots.shape[:-1], pivots.shape[-1]
    if steps and (pivots.min(initial=1) < 1 or pivots.max(initial=1) > size):
        raise ArgumentError(
            _("Pivots are numbers of rows, counted from 1."),
            expected=_("integers from 1 to {size}", size=size),
            got=_("from {low} to {high}", low=pivots.min(), high=pivots.max()),
        )
    work = pivots.reshape(math.prod(lead), steps) - 1
    order = np.tile(np.arange(size), (len(work), 1))
    each = np.arange(len(work))
    for j in range(steps):
        place = work[:, j]
        order[each, j], order[each, place] = order[each, place], order[each, j]
    return order.reshape(*lead, size)


def _cholesky_rule(a: ArrayType) -> tuple[ArrayType, ArrayType]:
    matrices("cholesky", a, square=True)
    return a, ArrayType(a.shape[:-2], DType.int32)


def _cholesky_vjp(
    gs: Values, ys: Values, inputs: Values, needed: Any
) -> list[Cotangent]:
    back = turned(ys[0])
    inner = product(back, gs[0])
    inner = on_diagonal(lower(inner), mul(inner, full_like(inner, 0.5)))
    inner = solve_triangular(back, inner, upper=True, unit=False)
    inner = turned(solve_triangular(back, turned(inner), upper=True, unit=False))
    return [mul(add(inner, turned(inner)), full_like(inner, 0.5))]


@declare(
    batch=pointwise,
    rule=_cholesky_rule,
    joint_vjp=_cholesky_vjp,
    shown=lambda a: write.apply("cholesky", a),
    source="Golub & Van Loan, Matrix Computations, 4.2; Murray 2016 for the derivative",
    cases=(
        Case(("f[1,1]",), ranges=((0.5, 2),)),
        Case(("f[3,1,1]",), ranges=((0.5, 2),)),
        Case(("f[0,0]",)),
    ),
)
def cholesky(a: Array) -> tuple[Array, Array]:
    """L with L Lᵀ = A, of which the lower triangle is read; where that fails, or 0.

    The derivative is that of a function of symmetric matrices.
    """
    info = np.zeros(a.shape[:-2], np.int32)
    n = a.shape[-1]
    (made,) = by_matrix(_roots, (a,), [(n, n)])
    for i in np.ndindex(info.shape):
        if n and np.isnan(made[i]).any():
            minors = [_has_root(a[i][: k + 1, : k + 1]) for k in range(n)]
            info[i] = minors.index(False) + 1 if False in minors else 0
    return made, info


def _roots(a: Array) -> tuple[Array, ...]:
    return (np.linalg.cholesky(a),)


def _has_root(a: Array) -> bool:
    try:
        np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return False
    return True


# -- determinants ----------------------------------------------------------------------


def _det_rule(a: ArrayType) -> ArrayType:
    matrices("det", a, square=True)
    return ArrayType(a.shape[:-2], a.dtype)


@declare(
    batch=pointwise,
    rule=_det_rule,
    vjp=(lambda g, y, a: mul(_matrix(a, g), cofactors(a)),),
    shown=lambda a: write.apply("det", a),
    source="Giles 2008, 2.2.4",
    cases=(Case(("f[2,2]",)), Case(("f[2,3,3]",)), Case(("f[0,0]",))),
)
def det(a: Array) -> Array:
    with np.errstate(invalid="ignore"):  # LAPACK compares NaN
        return np.asarray(np.linalg.det(a))


def _cofactors_rule(a: ArrayType) -> ArrayType:
    matrices("cofactors", a, square=True)
    return a


def _cofactors_vjp(g: Value, y: Value, a: Value) -> Value:
    rank = len(a.shape)
    total = reduce_sum(mul(g, y), axes=(rank - 2, rank - 1))
    inner = sub(mul(identity(a), _matrix(a, total)), product(y, turned(g)))
    return turned(solve(a, turned(inner))[0])


@declare(
    batch=pointwise,
    rule=_cofactors_rule,
    vjp=(_cofactors_vjp,),
    shown=lambda a: write.apply("cofactors", a),
    source="Horn & Johnson, Matrix Analysis, 0.8.2: of singular matrices too",
    cases=(
        Case(("f[1,1]",), ranges=((0.5, 2),)),
        Case(("f[3,2,2]",), ranges=((0.5, 2),)),
        Case(("f[0,0]",)),
    ),
)
def cofactors(a: Array) -> Array:
    """∂ det A/∂A = det(U Vᵀ) U diag(∏ⱼ≠ᵢ sⱼ) Vᵀ, for A = U diag(s) Vᵀ."""
    n = a.shape[-1]
    u, s, vh = by_matrix(np.linalg.svd, (a,), [(n, n), (n,), (n, n)])
    others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    made = (u * others[..., None, :]) @ vh * np.asarray(sign)[..., None, None]
    return made.astype(a.dtype, copy=False)
