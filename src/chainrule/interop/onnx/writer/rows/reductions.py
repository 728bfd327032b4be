"""Rows of primitives that reduce axes, run along one, or sort."""

from __future__ import annotations

import math
from functools import partial

from chainrule.graph.node import Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.interop.onnx.writer.emitter import Emitter, Ref
from chainrule.interop.onnx.writer.kernels import carrier
from chainrule.interop.onnx.writer.rows.loops import Results, along, looped
from chainrule.interop.onnx.writer.table import Call, row
from chainrule.primitives import reduce as p
from chainrule.primitives.elementwise import convert
from chainrule.primitives.movement import broadcast_to, reduce_sum, reshape
from chainrule.primitives.sorting import argsort

_LONG = (DType.int64, DType.uint64)


@row(reduce_sum)
def of_reduce_sum(c: Call) -> Ref:
    """ONNX Runtime adds up 64 bits in float64: as halves, of which 2²¹ are exact."""
    axes = c.attrs["axes"]
    if c.x.dtype not in _LONG or _narrow(c.values[0]):
        return c.e.reduce("ReduceSum", c.x, axes)
    x = c.x.cast(DType.int64)
    high = x / 2**32
    low = x - high * 2**32
    high, low = (c.e.reduce("ReduceSum", half, axes) for half in (high, low))
    return (high * 2**32 + low).cast(c.x.dtype)


def _narrow(value: Value) -> bool:
    """Return whether integers come from a type of at most 32 bits."""
    node = value.node
    while node is not None and node.primitive in (broadcast_to, reshape):
        node = node.inputs[0].node
    if node is None or node.primitive is not convert:
        return False
    dtype = node.inputs[0].dtype
    return not dtype.is_float and dtype.itemsize <= 4


@row(p.reduce_prod)
def of_reduce_prod(c: Call) -> Ref:
    """ONNX Runtime multiplies 64 bits in float64: one after the other is exact."""
    axes, shape = c.attrs["axes"], list(c.values[0].shape)
    if c.x.dtype not in _LONG:
        return c.e.reduce("ReduceProd", c.x, axes)
    x, one = c.x, c.e.scalar(1, c.x.dtype)

    def step(__: Emitter, carry: list[Ref], now: list[Ref]) -> Results:
        return [carry[0] * now[0]], []

    for axis in sorted(axes, reverse=True):
        length = shape.pop(axis)
        rest = tuple(shape)
        first = c.e.expand(one, rest)
        if length == 0:
            x = first
        else:
            (x,) = looped(c.e, step, [first], [x], [rest, rest], axis=axis)
    return x


@row(p.reduce_max)
def of_reduce_max(c: Call) -> Ref:
    """The largest number; NaN where there is one, which runtimes may pass over."""
    axes = c.attrs["axes"]
    largest = c.e.reduce("ReduceMax", c.x, axes)
    if not c.x.dtype.is_float or not axes:
        return largest
    unordered = c.x.bits("IsNaN").cast(DType.int32)
    some = c.e.reduce("ReduceMax", unordered, axes).cast(DType.bool)
    return some.where(math.nan, largest)


def _index(c: Call, operator: str) -> Ref:
    """Return the index of an extremum; NaN is the largest and the smallest."""
    axis = c.attrs["axis"]

    def index(x: Ref, of: str) -> Ref:
        return c.e.op(of, x, dtype=DType.int64, axis=axis, keepdims=0)

    found = index(c.x, operator)
    if not c.x.dtype.is_float:
        return found
    unordered = c.x.bits("IsNaN").cast(DType.int32)
    some = c.e.reduce("ReduceMax", unordered, [axis]).cast(DType.bool)
    return some.where(index(unordered, "ArgMax"), found)


for _primitive, _operator in {p.argmax: "ArgMax", p.argmin: "ArgMin"}.items():
    row(_primitive)(partial(_index, operator=_operator))


@row(p.cumsum)
def of_cumsum(c: Call) -> Ref:
    if 0 in c.values[0].shape:
        return c.x
    axis, reverse = c.attrs["axis"], c.attrs["reverse"]
    at = c.e.scalar(axis, DType.int32)
    # Of int32 numbers the axis would be taken for another one of them.
    x = c.x.cast(DType.int64) if c.x.dtype is DType.int32 else c.x
    return x.op("CumSum", at, reverse=int(reverse)).cast(c.x.dtype)


@row(p.cumprod)
def of_cumprod(c: Call) -> Ref:
    axis, reverse = c.attrs["axis"], c.attrs["reverse"]
    if 0 in c.values[0].shape:
        return c.x
    one = c.e.scalar(1, c.x.dtype)
    shape = c.values[0].shape
    rest = (*shape[:axis], *shape[axis + 1 :])
    first = c.e.expand(one, rest)

    def step(__: Emitter, carry: list[Ref], now: list[Ref]) -> tuple[list[Ref], Ref]:
        product = carry[0] * now[0]
        return [product], product

    return along(c.e, step, [first], [c.x], [rest, rest], axis, reverse=reverse)


@row(p.linear_recurrence)
def of_linear_recurrence(c: Call) -> Ref:
    """yᵢ = aᵢ yᵢ₋₁ + bᵢ; the first is b alone, whatever a is there."""
    axis, reverse = c.attrs["axis"], c.attrs["reverse"]
    shape = c.values[0].shape
    if 0 in shape:
        return c.y
    zero = c.e.scalar(0.0, c.x.dtype)
    rest = (*shape[:axis], *shape[axis + 1 :])
    before = c.e.expand(zero, rest)
    first = c.e.scalar(True, DType.bool)

    def step(e: Emitter, carry: list[Ref], now: list[Ref]) -> tuple[list[Ref], Ref]:
        (y, begins), (a, b) = carry, now
        new = begins.where(b, a * y + b)
        return [new, e.scalar(False, DType.bool)], new

    shapes, xs = [rest, (), rest, rest], [c.x, c.y]
    return along(c.e, step, [before, first], xs, shapes, axis, reverse=reverse)


@row(argsort)
def of_argsort(c: Call) -> Ref:
    """The stable order by TopK, which takes equals in their order."""
    axis, descending = c.attrs["axis"], c.attrs["descending"]
    length = c.values[0].shape[axis]
    if 0 in c.values[0].shape:
        return c.e.reshape(c.e.ints([]), c.values[0].shape)

    def order(x: Ref) -> Ref:
        wide = x.cast(carrier("TopK", x.dtype))
        largest = int(descending)
        options = {"axis": axis, "largest": largest, "sorted": 1}
        kinds = [wide.dtype, DType.int64]
        return c.e.node("TopK", [wide, c.e.size(length)], kinds, **options)[1]

    if not c.x.dtype.is_float or (length == 1 and not isinstance(length, SymbolicDim)):
        return order(c.x)
    # NaN is the largest: first as a number among others, then by being one.
    unordered = c.x.bits("IsNaN")
    numbers = order(unordered.where(0.0, c.x))
    kinds = c.e.node(
        "GatherElements",
        [unordered.cast(DType.int32), numbers],
        [DType.int32],
        axis=axis,
    )[0]
    again = order(kinds)
    return c.e.node("GatherElements", [numbers, again], [DType.int64], axis=axis)[0]
