"""Primitives that make values out of nothing: numbers, sizes, counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import DTypeError, ShapeError
from chainrule.graph.declare import declare
from chainrule.graph.node import Array
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, Dim, DType, Shape, size_of
from chainrule.notation import functions as f
from chainrule.primitives.rules import need_axes

Ints = tuple[int, ...]


def _constant_rule(*, value: tuple[Any, ...], shape: Shape, dtype: DType) -> ArrayType:
    if len(value) != size_of(shape):
        raise ShapeError(
            "A constant needs one number for each of its elements.",
            expected=f"{size_of(shape)} numbers",
            got=str(len(value)),
        )
    return ArrayType(shape, dtype)


@declare(
    rule=_constant_rule,
    formula=f.one_number,
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


@declare(
    rule=_size_rule,
    formula=f.symbol("n"),
    source="the number of elements along an axis, as a number to compute with",
    cases=(Case((), {"dim": 7, "dtype": DType.float32}),),
)
def size(*, dim: int, dtype: DType) -> Array:
    return np.asarray(dim, dtype.numpy)


def _iota_rule(*, shape: Shape, axis: int, dtype: DType) -> ArrayType:
    need_axes("iota", (axis,), len(shape))
    if dtype is DType.bool:
        raise DTypeError("iota counts.", expected="a dtype of numbers", got="bool")
    return ArrayType(shape, dtype)


@declare(
    rule=_iota_rule,
    formula=f.symbol("i"),
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
