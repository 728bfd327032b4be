"""Type rules, NumPy code, products and triangles for primitives of matrices.

All of them take stacks: matrices are the last two axes, and the axes before are a
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.node import Array, Value
from chainrule.graph.types import ArrayType, DType, Shape
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, less, where
from chainrule.primitives.matmul import dot
from chainrule.primitives.movement import broadcast_to, full_like, reshape, transpose
from chainrule.primitives.rules import same, show
from chainrule.text import _

LETTERS = "abcdefghij" + "opqrstuvwxyz"


# -- types -----------------------------------------------------------------------------


def matrices(name: str, x: ArrayType, *, square: bool = False) -> tuple[int, int]:
    """Return the sizes of a primitive's matrices; raise an error for other inputs."""
    same(name, 1, "floats")(x)
    m, n = x.shape[-2:] if len(x.shape) > 1 else (-1, -1)
    if not isinstance(m, int) or not isinstance(n, int) or m < 0 or (square and m != n):
        raise ShapeError(
            _("{name} takes matrices, or a stack of them.", name=name),
            expected=_("a shape (…, n, n) of fixed n")
            if square
            else _("a shape (…, m, n) of fixed m and n"),
            got=show(x.shape),
        )
    return m, n


def need_rows(name: str, a: ArrayType, b: ArrayType) -> None:
    """Raise an error unless b has as many rows as the square matrices a, and a batch.

    >>> need_rows("solve", *[ArrayType((2, 3, 3), DType.float32)] * 2)
    """
    matrices(name, a, square=True)
    same(name, 2)(a, ArrayType(a.shape, b.dtype))
    if len(b.shape) < 2 or b.shape[:-1] != a.shape[:-1]:
        raise ShapeError(
            _("{name} takes a right-hand side for each matrix.", name=name),
            expected=_("{shape} and any number of columns", shape=show(a.shape[:-1])),
            got=show(b.shape),
        )


# -- NumPy -----------------------------------------------------------------------------


def by_matrix(
    function: Callable[..., tuple[Array, ...]],
    arrays: Sequence[Array],
    cores: Sequence[Shape],
) -> tuple[Array, ...]:
    """Apply a function of NumPy's to stacks; NaN for the matrices that it refuses.

    Args:
        function: raises LinAlgError if it refuses one of them.
        arrays: the stacks.
        cores: the shapes of its results for one matrix.
    """
    try:
        return tuple(function(*arrays))
    except np.linalg.LinAlgError:
        lead = arrays[0].shape[:-2]
        results = [np.full((*lead, *core), np.nan, arrays[0].dtype) for core in cores]
    for i in np.ndindex(lead) if lead else ():
        made = by_matrix(function, [a[i] for a in arrays], cores)
        for result, part in zip(results, made, strict=True):
            result[i] = part
    return tuple(results)


# -- values ----------------------------------------------------------------------------


def all_of(
    ys: Sequence[Value | None], primitive: Any, inputs: Sequence[Value], **attrs: Any
) -> Sequence[Any]:
    """Return a primitive's results for its derivative; compute those not kept again."""
    return primitive(*inputs, **attrs) if None in ys else ys


def turned(x: Value) -> Value:
    """Return the transposes of matrices."""
    rank = len(x.shape)
    return transpose(x, axes=(*range(rank - 2), rank - 1, rank - 2))


def product(a: Value, b: Value, *more: Value) -> Value:
    """Return the products of matrices, from left to right."""
    lead = LETTERS[: len(a.shape) - 2]
    result = dot(a, b, f"{lead}mk,{lead}kn->{lead}mn")
    return product(result, *more) if more else result


def columns(v: Value, like: Value) -> Value:
    """Return matrices of a shape whose columns are all the vector v: v[…, i]."""
    return broadcast_to(reshape(v, shape=(*v.shape, 1)), shape=like.shape)


def rows(v: Value, like: Value) -> Value:
    """Return matrices of a shape whose rows are all the vector v: v[…, j]."""
    shape = (*v.shape[:-1], 1, v.shape[-1])
    return broadcast_to(reshape(v, shape=shape), shape=like.shape)


def is_above(x: Value, k: int = 0) -> Value:
    """Return the mask of matrix elements above the k-th diagonal, j − i > k."""
    core: Any = x.shape[-2:]
    row, column = (iota(shape=core, axis=a, dtype=DType.int64) for a in (0, 1))
    offset = full_like(row, k)
    return broadcast_to(less(add(row, offset), column), shape=x.shape)


def lower(x: Value, k: int = 0) -> Value:
    """Return matrices with zeros above the k-th diagonal."""
    return where(is_above(x, k), full_like(x, 0.0), x)


def upper(x: Value, k: int = 0) -> Value:
    """Return matrices with zeros below the k-th diagonal."""
    return where(is_above(x, k - 1), x, full_like(x, 0.0))


def on_diagonal(x: Value, diagonal: Value) -> Value:
    """Return matrices with their elements on the diagonal replaced."""
    return where(is_above(x, -1), where(is_above(x), x, diagonal), x)


def identity(x: Value) -> Value:
    """Return identity matrices of a stack's shape."""
    return on_diagonal(full_like(x, 0.0), full_like(x, 1.0))
