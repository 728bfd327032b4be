"""Tensor functions that solve linear systems: ``cr.linalg.solve`` and its relatives."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.arithmetic import (
    abs_,
    add,
    eq,
    lt,
    mul,
    ne,
    number,
    remainder,
    select,
    sub,
)
from chainrule.operations.diagonals import tril, triu
from chainrule.operations.elementwise import log, sign
from chainrule.operations.matrices import (
    LU,
    CholeskyEx,
    Factored,
    FactoredEx,
    InverseEx,
    Slogdet,
    SolvedEx,
    right_side,
    square,
    stacks,
    succeeded,
)
from chainrule.operations.op import op
from chainrule.operations.operands import astype, full, value_of
from chainrule.operations.products import matmul
from chainrule.operations.reductions import amax, argmax, prod, sum_
from chainrule.operations.shapes import cut, diagonal_of, reshaped
from chainrule.primitives import linear_systems as prims
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.matrices import identity, matrices, on_diagonal, turned
from chainrule.primitives.rules import show
from chainrule.text import _

SINGULAR = (
    _("The matrix is singular: it has no inverse."),
    _("matrices of full rank"),
    "cr.linalg.lstsq, cr.linalg.pinv",
)
INDEFINITE = (
    _("The matrix is not positive definite: it has no Cholesky factor."),
    _("symmetric matrices with positive eigenvalues"),
    "cr.linalg.cholesky_ex, cr.linalg.eigh",
)


# -- systems ---------------------------------------------------------------------------


@op(module="linalg")
def solve(A: Value, B: Any, *, left: bool = True) -> Value:
    """Return the solution X of A X = B, or of X A = B where ``left`` is False.

    Args:
        A: square matrices (…, n, n), of full rank.
        B: (…, n, k); or vectors: (n,), or A's shape without its last axis.
        left: on which side of X the matrix A stands.

    Raises:
        ArgumentError: A is singular.

    >>> import chainrule as cr
    >>> cr.linalg.solve(cr.tensor([[2.0, 0.0], [0.0, 4.0]]), cr.tensor([2.0, 2.0]))
    tensor([1. , 0.5])
    """
    x, info = solve_ex(A, B, left=left)
    return succeeded(x, info, SINGULAR)


@op(module="linalg")
def solve_ex(
    A: Value, B: Any, *, left: bool = True, check_errors: bool = False
) -> SolvedEx:
    """Return the solution of A X = B, and where each matrix is singular, or 0.

    The solution of a singular system is NaN. See :func:`solve`.
    """
    square("solve", A)
    b, vectors = right_side(A, B, "solve")
    if vectors and not left:
        raise ArgumentError(
            _("A vector stands on the right of its matrix."),
            expected=_("matrices B where left=False"),
            got=show(value_of(B).shape),
        )
    a, b = stacks(A, b if left else turned(b), "solve")
    a = a if left else turned(a)
    x, info = prims.solve(a, b)
    x = x if left else turned(x)
    x = reshaped(x, x.shape[:-1]) if vectors else x
    return SolvedEx(succeeded(x, info, SINGULAR) if check_errors else x, info)


@op(name="inverse")
@op(module="linalg")
def inv(A: Value) -> Value:
    """Return the inverse of square matrices; a singular one is an error.

    >>> import chainrule as cr
    >>> cr.linalg.inv(cr.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    x, info = inv_ex(A)
    return succeeded(x, info, SINGULAR)


@op(module="linalg")
def inv_ex(A: Value, *, check_errors: bool = False) -> InverseEx:
    """Return the inverse of matrices, and each one's first zero pivot, or 0."""
    square("inv", A)
    x, info = prims.solve(A, identity(A))
    return InverseEx(succeeded(x, info, SINGULAR) if check_errors else x, info)


@op(module="linalg")
def solve_triangular(
    A: Value, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Value:
    """Return the solution of A X = B for triangular matrices; the other half is unread.

    Args:
        A, B: (…, n, n) and (…, n, k).
        upper: which triangle is read.
        left: whether A X = B, or X A = B.
        unitriangular: whether the diagonal counts as ones, unread.
    """
    matrices("solve_triangular", A.type, square=True)
    b = value_of(B)
    if len(b.shape) < 2:
        raise ShapeError(
            _("solve_triangular takes matrices on the right."),
            got=show(b.shape),
            fix="B.unsqueeze(-1)",
        )
    a, b = stacks(A, b if left else turned(b), "solve_triangular")
    a, up = (a, bool(upper)) if left else (turned(a), not upper)
    x = prims.solve_triangular(a, b, upper=up, unit=bool(unitriangular))
    return x if left else turned(x)


@op
def triangular_solve(
    x: Value,
    A: Any,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """Return the solution of A X = x for triangular A, and A; see ``linalg``'s."""
    a = value_of(A)
    kept = movement.copy(a)
    a, up = (turned(a), not upper) if transpose else (a, bool(upper))
    solution = solve_triangular(a, x, upper=up, unitriangular=unitriangular)
    return solution, kept


# -- determinants ----------------------------------------------------------------------


@op
@op(module="linalg")
def det(A: Value) -> Value:
    """Return the determinant of square matrices; it has a derivative at all of them.

    >>> import chainrule as cr
    >>> cr.det(cr.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    return prims.det(A)


@op
@op(module="linalg")
def slogdet(A: Value) -> Slogdet:
    r"""Return the sign of det A and ln \|det A\|; of singular matrices 0 and −∞."""
    square("slogdet", A)
    factors, pivots = prims.lu(A)
    places = iota(shape=pivots.shape, axis=len(pivots.shape) - 1, dtype=DType.int32)
    exchanges = sum_(ne(pivots, _next(places)), -1)
    odd = remainder(exchanges, number(2, exchanges))
    diagonal = diagonal_of(factors, 0, -2, -1)
    signs = prod(sign(diagonal), -1)
    flip = astype(odd, A.dtype)
    signs = mul(signs, sub(number(1, signs), mul(number(2, flip), flip)))
    return Slogdet(signs, sum_(log(abs_(diagonal)), -1))


def _next(places: Value) -> Value:
    return add(places, number(1, places))


@op
def logdet(x: Value) -> Value:
    """Return ln det of square matrices: NaN for a negative one, −∞ for a singular."""
    signs, size = slogdet(x)
    return select(lt(signs, number(0, signs)), number(float("nan"), size), size)


# -- LU --------------------------------------------------------------------------------


@op(module="linalg")
def lu_factor(A: Value, *, pivot: bool = True) -> Factored:
    """Return A's triangular factors in one matrix, and the rows exchanged from 1 on."""
    _need_pivots(pivot)
    return Factored(*prims.lu(A))


@op(module="linalg")
def lu_factor_ex(
    A: Value, *, pivot: bool = True, check_errors: bool = False
) -> FactoredEx:
    """Return A's triangular factors and pivots, and which pivot is the first zero."""
    factors, pivots = lu_factor(A, pivot=pivot)
    diagonal = diagonal_of(factors, 0, -2, -1)
    info = _first(astype(eq(diagonal, number(0, diagonal)), DType.int32))
    if check_errors:
        factors = succeeded(factors, info, SINGULAR)
    return FactoredEx(factors, pivots, info)


@op(module="linalg")
def lu(A: Value, *, pivot: bool = True) -> LU:
    """Return the factors of A = P L U: exchanged rows, lower and upper triangular.

    >>> import chainrule as cr
    >>> P, L, U = cr.linalg.lu(cr.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> (P @ L @ U).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    return LU(*_unpacked(*lu_factor(A, pivot=pivot)))


def _unpacked(factors: Value, pivots: Value) -> tuple[Value, Value, Value]:
    m, n = matrices("lu", factors.type)
    k, rank = min(m, n), len(factors.shape)
    low = tril(cut(factors, rank - 1, 0, k), -1)
    low = on_diagonal(low, full(1.0, low.dtype, low.shape))
    order = prims.permutation(pivots, size=m)
    moved = prims.permutation_matrix(factors, order)
    return moved, low, triu(cut(factors, rank - 2, 0, k))


@op(module="linalg")
def lu_solve(
    LU: Value, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False
) -> Value:
    """Return the solution of A X = B by what ``lu_factor(A)`` has returned.

    Args:
        LU, pivots: of A, (…, n, n) and (…, n).
        B: (…, n, k).
        left: whether A X = B, or X A = B.
        adjoint: whether Aᵀ stands for A.
    """
    square("lu_solve", LU)
    factors, b = stacks(LU, value_of(B) if left else turned(value_of(B)), "lu_solve")
    order = prims.permutation(value_of(pivots), size=LU.shape[-1])
    moved = prims.permutation_matrix(LU, order)
    if adjoint is left:  # Aᵀ = Uᵀ Lᵀ Pᵀ
        b = prims.solve_triangular(turned(factors), b, upper=False, unit=False)
        b = prims.solve_triangular(turned(factors), b, upper=True, unit=True)
        b = matmul(moved, b)
    else:
        b = matmul(turned(moved), b)
        b = prims.solve_triangular(factors, b, upper=False, unit=True)
        b = prims.solve_triangular(factors, b, upper=True, unit=False)
    return b if left else turned(b)


@op(name="lu_solve")
def old_lu_solve(x: Value, LU_data: Any, LU_pivots: Any) -> Value:
    """Return the solution of A X = x by A's factors; see ``linalg.lu_solve``."""
    return lu_solve(value_of(LU_data), LU_pivots, x)


def _need_pivots(pivot: bool) -> None:
    if not pivot:
        raise ArgumentError(
            _("Rows are exchanged for the largest pivot, always."),
            expected="pivot=True",
            got=f"pivot={pivot!r}",
        )


def _first(zero: Value) -> Value:
    """Return the place, from 1 on, of the first 1 along the last axis, or 0."""
    if not zero.shape[-1]:
        return full(0, DType.int32, zero.shape[:-1])
    place = _next(astype(argmax(zero, -1), DType.int32))
    return mul(place, amax(zero, -1))


# -- Cholesky --------------------------------------------------------------------------


@op(module="linalg")
def cholesky(A: Value, *, upper: bool = False) -> Value:
    """Return the lower triangular L with A = L Lᵀ, or its transpose.

    The lower triangle of A is read (or the upper one). Derivatives are those of a
    function of symmetric matrices.

    Raises:
        ArgumentError: A is not positive definite.

    >>> import chainrule as cr
    >>> cr.linalg.cholesky(cr.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    factor, info = cholesky_ex(A, upper=upper)
    return succeeded(factor, info, INDEFINITE)


@op(module="linalg")
def cholesky_ex(
    A: Value, *, upper: bool = False, check_errors: bool = False
) -> CholeskyEx:
    """Return the Cholesky factor of A, and where it fails, or 0: NaN is the factor."""
    factor, info = prims.cholesky(turned(square("cholesky", A)) if upper else A)
    if check_errors:
        factor = succeeded(factor, info, INDEFINITE)
    return CholeskyEx(turned(factor) if upper else factor, info)


@op(name="cholesky")
def old_cholesky(x: Value, upper: bool = False) -> Value:
    """Return the Cholesky factor of symmetric matrices; see ``linalg.cholesky``."""
    return cholesky(x, upper=upper)


@op
def cholesky_solve(x: Value, L: Any, upper: bool = False) -> Value:
    """Return the solution of A X = x by the Cholesky factor of A.

    Args:
        x: (…, n, k).
        L: A = L Lᵀ, or with ``upper`` A = Lᵀ L.
        upper: whether L is upper triangular.
    """
    factor, b = stacks(square("cholesky_solve", value_of(L)), x, "cholesky_solve")
    factor = turned(factor) if upper else factor
    b = prims.solve_triangular(factor, b, upper=False, unit=False)
    return prims.solve_triangular(turned(factor), b, upper=True, unit=False)


@op
def cholesky_inverse(x: Value, upper: bool = False) -> Value:
    """Return the inverse of the matrices whose Cholesky factors are given."""
    return cholesky_solve(identity(square("cholesky_inverse", x)), x, upper)
