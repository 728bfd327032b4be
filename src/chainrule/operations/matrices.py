"""Checks, named results and vectors as columns, for functions of matrices."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from chainrule.errors import DTypeError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import as_dtype
from chainrule.operations.arithmetic import eq, isfinite, number
from chainrule.operations.operands import (
    astype,
    broadcast_shapes,
    broadcast_to,
    promote,
    value_of,
)
from chainrule.operations.shapes import reshaped
from chainrule.primitives.checks import require_all
from chainrule.primitives.matrices import matrices
from chainrule.primitives.rules import same, show
from chainrule.text import _

#: The axes of matrices in a stack.
LAST = (-2, -1)

T = TypeVar("T")


class Slogdet(NamedTuple, Generic[T]):
    """The sign of a determinant, and the logarithm of its size."""

    sign: T
    logabsdet: T


class Factored(NamedTuple, Generic[T]):
    """L and U in one matrix, and the rows exchanged, counted from 1."""

    LU: T
    pivots: T


class FactoredEx(NamedTuple, Generic[T]):
    """A factorisation, with 0 or the number of the first pivot that is zero."""

    LU: T
    pivots: T
    info: T


class LU(NamedTuple, Generic[T]):
    """The factors of A = P L U."""

    P: T
    L: T
    U: T


class CholeskyEx(NamedTuple, Generic[T]):
    """A Cholesky factor, with 0 or the first leading minor that is not positive."""

    L: T
    info: T


class SolvedEx(NamedTuple, Generic[T]):
    """A solution, with 0 or the number of the first pivot that is zero."""

    result: T
    info: T


class InverseEx(NamedTuple, Generic[T]):
    """An inverse, with 0 or the number of the first pivot that is zero."""

    inverse: T
    info: T


class LeastSquares(NamedTuple, Generic[T]):
    """Solutions of least squares, sums of squares left, ranks and singular values."""

    solution: T
    residuals: T
    rank: T
    singular_values: T


class QR(NamedTuple, Generic[T]):
    """The factors of A = Q R."""

    Q: T
    R: T


class Eigen(NamedTuple, Generic[T]):
    """Eigenvalues in rising order, and eigenvectors as columns."""

    eigenvalues: T
    eigenvectors: T


class SVD(NamedTuple, Generic[T]):
    """The factors of A = U diag(S) Vh."""

    U: T
    S: T
    Vh: T


class OldSVD(NamedTuple, Generic[T]):
    """The factors of A = U diag(S) Vᵀ."""

    U: T
    S: T
    V: T


# -- checks ----------------------------------------------------------------------------


def floats(name: str, x: Value) -> Value:
    """Return a function's argument; raise an error if it is of integers."""
    same(name, 1, "floats")(x.type)
    return x


def square(name: str, x: Value) -> Value:
    """Return a function's argument; raise an error if it is no square matrices."""
    matrices(name, x.type, square=True)
    return x


def finite(name: str, x: Value) -> Value:
    """Return matrices; a run with NaN or ∞ among their elements is refused."""
    matrices(name, x.type)
    return require_all(
        x,
        isfinite(x),
        _("{name} does not converge for NaN and ∞.", name=name),
        expected=_("finite numbers"),
        got=_("others among the elements"),
    )


def succeeded(x: Value, info: Value, why: tuple[str, str, str]) -> Value:
    """Return a result, with a check in each run that every ``info`` is 0.

    Args:
        x: the result.
        info: of each matrix.
        why: the error's first sentence, what was expected, and a remedy.
    """
    what, expected, fix = why
    holds = eq(info, number(0, info))
    got = _("one that is not, in the batch or alone")
    return require_all(x, holds, what, expected=expected, got=got, fix=fix)


# -- operands --------------------------------------------------------------------------


def stacks(a: Value, b: Value, name: str) -> tuple[Value, Value]:
    """Return two stacks of matrices of one dtype with their batches broadcast."""
    floats(name, a)
    same(name, 2)(a.type, type(a.type)(a.shape, b.dtype))
    lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = broadcast_to(a, (*lead, *a.shape[-2:]))
    return a, broadcast_to(b, (*lead, *b.shape[-2:]))


def right_side(a: Value, other: Any, name: str) -> tuple[Value, bool]:
    """Return a right-hand side as matrices, and whether it was of vectors.

    It is if it has one axis, or the shape of the matrices without their last axis.
    """
    b = value_of(other)
    vectors = len(b.shape) == 1 or (
        len(b.shape) == len(a.shape) - 1 and b.shape == a.shape[:-1]
    )
    if not b.shape:
        raise ShapeError(
            _("{name} takes a vector or matrices on the right.", name=name),
            got=show(b.shape),
        )
    return (reshaped(b, (*b.shape, 1)) if vectors else b), vectors


def in_dtype(x: Value, dtype: Any) -> Value:
    """Return a value in a wider floating dtype; itself where that is None."""
    wanted = x.dtype if dtype is None else as_dtype(dtype)
    if promote(x.dtype, wanted) is not wanted:
        raise DTypeError(
            _("A norm is computed in the dtype of its argument, or in a wider one."),
            expected=_("{name}, or a wider one", name=x.dtype.name),
            got=wanted.name,
        )
    return astype(x, wanted)
