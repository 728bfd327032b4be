"""Tensor functions that decompose matrices: QR, eigenvalues, singular values, ranks."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.context import no_grad
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.arguments import whole
from chainrule.operations.arithmetic import (
    abs_,
    add,
    gt,
    maximum,
    mul,
    number,
    sub,
)
from chainrule.operations.linear_systems import inv
from chainrule.operations.matrices import (
    QR,
    SVD,
    Eigen,
    LeastSquares,
    OldSVD,
    finite,
    right_side,
    square,
    stacks,
)
from chainrule.operations.op import op
from chainrule.operations.operands import (
    astype,
    broadcast_shapes,
    broadcast_to,
    full,
    value_of,
)
from chainrule.operations.products import matmul
from chainrule.operations.reductions import amax, sum_
from chainrule.operations.shapes import cut, reshaped
from chainrule.primitives import decompositions as prims
from chainrule.primitives.elementwise import where
from chainrule.primitives.matrices import identity, lower, matrices, turned, upper
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.blocks import settled


def _one_of(name: str, value: Any, *known: Any) -> Any:
    """Check that an argument is one of a few words."""
    if value not in known:
        raise ArgumentError(
            _("{name} has a few values.", name=name),
            expected=", ".join(map(repr, known)),
            got=f"{value!r:.40}",
        )
    return value


# -- QR --------------------------------------------------------------------------------


@op(module="linalg")
def qr(A: Value, mode: Literal["reduced", "complete", "r"] = "reduced") -> QR:
    """Return the factors of A = Q R: orthonormal columns, upper triangular.

    Signs are LAPACK's. Of an m × n matrix with more columns than rows, the first m
    columns have to be independent for a derivative.

    Args:
        A: matrices (…, m, n).
        mode: "reduced" for Q of min(m, n) columns, "complete" for m; "r" for R alone.

    >>> import chainrule as cr
    >>> Q, R = cr.linalg.qr(cr.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> cr.allclose(Q @ R, cr.tensor([[3.0, 1.0], [4.0, 2.0]]))
    True
    """
    _one_of("mode", mode, "reduced", "complete", "r")
    if mode == "r":
        return QR(full(0.0, A.dtype, (0,)), prims.qr(A, complete=False)[1])
    return QR(*prims.qr(A, complete=mode == "complete"))


@op(name="qr")
def old_qr(x: Value, some: bool = True) -> QR:
    """Return the factors of matrices x = Q R; see ``linalg.qr``."""
    return qr(x, "reduced" if some else "complete")


@op(name="orgqr")
@op(module="linalg")
def householder_product(A: Value, tau: Any) -> Value:
    """Return the first columns of a product of Householder matrices H₁ … H_k.

    H_i = I − τᵢ vᵢ vᵢᵀ, where vᵢ is the i-th column of A below the diagonal, with 1 on
    it and 0 above.
    """
    m, n = matrices("householder_product", A.type)
    factors = value_of(tau)
    k = factors.shape[-1] if factors.shape else -1
    if factors.shape != (*A.shape[:-2], k) or not 0 <= int(k) <= n <= m:
        raise ArgumentError(
            _("householder_product takes a factor for each column."),
            expected=_("m ≥ n ≥ k for A of (…, m, n) and tau of (…, k)"),
            got=f"{A.type}, {factors.type}",
        )
    rank = len(A.shape)
    wide = full(0.0, A.dtype, (*A.shape[:-1], m))
    result = cut(identity(wide), rank - 1, 0, n)
    low = lower(A, -1)
    ones = cut(identity(wide), rank - 1, 0, n)
    for i in reversed(range(int(k))):
        v = add(cut(low, rank - 1, i, i + 1), cut(ones, rank - 1, i, i + 1))
        factor = reshaped(cut(factors, rank - 2, i, i + 1), (*A.shape[:-2], 1, 1))
        step = matmul(v, matmul(turned(v), result))
        result = sub(result, mul(step, broadcast_to(factor, step.shape)))
    return result


# -- eigenvalues -----------------------------------------------------------------------


@op(module="linalg")
def eigh(A: Value, UPLO: Literal["L", "U", "l", "u"] = "L") -> Eigen:
    """Return eigenvalues of symmetric matrices, in rising order, and eigenvectors.

    One triangle of A is read. Derivatives are those of a function of symmetric
    matrices; where eigenvalues are equal, eigenvectors have none (NaN or ∞).

    Args:
        A: matrices (…, n, n).
        UPLO: the triangle, "L" or "U".

    >>> import chainrule as cr
    >>> cr.linalg.eigh(cr.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    upper = _one_of("UPLO", UPLO, "L", "U", "l", "u") in "Uu"
    return Eigen(*prims.eigh(finite("eigh", square("eigh", A)), upper=upper))


@op(module="linalg")
def eigvalsh(A: Value, UPLO: Literal["L", "U", "l", "u"] = "L") -> Value:
    """Return the eigenvalues of symmetric matrices in rising order; see ``eigh``."""
    return eigh(A, UPLO).eigenvalues


# -- singular values -------------------------------------------------------------------


@op(module="linalg")
def svd(A: Value, full_matrices: bool = True, *, driver: Any = None) -> SVD:
    """Return the factors of A = U diag(S) Vh, with S in falling order.

    U has orthonormal columns, Vh orthonormal rows. Where singular values are equal, or
    0 for U or Vh beyond them, U and Vh have no derivative (NaN or ∞).

    Args:
        A: matrices (…, m, n).
        full_matrices: whether U and Vh are square, and then without derivatives in
            what A does not determine.
        driver: None.

    >>> import chainrule as cr
    >>> cr.linalg.svd(cr.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    _one_of("driver", driver, None)
    return SVD(*prims.svd(finite("svd", A), full=bool(full_matrices)))


@op(module="linalg")
def svdvals(A: Value, *, driver: Any = None) -> Value:
    """Return the singular values of matrices in falling order; see ``svd``."""
    return svd(A, False, driver=driver).S


@op(name="svd")
def old_svd(x: Value, some: bool = True, compute_uv: bool = True) -> OldSVD:
    """Return the factors of matrices x = U diag(S) Vᵀ; see ``linalg.svd``."""
    if compute_uv:
        u, s, vh = svd(x, not some)
        return OldSVD(u, s, turned(vh))
    m, n = matrices("svd", x.type)
    zeros = (full(0.0, x.dtype, (*x.shape[:-2], k, k)) for k in (m, n))
    u, v = zeros
    return OldSVD(u, svdvals(x), v)


def _cut(largest: Value, a: Value, atol: Any, rtol: Any) -> Value:
    """Return up to where singular values count as 0: max(atol, rtol · largest).

    The default of rtol is ε max(m, n), or 0 beside an atol that is above 0.
    """
    absolute = value_of(0.0 if atol is None else atol, a.dtype)
    if rtol is None:
        eps = float(np.finfo(a.dtype.numpy).eps) * max(*map(int, a.shape[-2:]), 0)
        none = gt(absolute, number(0, absolute))
        zero = full(0.0, a.dtype, absolute.shape)
        relative = where(none, zero, full(eps, a.dtype, absolute.shape))
    else:
        relative = value_of(rtol, a.dtype)
    shape = largest.shape
    for v in (absolute, relative):
        shape = broadcast_shapes(shape, v.shape)
    absolute, relative, largest = (
        broadcast_to(v, shape) for v in (absolute, relative, largest)
    )
    return maximum(absolute, mul(relative, largest))


@settled
def _sizes(a: Value, hermitian: bool) -> tuple[Value, Value]:
    """Return singular values, without derivatives, and the largest of them or 0."""
    with no_grad():
        s = abs_(eigvalsh(a)) if hermitian else svdvals(a)
        if not s.shape[-1]:
            return s, full(0.0, a.dtype, s.shape[:-1])
        return s, amax(s, -1)


@op(module="linalg")
def matrix_rank(
    A: Value,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Value:
    """Return the number of singular values above max(atol, rtol · the largest).

    Args:
        A: matrices (…, m, n).
        tol: an older name of atol.
        hermitian: whether A is symmetric; then eigenvalues are counted.
        atol, rtol: by default 0 and ε max(m, n).
    """
    matrices("matrix_rank", A.type)
    atol, rtol = (tol, 0.0) if tol is not None else (atol, rtol)
    s, largest = _sizes(A, hermitian)
    cut_at = _cut(largest, A, atol, rtol)
    lead = cut_at.shape
    s = broadcast_to(s, (*lead, s.shape[-1]))
    line = broadcast_to(reshaped(cut_at, (*lead, 1)), s.shape)
    return sum_(astype(gt(s, line), DType.int64), -1)


@op(module="linalg")
def pinv(
    A: Value,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Value:
    """Return the pseudo-inverse of matrices, of which small singular values are 0.

    Args:
        A: matrices (…, m, n).
        rcond: an older name of rtol.
        hermitian: whether A is symmetric; then the lower triangle is read alone. The
            derivative is that of a symmetric A, as ``eigh`` has it.
        atol, rtol: singular values up to max(atol, rtol · the largest) count as 0; by
            default 0 and ε max(m, n).

    >>> import chainrule as cr
    >>> cr.linalg.pinv(cr.tensor([[2.0], [0.0]]))
    tensor([[0.5, 0. ]])
    """
    matrices("pinv", A.type)
    rtol = rcond if rcond is not None else rtol
    with no_grad():
        limit = _cut(_sizes(A, hermitian)[1], A, atol, rtol)
        above = sub(turned(lower(A, -1)), upper(A, 1)) if hermitian else None
    A = A if above is None else add(A, above)
    a = broadcast_to(A, (*limit.shape, *A.shape[-2:]))
    return prims.pinv(finite("pinv", a), limit)


@op
def pinverse(x: Value, rcond: float = 1e-15) -> Value:
    """Return the pseudo-inverse of matrices; see ``linalg.pinv``."""
    return pinv(x, validation.number("rcond", rcond, least=0))


@op(module="linalg")
def lstsq(
    A: Value,
    B: Any,
    rcond: float | None = None,
    *,
    driver: Literal["gelsy", "gels", "gelsd", "gelss"] | None = None,
) -> LeastSquares:
    """Return the X of least ‖A X − B‖², and of these the least ‖X‖².

    Args:
        A: matrices (…, m, n).
        B: (…, m, k), or vectors (…, m).
        rcond: as ``rtol`` of ``pinv``.
        driver: "gelsy" (the default), "gels" for matrices of full rank, "gelsd" or
            "gelss", which return singular values.

    Returns:
        The solution; sums of squares left, for m > n and full rank; ranks; singular
        values. What a driver does not have is empty.
    """
    driver = _one_of("driver", driver or "gelsy", "gelsy", "gels", "gelsd", "gelss")
    m, n = matrices("lstsq", A.type)
    right, vectors = right_side(A, B, "lstsq")
    a, b = stacks(A, right, "lstsq")
    x = matmul(pinv(a, rcond), b)
    empty = full(0.0, A.dtype, (0,))
    rank = full(0, DType.int64, (0,))
    values, left = empty, empty
    ranks = matrix_rank(A, rtol=rcond)
    if driver != "gels":
        rank = ranks
    if driver in ("gelsd", "gelss"):
        with no_grad():
            values = svdvals(A)
    if m > n and driver != "gelsy":
        rest = sub(matmul(a, x), b)
        left = sum_(mul(rest, rest), -2)
    return LeastSquares(reshaped(x, x.shape[:-1]) if vectors else x, left, rank, values)


# -- functions of matrices -------------------------------------------------------------


@op
@op(module="linalg")
def matrix_exp(A: Value) -> Value:
    """Return Σ Aᵏ/k! of square matrices.

    >>> import chainrule as cr
    >>> cr.linalg.matrix_exp(cr.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return prims.matrix_exp(A)


@op
@op(module="linalg")
def matrix_power(A: Value, n: int) -> Value:
    """Return Aⁿ of square matrices, by repeated squares; for n < 0 of the inverse."""
    n = whole("n", n)
    if A.dtype.is_float:
        square("matrix_power", A)
    else:
        square("matrix_power", full(0.0, DType.float32, A.shape))
    if n < 0:
        A, n = inv(A), -n
    result: Value | None = None
    while n:
        if n & 1:
            result = A if result is None else matmul(result, A)
        n >>= 1
        A = matmul(A, A) if n else A
    if result is None:
        return astype(identity(full(0.0, DType.float64, A.shape)), A.dtype)
    return result
