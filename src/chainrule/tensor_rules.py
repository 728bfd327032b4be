"""NumPy's rules for operands, as compositions of primitives on graph values.

Promotion of dtypes, broadcasting, axes counted from the end, the one free size of a
reshape. :class:`chainrule.tensor.Tensor` wraps these; a primitive itself takes operands
of one shape and one dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.build import constant as number
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, DType, Shape, Size, as_dtype, size_of
from chainrule.primitives import elementwise, movement, reduce
from chainrule.primitives.matmul import dot
from chainrule.primitives.rules import show

Dims = int | Sequence[int] | None


# -- dtypes and shapes of two operands ------------------------------------------------


def promote(a: DType, b: DType) -> DType:
    """The common dtype of two operands: floats win over integers, wide over narrow."""
    if a is b:
        return a
    if a.is_float != b.is_float:
        return a if a.is_float else b
    return as_dtype(np.promote_types(a.numpy, b.numpy))


def broadcast_shapes(a: Shape, b: Shape) -> Shape:
    """The common shape of two operands under NumPy's rules; N matches only N and 1."""
    rank = max(len(a), len(b))
    full_a, full_b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if any(x != y and x != 1 and y != 1 for x, y in zip(full_a, full_b)):
        raise ShapeError(
            "These shapes do not combine.",
            expected="axes that agree, counted from the last, or have length 1",
            got=f"{show(a)} and {show(b)}",
            fix="reshape one of them, for example b.reshape(-1, 1)",
        )
    return tuple(y if x == 1 else x for x, y in zip(full_a, full_b))


def cast(v: Value, dtype: DType) -> Value:
    """``v`` itself where it has that dtype, else converted."""
    return v if v.dtype is dtype else elementwise.convert(v, dtype=dtype)


def stretch(v: Value, shape: Shape) -> Value:
    """``v`` itself where it has that shape, else broadcast to it."""
    return v if v.shape == shape else movement.broadcast_to(v, shape=shape)


def binary(primitive: Any, v: Value, w: Value, *, floating: bool = False) -> Value:
    """An elementwise primitive on operands that promotion and broadcasting make alike.

    Args:
        primitive: of two operands.
        v: the first.
        w: the second.
        floating: whether integers become float32 first, as for division.
    """
    dtype = promote(v.dtype, w.dtype)
    if floating and not dtype.is_float:
        dtype = DType.float32
    v, w = cast(v, dtype), cast(w, dtype)
    shape = broadcast_shapes(v.shape, w.shape)
    return primitive(stretch(v, shape), stretch(w, shape))


def select(condition: Value, a: Value, b: Value) -> Value:
    """``a`` where ``condition`` is true, else ``b``; all three are broadcast."""
    condition = cast(condition, DType.bool)
    dtype = promote(a.dtype, b.dtype)
    a, b = cast(a, dtype), cast(b, dtype)
    shape = broadcast_shapes(broadcast_shapes(condition.shape, a.shape), b.shape)
    return elementwise.where(*(stretch(v, shape) for v in (condition, a, b)))


def matmul(v: Value, w: Value) -> Value:
    """The matrix product, with NumPy's rules for vectors and stacks of matrices."""
    dtype = promote(v.dtype, w.dtype)
    v, w = cast(v, dtype), cast(w, dtype)
    m, n = len(v.shape), len(w.shape)
    if not m or not n:
        raise ShapeError("@ multiplies vectors and matrices.", got="a scalar", fix="*")
    if m != n and n > 2:
        lead = broadcast_shapes(v.shape[:-2], w.shape[:-2])
        v = stretch(v, (*lead, *v.shape[-2:])) if m > 1 else v
        w = stretch(w, (*lead, *w.shape[-2:]))
        m, n = len(v.shape), len(w.shape)
    letters = "abcdefgh"
    left = letters[: m - 2] + "mk" if m > 1 else "k"
    right = letters[: n - 2] + "kn" if n > 1 else "k"
    out = "".join(c for c in letters if c in left or c in right)
    out += "".join(c for c in "mn" if c in left + right)
    return dot(v, w, f"{left},{right}->{out}")


def integer_power(v: Value, power: int) -> Value:
    """vᵖ by repeated squaring; its derivative follows from the products."""
    if power == 0:  # 1, with a derivative of 0
        return binary(
            elementwise.add,
            binary(elementwise.mul, v, number(0, v.dtype)),
            number(1, v.dtype),
        )
    if power < 0:
        one = number(1.0, v.dtype if v.dtype.is_float else DType.float32)
        return binary(elementwise.div, one, integer_power(v, -power), floating=True)
    result: Value | None = None
    while power:
        if power & 1:
            result = v if result is None else elementwise.mul(result, v)
        power >>= 1
        v = elementwise.mul(v, v) if power else v
    assert result is not None
    return result


# -- axes and sizes -------------------------------------------------------------------


def axis_of(shape: Shape, dim: int) -> int:
    """An axis counted from 0; −1 is the last."""
    rank = len(shape)
    if not isinstance(dim, int | np.integer) or isinstance(dim, bool):
        raise ArgumentError(
            "An axis is named by its number.",
            expected="an integer such as -1 for the last one, or several in a tuple "
            "where several are taken",
            got=f"{dim!r:.80}",
        )
    if not -rank <= dim < rank:
        raise ShapeError(
            f"Axis {dim} does not exist.",
            expected=f"−{rank} … {rank - 1}" if rank else "no axis: it is a scalar",
            got=f"{dim} for shape {show(shape)}",
        )
    return int(dim) % rank


def axes_of(shape: Shape, dim: Dims) -> tuple[int, ...]:
    """Axes counted from 0, in order; None means all of them."""
    if dim is None:
        return tuple(range(len(shape)))
    given = dim if isinstance(dim, Sequence) else (dim,)
    axes = tuple(sorted(axis_of(shape, d) for d in given))
    if len(set(axes)) < len(axes):
        raise ShapeError(
            "An axis is reduced once.",
            expected="axes that differ",
            got=f"{dim} for shape {show(shape)}",
        )
    return axes


def reduce_over(primitive: Any, v: Value, dim: Dims, keepdim: bool) -> Value:
    """A reduction over ``dim``; ``keepdim`` leaves axes of length 1."""
    made = primitive(v, axes=axes_of(v.shape, dim))
    return restored(made, v.shape, dim) if keepdim else made


def restored(made: Value, shape: Shape, dim: Dims) -> Value:
    """The result of a reduction, with axes of length 1 where it has none any more."""
    axes = axes_of(shape, dim)
    kept = tuple(1 if i in axes else d for i, d in enumerate(shape))
    return movement.reshape(made, shape=kept)


def least(v: Value, dim: Dims, keepdim: bool) -> Value:
    """The minimum over ``dim``: the maximum, with the order turned over.

    That is −x for floats; −1 − x and largest − x for integers with and without a sign,
    which have no −x for every x.
    """

    def turned(x: Value) -> Value:
        if x.dtype.is_float:
            return elementwise.neg(x)
        limits = np.iinfo(x.dtype.numpy)
        pivot = number(-1 if limits.min else limits.max, x.dtype)
        return elementwise.sub(stretch(pivot, x.shape), x)

    if v.dtype is DType.bool:
        return cast(least(cast(v, DType.uint8), dim, keepdim), DType.bool)
    return turned(reduce_over(reduce.reduce_max, turned(v), dim, keepdim))


def total(v: Value, dim: Dims, keepdim: bool) -> Value:
    """The sum over ``dim``; integers and truth values are counted in int64."""
    wide = v if v.dtype.is_float else cast(v, DType.int64)
    return reduce_over(movement.reduce_sum, wide, dim, keepdim)


def numbers_of(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sizes or axes that came as ``f(2, 3)`` or as ``f((2, 3))``."""
    if len(arguments) == 1 and isinstance(arguments[0], tuple | list):
        return tuple(arguments[0])
    return arguments


def fill(shape: Shape, wanted: tuple[Any, ...]) -> Shape:
    """``wanted`` with its −1 worked out, so that it has the elements of ``shape``."""
    if wanted.count(-1) > 1:
        raise ShapeError("reshape takes one −1 at most.", got=str(wanted))
    if -1 not in wanted:
        return tuple(d if isinstance(d, Size) else int(d) for d in wanted)
    known = size_of(tuple(d for d in wanted if d != -1))
    total = size_of(shape)
    if isinstance(total, int) and isinstance(known, int):
        if known == 0 or total % known:
            raise ShapeError(
                f"{show(shape)} does not reshape to {wanted}.",
                expected=f"{total} elements",
                got=f"a multiple of {known}",
            )
        free: Dim = total // known
    else:
        free = (total if isinstance(total, Size) else Size(factor=total)) // known
    return tuple(free if d == -1 else d for d in wanted)
