"""Primitives that create arrays without inputs: constants, sizes, ranges."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import notation as write
from chainrule.errors import DTypeError, ShapeError
from chainrule.graph.declare import declare
from chainrule.graph.node import Array
from chainrule.graph.primitive import REFERENCES, Case, of_any
from chainrule.graph.types import (
    ArrayType,
    Dim,
    DType,
    Shape,
    SymbolicDim,
    size_of,
)
from chainrule.primitives.rules import need_axes
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr

Ints = tuple[int, ...]
#: A constant of up to so many numbers is written out.
_SHOWN_AT_MOST = 6


def _constant_rule(*, value: tuple[Any, ...], shape: Shape, dtype: DType) -> ArrayType:
    if len(value) != size_of(shape):
        raise ShapeError(
            _("A constant needs one number for each of its elements."),
            expected=_("numbers: {shape}", shape=size_of(shape)),
            got=str(len(value)),
        )
    return ArrayType(shape, dtype)


def _written(*, value: tuple[Any, ...], shape: Shape, dtype: DType) -> Expr:
    """Return the formula that shows a constant of a graph: a number, a list, or c."""
    if len({repr(number) for number in value}) == 1:
        return write.Number(float(value[0]))
    how = partial(REFERENCES[constant], value=value, shape=shape, dtype=dtype)
    few = len(value) <= _SHOWN_AT_MOST
    shown = _nested(list(map(float, value)), shape) if few else write.symbol("c")
    return write.computed(shown, how=how, key=(value, shape, dtype))


def _nested(numbers: list[float], shape: Shape) -> Expr:
    if not shape:
        return write.Number(numbers[0])
    step = len(numbers) // max(int(shape[0]), 1) or 1  # pyright: ignore
    rows = [numbers[i : i + step] for i in range(0, len(numbers), step)]
    return write.group([_nested(row, shape[1:]) for row in rows], "[]")


@declare(
    rule=_constant_rule,
    formula=of_any(_written),
    moves=True,
    source="numbers written into the graph",
    cases=(
        Case((), {"value": (0.5,), "shape": (), "dtype": DType.float32}),
        Case((), {"value": (1, 2, 3, 4), "shape": (2, 2), "dtype": DType.int32}),
    ),
)
def constant(*, value: tuple[Any, ...], shape: Ints, dtype: DType) -> Array:
    return np.array(value, dtype.numpy).reshape(shape)


def _size_rule(*, dim: Dim, dtype: DType) -> ArrayType:
    return ArrayType((), dtype)


def _count(dim: Dim, dtype: DType) -> Expr:
    """Return the formula that shows an array size: a number, or n for the samples."""
    if not isinstance(dim, SymbolicDim):
        return write.Number(dim)
    n = write.symbol("n")
    return n if dim.factor == 1 else dim.factor * n


@declare(
    rule=_size_rule,
    formula=_count,
    moves=True,
    source="the number of elements along an axis, as a number to compute with",
    cases=(Case((), {"dim": 7, "dtype": DType.float32}),),
)
def size(*, dim: int, dtype: DType) -> Array:
    return np.asarray(dim, dtype.numpy)


def _iota_rule(*, shape: Shape, axis: int, dtype: DType) -> ArrayType:
    need_axes("iota", (axis,), len(shape))
    if dtype is DType.bool:
        raise DTypeError(
            _("iota counts."), expected=_("a dtype of numbers"), got="bool"
        )
    return ArrayType(shape, dtype)


def _letter(shape: Shape, axis: int, dtype: DType) -> Expr:
    """Return the formula that shows a range 0, 1, 2, …: its axis' index letter."""
    samples = isinstance(shape[0], SymbolicDim)
    return write.symbol(write.axis_letters(len(shape), samples)[axis])


@declare(
    rule=_iota_rule,
    shown=_letter,
    moves=True,
    source="0, 1, 2, … along an axis (APL's ι)",
    cases=(
        Case((), {"shape": (7,), "axis": 0, "dtype": DType.int32}),
        Case((), {"shape": (3, 4), "axis": 1, "dtype": DType.float32}),
        Case((), {"shape": (3, 4), "axis": 0, "dtype": DType.int64}),
    ),
)
def iota(*, shape: Ints, axis: int, dtype: DType) -> Array:
    steps = [-1 if i == axis else 1 for i in range(len(shape))]
    line = np.arange(shape[axis], dtype=dtype.numpy).reshape(steps)
    return np.broadcast_to(line, shape)
