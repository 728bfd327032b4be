"""Primitives that decompose matrices: QR, eigenvalues, singular values; and functions.

Derivatives: Walter & Lehmann 2018 (QR), Giles 2008 (eigenvalues), Townsend 2016
(singular values), Golub & Pereyra 1973 (pseudo-inverses), Mathias 1996 (exponentials).
Where eigenvalues or singular values are equal, the vectors have no derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import notation as write
from chainrule.errors import GradientError, ShapeError
from chainrule.graph.batching import pointwise
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType
from chainrule.primitives.elementwise import add, div, mul, sub
from chainrule.primitives.linear_systems import solutions, solve_triangular
from chainrule.primitives.matrices import (
    all_of,
    by_matrix,
    columns,
    lower,
    matrices,
    on_diagonal,
    product,
    rows,
    turned,
)
from chainrule.primitives.movement import concatenate, full_like, section
from chainrule.text import _

Values = tuple[Any, ...]


def _zero_or(g: Any, like: Value) -> Value:
    return full_like(like, 0.0) if g is None else g


def _no_derivative(name: str, fix: str) -> GradientError:
    return GradientError(
        _("{name}: columns beyond the matrix's own have no derivative.", name=name),
        expected=_("a derivative of columns that the matrix determines"),
        got=_("one of a full orthogonal basis"),
        fix=fix,
    )


# -- QR --------------------------------------------------------------------------------


def _qr_rule(a: ArrayType, *, complete: bool) -> tuple[ArrayType, ArrayType]:
    m, n = matrices("qr", a)
    k = m if complete else min(m, n)
    lead = a.shape[:-2]
    return ArrayType((*lead, m, k), a.dtype), ArrayType((*lead, k, n), a.dtype)


def _qr_vjp(
    gs: Values, ys: Values, inputs: Values, needed: Any, complete: bool
) -> list[Cotangent]:
    q, r = all_of(ys, qr, inputs, complete=complete)
    (a,) = inputs
    g_q, g_r = _zero_or(gs[0], q), _zero_or(gs[1], r)
    (m, n), rank = a.shape[-2:], len(a.shape)
    if complete and m > n:
        raise _no_derivative("qr", "mode='reduced'")
    far = None
    if m < n:  # A = (X Y), R = (U V), V = Qᵀ Y
        y = section(a, rank - 1, m, n)
        g_r, g_v = (section(g_r, rank - 1, *ends) for ends in ((0, m), (m, n)))
        g_q = add(g_q, product(y, turned(g_v)))
        r, far = section(r, rank - 1, 0, m), product(q, g_v)
    inner = sub(product(r, turned(g_r)), product(turned(g_q), q))
    inner = add(lower(inner), turned(lower(inner, -1)))
    left = add(g_q, product(q, inner))
    left = turned(solve_triangular(r, turned(left), upper=True, unit=False))
    return [left if far is None else concatenate(left, far, axis=rank - 1)]


@declare(
    batch=pointwise,
    rule=_qr_rule,
    joint_vjp=_qr_vjp,
    shown=lambda a, complete: write.apply("QR", a),
    source="Golub & Van Loan, Matrix Computations, 5.2; Walter & Lehmann 2018",
    cases=(
        Case(("f[2,2]",), {"complete": False}, ranges=((0.5, 2),)),
        Case(("f[3,2]",), {"complete": False}, ranges=((0.5, 2),)),
        Case(("f[2,1,3]",), {"complete": True}, ranges=((0.5, 2),)),
    ),
)
def qr(a: Array, *, complete: bool) -> tuple[Array, Array]:
    made = np.linalg.qr(a, "complete" if complete else "reduced")
    return made[0], made[1]


# -- eigenvalues and singular values ---------------------------------------------------


def _eigh_rule(a: ArrayType, *, upper: bool) -> tuple[ArrayType, ArrayType]:
    matrices("eigh", a, square=True)
    return ArrayType(a.shape[:-1], a.dtype), a


def _differences(v: Value, like: Value) -> Value:
    """Return vⱼ − vᵢ, with 1 on the diagonal, which is divided by."""
    apart = sub(rows(v, like), columns(v, like))
    return on_diagonal(apart, full_like(apart, 1.0))


def _eigh_vjp(
    gs: Values, ys: Values, inputs: Values, needed: Any, upper: bool
) -> list[Cotangent]:
    w, v = all_of(ys, eigh, inputs, upper=upper)
    g_w = _zero_or(gs[0], w)
    inner = full_like(v, 0.0)
    if gs[1] is not None:
        skew = product(turned(v), gs[1])
        skew = mul(sub(skew, turned(skew)), full_like(skew, 0.5))
        inner = div(skew, _differences(w, v))
    inner = on_diagonal(inner, columns(g_w, v))
    return [product(v, inner, turned(v))]


@declare(
    batch=pointwise,
    rule=_eigh_rule,
    joint_vjp=_eigh_vjp,
    shown=lambda a, upper: write.apply("eigh", a),
    source="Golub & Van Loan, Matrix Computations, ch. 8; Giles 2008, 3.1",
    cases=(
        Case(("f[1,1]",), {"upper": False}),
        Case(("f[3,1,1]",), {"upper": True}),
        Case(("f[0,0]",), {"upper": False}),
    ),
)
def eigh(a: Array, *, upper: bool) -> tuple[Array, Array]:
    """Eigenvalues in rising order and eigenvectors; one triangle of A is read.

    The derivative is that of a function of symmetric matrices.
    """
    n = a.shape[-1]

    def spectrum(a: Array) -> tuple[Array, ...]:
        return np.linalg.eigh(a, "U" if upper else "L")

    w, v = by_matrix(spectrum, (a,), [(n,), (n, n)])
    return w, v


def _svd_rule(a: ArrayType, *, full: bool) -> tuple[ArrayType, ...]:
    m, n = matrices("svd", a)
    k, lead = min(m, n), a.shape[:-2]
    u = ArrayType((*lead, m, m if full else k), a.dtype)
    vh = ArrayType((*lead, n if full else k, n), a.dtype)
    return u, ArrayType((*lead, k), a.dtype), vh


def _svd_vjp(
    gs: Values, ys: Values, inputs: Values, needed: Any, full: bool
) -> list[Cotangent]:
    u, s, vh = all_of(ys, svd, inputs, full=full)
    (m, n), rank = inputs[0].shape[-2:], len(inputs[0].shape)
    k = min(m, n)
    if full and ((gs[0] is not None and m > k) or (gs[2] is not None and n > k)):
        raise _no_derivative("svd", "full_matrices=False")
    u, vh = section(u, rank - 1, 0, k), section(vh, rank - 2, 0, k)
    square = product(turned(u), u)  # of the shape (…, k, k)
    inner = on_diagonal(full_like(square, 0.0), columns(_zero_or(gs[1], s), square))
    apart = _differences(mul(s, s), square)
    for g, v, scale in ((gs[0], u, rows), (gs[2], vh, columns)):
        if g is not None:
            skew = product(turned(v), g) if v is u else product(v, turned(g))
            skew = div(sub(skew, turned(skew)), apart)
            inner = add(inner, mul(skew, scale(s, square)))
    left = product(u, inner, vh)
    if gs[0] is not None and m > k:
        out = sub(gs[0], product(u, turned(u), gs[0]))
        left = add(left, product(div(out, rows(s, out)), vh))
    if gs[2] is not None and n > k:
        out = sub(gs[2], product(gs[2], turned(vh), vh))
        left = add(left, product(u, div(out, columns(s, out))))
    return [left]


@declare(
    batch=pointwise,
    rule=_svd_rule,
    joint_vjp=_svd_vjp,
    shown=lambda a, full: write.apply("SVD", a),
    source="Golub & Van Loan, Matrix Computations, 8.6; Townsend 2016",
    cases=(
        Case(("f[2,2]",), {"full": False}, ranges=((0.5, 2),)),
        Case(("f[2,1,1]",), {"full": True}, ranges=((0.5, 2),)),
        Case(("f[3,2]",), {"full": False}, ranges=((0.5, 2),)),
        Case(("f[1,2]",), {"full": False}, ranges=((0.5, 2),)),
    ),
)
def svd(a: Array, *, full: bool) -> tuple[Array, ...]:
    return factors_of(a, full)


def factors_of(a: Array, full: bool = False) -> tuple[Array, ...]:
    """Return the singular value decomposition of matrices, by NumPy."""
    m, n = a.shape[-2:]
    k = min(m, n)

    def factors(a: Array) -> tuple[Array, ...]:
        return np.linalg.svd(a, full)

    return by_matrix(
        factors, (a,), [(m, m if full else k), (k,), (n if full else k, n)]
    )


# -- functions of matrices -------------------------------------------------------------


def _pinv_rule(a: ArrayType, cut: ArrayType) -> ArrayType:
    m, n = matrices("pinv", a)
    if cut != ArrayType(a.shape[:-2], a.dtype):
        raise ShapeError(
            _("pinv takes a threshold for each matrix."),
            expected=f"{ArrayType(a.shape[:-2], a.dtype)}",
            got=f"{cut}",
        )
    return ArrayType((*a.shape[:-2], n, m), a.dtype)


def _pinv_vjp(g: Value, y: Value, a: Value, cut: Value) -> Value:
    back, p = turned(g), turned(y)
    left = sub(back, product(a, y, back))
    right = sub(back, product(back, y, a))
    result = add(product(left, y, p), product(p, y, right))
    return sub(result, product(p, g, p))


@declare(
    batch=pointwise,
    rule=_pinv_rule,
    vjp=(_pinv_vjp, None),
    shown=lambda a, cut: write.apply("pinv", a, cut),
    source="Golub & Pereyra 1973, The differentiation of pseudo-inverses",
    cases=(
        Case(("f[1,1]", "f[]"), ranges=((0.5, 2), (0, 0.3))),
        Case(("f[3,1,2]", "f[3]"), ranges=((0.5, 2), (0, 0.3))),
        Case(("f[3,1]", "f[]"), ranges=((0.5, 2), (0, 0.3))),
    ),
)
def pinv(a: Array, cut: Array) -> Array:
    """The pseudo-inverse; singular values up to ``cut`` count as zero."""
    u, s, vh = factors_of(a)
    inverse = np.where(s > cut[..., None], 1 / np.where(s == 0, 1, s), 0)
    v = np.swapaxes(vh, -1, -2) * inverse[..., None, :]
    return (v @ np.swapaxes(u, -1, -2)).astype(a.dtype, copy=False)


def _exp_rule(a: ArrayType) -> ArrayType:
    matrices("matrix_exp", a, square=True)
    return a


def _exp_vjp(g: Value, y: Value, a: Value) -> Value:
    rank, n = len(a.shape), int(a.shape[-1])
    back = turned(a)
    above = concatenate(back, g, axis=rank - 1)
    below = concatenate(full_like(a, 0.0), back, axis=rank - 1)
    whole = matrix_exp(concatenate(above, below, axis=rank - 2))
    return section(section(whole, rank - 2, 0, n), rank - 1, n, 2 * n)


#: Coefficients of the Padé approximant of degree 13, and where it is exact.
PADE = [1.0]
for _j in range(13):
    PADE.append(PADE[-1] * (13 - _j) / ((26 - _j) * (_j + 1)))
NEAR = 5.371920351148152


@declare(
    batch=pointwise,
    rule=_exp_rule,
    vjp=(_exp_vjp,),
    shown=lambda a: write.apply("exp", a),
    source="Higham 2005, The scaling and squaring method for the matrix exponential",
    cases=(Case(("f[2,2]",)), Case(("f[2,1,1]",)), Case(("f[0,0]",))),
)
def matrix_exp(a: Array) -> Array:
    n, dtype = a.shape[-1], a.dtype
    a = a.astype(np.float64, copy=False)  # float32 loses digits in the squarings
    norms = np.abs(a).sum(-2).max(-1, initial=0)
    finite = np.isfinite(norms)
    ratio = np.where(finite & (norms > NEAR), norms / NEAR, 1)
    squarings = np.ceil(np.log2(ratio)).astype(int)[..., None, None]
    x = a * np.exp2(-squarings)
    one = np.broadcast_to(np.eye(n), a.shape)
    square = x @ x
    powers = [one]
    for __ in range(6):
        powers.append(powers[-1] @ square)
    odd = x @ sum(p * c for p, c in zip(powers, PADE[1::2]))
    even = sum(p * c for p, c in zip(powers, PADE[::2]))
    (y,) = by_matrix(solutions, (even - odd, even + odd), [a.shape[-2:]])
    for i in range(int(squarings.max(initial=0))):
        y = np.where(i < squarings, y @ y, y)
    return np.asarray(y, dtype)
