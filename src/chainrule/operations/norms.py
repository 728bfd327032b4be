"""Tensor functions of ``cr.linalg`` that are norms, products and other views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Value
from chainrule.graph.types import size_of
from chainrule.operations import reductions, vectors
from chainrule.operations.arguments import Dims, axes_of, axis_of, whole
from chainrule.operations.arithmetic import abs_, div, eq, mul, number, select
from chainrule.operations.decompositions import svdvals
from chainrule.operations.diagonals import diagonal
from chainrule.operations.linear_systems import inv, inv_ex, solve
from chainrule.operations.matrices import LAST, floats, in_dtype, square
from chainrule.operations.movement import permuted
from chainrule.operations.op import Viewed, op
from chainrule.operations.operands import (
    broadcast_to,
    full,
    promoted,
    value_of,
)
from chainrule.operations.products import matmul
from chainrule.operations.reductions import amax, amin, sum_
from chainrule.operations.shapes import cut, reshaped
from chainrule.primitives.rules import show
from chainrule.text import _, ngettext

Number = int | float


# -- norms -----------------------------------------------------------------------------


@op(module="linalg")
def vector_norm(
    x: Value,
    ord: Any = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Value:
    r"""Return (Σ \|x\|ᵖ)^(1/p) over ``dim``, by default of all elements.

    Args:
        x: floats.
        ord: p; for ±∞ the largest and smallest \|x\|, for 0 how many are not 0.
        dim: an axis or several.
        keepdim: whether these stay, with length 1.
        dtype: a wider one, to which x is converted first.

    >>> import chainrule as cr
    >>> cr.linalg.vector_norm(cr.tensor([3.0, 4.0]))
    tensor(5.)
    """
    v = in_dtype(floats("vector_norm", x), dtype)
    if not isinstance(ord, Number):
        raise ArgumentError(
            _("A norm of vectors is named by a number."),
            expected="ord=2, 1, inf, …",
            got=f"{ord!r:.40}",
        )
    axes = axes_of(v.shape, dim) if v.shape or dim not in (0, -1) else ()
    if (ord < 0 or ord == math.inf) and 0 in [v.shape[a] for a in axes]:
        raise ShapeError(
            _("No number is the norm of no elements, of an infinite or negative p."),
            expected=_("elements"),
            got=show(v.shape),
        )
    return reductions.norm(v, float(ord), axes, keepdim)


@op(module="linalg")
def matrix_norm(
    A: Value,
    ord: Any = "fro",
    dim: Sequence[int] = LAST,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Value:
    """Return a norm of matrices.

    Args:
        A: floats, of at least two axes.
        ord: "fro" for √Σ a², "nuc" for the sum of singular values, ±2 for the largest
            and smallest of these, ±1 and ±inf for those of the sums of sizes in columns
            and rows.
        dim: the axes of rows and columns.
        keepdim: whether these stay, with length 1.
        dtype: a wider one, to which A is converted first.

    >>> import chainrule as cr
    >>> cr.linalg.matrix_norm(cr.tensor([[1.0, -2.0], [3.0, 4.0]]), 1)
    tensor(6.)
    """
    v = in_dtype(floats("matrix_norm", A), dtype)
    if not isinstance(dim, Sequence) or len(dim) != 2 or len(v.shape) < 2:
        raise ShapeError(
            _("Matrices have two axes."),
            expected=_("dim=(rows, columns)"),
            got=f"dim={dim!r:.40}, {show(v.shape)}",
        )
    row, column = axis_of(v.shape, dim[0]), axis_of(v.shape, dim[1])
    axes_of(v.shape, (row, column))
    if ord == "fro":
        return vector_norm(v, 2, (row, column), keepdim)
    if ord in ("nuc", 2, -2):
        rest = [a for a in range(len(v.shape)) if a not in (row, column)]
        s = svdvals(permuted(v, (*rest, row, column)).value)
        result = sum_(s, -1) if ord == "nuc" else _extreme(s, -1, ord)
        shape = [1 if a in (row, column) else d for a, d in enumerate(v.shape)]
        return reshaped(result, tuple(shape)) if keepdim else result
    if ord not in (1, -1, math.inf, -math.inf):
        raise ArgumentError(
            _("A norm of matrices has one of a few names."),
            expected="'fro', 'nuc', 2, -2, 1, -1, inf, -inf",
            got=f"{ord!r:.40}",
        )
    along, across = (row, column) if abs(ord) == 1 else (column, row)
    sums = sum_(abs_(v), along, True)
    result = _extreme(sums, across, ord)
    shape = [1 if a in (row, column) else d for a, d in enumerate(v.shape)]
    if not keepdim:
        shape = [d for a, d in enumerate(v.shape) if a not in (row, column)]
    return reshaped(result, tuple(shape))


def _extreme(sizes: Value, axis: int, ord: float) -> Value:
    """Return the largest size along an axis, 0 of none; the least for ord < 0."""
    axis = axis_of(sizes.shape, axis)
    if ord > 0 and sizes.shape[axis] == 0:
        rest = [d for a, d in enumerate(sizes.shape) if a != axis]
        return full(0.0, sizes.dtype, tuple(rest))
    return (amax if ord > 0 else amin)(sizes, axis)


@op(module="linalg")
def norm(
    A: Value,
    ord: Any = None,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Value:
    """Return a norm of vectors along one axis, or of matrices along two.

    Without ``ord`` and ``dim`` it is √Σ x² of all elements.
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    axes = (dim,) if isinstance(dim, int) else dim
    if axes is None:
        if len(A.shape) not in (1, 2):
            raise ShapeError(
                _("A norm with a name is that of a vector or of a matrix."),
                expected=_("one axis or two, or dim="),
                got=show(A.shape),
            )
        axes = tuple(range(len(A.shape)))
    if len(axes) == 1 and not isinstance(ord, str):
        return vector_norm(A, ord, axes, keepdim, dtype=dtype)
    return matrix_norm(A, ord, axes, keepdim, dtype=dtype)


@op(module="linalg")
def cond(A: Value, p: Any = None) -> Value:
    """Return the condition numbers ‖A‖ ‖A⁻¹‖ of matrices; ∞ for singular ones.

    Args:
        A: matrices (…, m, n), square unless p is None, 2 or −2.
        p: a norm of ``matrix_norm``; 2 where it is None.
    """
    if p in (None, 2, -2):
        s = svdvals(A)
        if not s.shape[-1]:
            return full(0.0, A.dtype, s.shape[:-1])
        axis, last = len(s.shape) - 1, int(s.shape[-1]) - 1
        large, small = (
            reshaped(cut(s, axis, i, i + 1), s.shape[:-1]) for i in (0, last)
        )
        return div(small, large) if p == -2 else div(large, small)
    square("cond", A)
    if not A.shape[-1]:
        return full(0.0, A.dtype, A.shape[:-2])
    inverse, info = inv_ex(A)
    size = mul(matrix_norm(A, p), _norm_of_inverse(inverse, p, info))
    return select(eq(info, number(0, info)), size, number(math.inf, size))


def _norm_of_inverse(inverse: Value, p: Any, info: Value) -> Value:
    whole_ = broadcast_to(reshaped(info, (*info.shape, 1, 1)), inverse.shape)
    found = eq(whole_, number(0, whole_))
    return matrix_norm(select(found, inverse, number(0, inverse)), p)


# -- products --------------------------------------------------------------------------


@op(module="linalg")
def multi_dot(tensors: Sequence[Any]) -> Value:
    """Return the product of several matrices, in the order that costs least.

    The first and the last may be vectors.

    >>> import chainrule as cr
    >>> cr.linalg.multi_dot([cr.ones(1, 2), cr.ones(2, 3), cr.ones(3)])
    tensor([6.])
    """
    values = [value_of(x) for x in tensors]
    ranks = [len(v.shape) for v in values]
    if len(values) < 2 or set(ranks[1:-1]) - {2} or {ranks[0], ranks[-1]} - {1, 2}:
        raise ShapeError(
            _("multi_dot multiplies two matrices or more; vectors stand at the ends."),
            got=", ".join(show(v.shape) for v in values),
        )
    sizes = [1, *values[0].shape] if ranks[0] == 1 else [*values[0].shape]
    sizes += [v.shape[-1] if len(v.shape) == 2 else 1 for v in values[1:]]
    best: dict[tuple[int, int], tuple[Any, int]] = {}
    for length in range(1, len(values)):
        for i in range(len(values) - length):
            j = i + length
            ways = [
                (
                    _cost(best, i, k)
                    + _cost(best, k + 1, j)
                    + sizes[i] * sizes[k + 1] * sizes[j + 1],
                    k,
                )
                for k in range(i, j)
            ]
            best[i, j] = min(ways)

    def made(i: int, j: int) -> Value:
        if i == j:
            return values[i]
        k = best[i, j][1]
        return matmul(made(i, k), made(k + 1, j))

    return made(0, len(values) - 1)


def _cost(best: dict[tuple[int, int], tuple[Any, int]], i: int, j: int) -> Any:
    return best[i, j][0] if i < j else 0


@op(module="linalg")
def vecdot(x: Value, y: Any, *, dim: int = -1) -> Value:
    """Return the inner products Σ x y of vectors along ``dim``, with broadcasting."""
    v, w = promoted(x, value_of(y))
    return sum_(mul(v, w), axis_of(v.shape, dim), dtype=v.dtype)


@op(module="linalg")
def cross(x: Value, other: Any, *, dim: int = -1) -> Value:
    """Return the cross products x × other of vectors of length 3 along ``dim``.

    >>> import chainrule as cr
    >>> cr.linalg.cross(cr.tensor([1.0, 0.0, 0.0]), cr.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    return vectors.cross(x, other, dim)


# -- other ways to look at matrices ----------------------------------------------------


@op(name="diagonal", module="linalg", wide=False)
def diagonal_last(
    A: Value, *, offset: int = 0, dim1: int = -2, dim2: int = -1
) -> Viewed:
    """Return the diagonals of matrices, the last two axes; see ``cr.diagonal``."""
    return diagonal(A, offset, dim1, dim2)


@op(module="linalg")
def vander(x: Value, *, N: int | None = None) -> Value:
    """Return the powers 0 … N − 1 of a vector's elements as rows; N is its length.

    >>> import chainrule as cr
    >>> cr.linalg.vander(cr.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    x = x if x.shape else reshaped(x, (1,))
    count = int(x.shape[-1]) if N is None else whole("N", N)
    if count < 1:
        raise ArgumentError(
            _("vander makes columns, at least one."), expected="N ≥ 1", got=f"N={N}"
        )
    return vectors.powers(x, count)


@op(module="linalg")
def tensorinv(A: Value, ind: int = 2) -> Value:
    """Return the inverse of a tensor as a map from its last axes to its first ones.

    Args:
        A: where the product of the first ``ind`` sizes is that of the others.
        ind: how many axes are the result's last ones.
    """
    ind = whole("ind", ind)
    first, last = A.shape[: max(ind, 0)], A.shape[max(ind, 0) :]
    if ind < 1 or size_of(first) != size_of(last):
        raise ShapeError(
            _("tensorinv takes as many sizes on the left as on the right."),
            expected=ngettext(
                "equal products of the first {n} size and the rest",
                "equal products of the first {n} sizes and the rest",
                n=ind,
            ),
            got=show(A.shape),
        )
    matrix = reshaped(A, (size_of(first), size_of(last)))
    return reshaped(inv(matrix), (*last, *first))


@op(module="linalg")
def tensorsolve(A: Value, B: Any, dims: Sequence[int] | None = None) -> Value:
    """Return the X with tensordot(A, X, X.ndim) = B.

    Args:
        A: of B's axes, and then those of X; of as many elements on both sides.
        B: the right-hand side.
        dims: axes of A that are moved to its end first.
    """
    b = value_of(B)
    if dims is not None:
        moved = [axis_of(A.shape, d) for d in dims]
        rest = [a for a in range(len(A.shape)) if a not in moved]
        A = permuted(A, (*rest, *moved)).value
    last = A.shape[len(b.shape) :]
    if size_of(A.shape[: len(b.shape)]) != size_of(last) or size_of(b.shape) != size_of(
        last
    ):
        raise ShapeError(
            _("tensorsolve takes as many equations as unknowns."),
            expected=_("A of the shape of B, and of as many elements behind it"),
            got=f"{show(A.shape)}, {show(b.shape)}",
        )
    count = size_of(last)
    matrix = reshaped(A, (count, count))
    return reshaped(solve(matrix, reshaped(b, (count,))), last)
