"""Creation of tensors from numbers, shapes and ranges.

Each function takes ``device=`` and ``requires_grad=`` too: see
:class:`chainrule.operations.op.Op`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from chainrule.errors import ArgumentError, GradientError, ShapeError
from chainrule.graph.apply import checked_constant
from chainrule.graph.context import context, dtype_or_default
from chainrule.graph.layout import UNKNOWN
from chainrule.graph.node import Value
from chainrule.graph.room import check_room
from chainrule.graph.types import Dim, DType, SymbolicDim, as_dtype
from chainrule.operations.arguments import numbers_of, shape_of, whole
from chainrule.operations.arithmetic import lerp
from chainrule.operations.device import check_device
from chainrule.operations.joining import stack
from chainrule.operations.op import op
from chainrule.operations.operands import (
    TensorBase,
    as_array,
    astype,
    broadcast_to,
    value_of,
)
from chainrule.operations.shapes import common, reshaped
from chainrule.primitives import movement
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, div, equal, mul, pow_, sub, where
from chainrule.primitives.movement import copy as copied
from chainrule.primitives.movement import reshape
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.dlpack import from_dlpack as from_dlpack_of


def _own(v: Value, like: Value | None = None) -> Value:
    """Return a new tensor's value with memory that nothing else uses.

    It has the memory order of ``like``, which is unknown here unless it is row-major.
    """
    ordered = like is not None and like.order
    if context.trace is None:
        v = copied(v)
    elif ordered:
        v = reshape(v, shape=v.shape)
    if ordered:
        v.order = UNKNOWN
    return v


def _dtype(dtype: Any, default: DType | None = None) -> DType:
    """Return a dtype; where it is None ``default``, or else that of Python floats."""
    return dtype_or_default(default if dtype is None else dtype)


@op(creates=True, method=False)
def full(shape: Any, fill_value: Any, *, dtype: Any = None) -> Value:
    """Return a tensor of a shape, filled with ``fill_value``.

    Args:
        shape: a size, or several in a tuple.
        fill_value: a number, or a tensor of one.
        dtype: float32, int64 or bool by default, as the number is.

    >>> import chainrule as cr
    >>> cr.full((2,), 7)
    tensor([7, 7])
    """
    return _own(_full(shape, fill_value, dtype))


def _full(shape: Any, number: Any, dtype: Any) -> Value:
    wanted = shape_of(shape)
    kinds = {bool: DType.bool, int: DType.int64, float: None}
    if type(number) in kinds:
        return movement.full(number, _dtype(dtype, kinds[type(number)]), wanted)
    one = value_of(number, None if dtype is None else as_dtype(dtype))
    if one.shape:
        raise ShapeError(
            _("full repeats one number."), got=_("shape {shape}", shape=one.shape)
        )
    return broadcast_to(one, wanted)


@op(creates=True, method=False)
def zeros(*size: Any, dtype: Any = None) -> Value:
    """Return a tensor of zeros, float32 by default: ``zeros(2, 3)``.

    Or ``zeros((2, 3))``.

    >>> import chainrule as cr
    >>> cr.zeros(2, 1)
    tensor([[0.],
            [0.]])
    """
    return _own(movement.full(0, _dtype(dtype), shape_of(numbers_of(size))))


@op(creates=True, method=False)
def ones(*size: Any, dtype: Any = None) -> Value:
    """Return a tensor of ones, float32 by default: ``ones(2, 3)``.

    Or ``ones((2, 3))``.

    >>> import chainrule as cr
    >>> cr.ones(2)
    tensor([1., 1.])
    """
    return _own(movement.full(1, _dtype(dtype), shape_of(numbers_of(size))))


@op(creates=True, method=False)
def empty(*size: Any, dtype: Any = None) -> Value:
    """Return a tensor of zeros; PyTorch's ``empty`` leaves the numbers undefined.

    >>> import chainrule as cr
    >>> cr.empty(1)
    tensor([0.])
    """
    return zeros(*size, dtype=dtype)


@op(creates=True, method=False)
def full_like(x: Value, fill_value: Any, *, dtype: Any = None) -> Value:
    """Return a tensor filled with ``fill_value``, with the shape and dtype of x.

    >>> import chainrule as cr
    >>> cr.full_like(cr.tensor([1, 2]), 5)
    tensor([5, 5])
    """
    return _own(_full(x.shape, fill_value, dtype or x.dtype), x)


@op(creates=True, method=False)
def zeros_like(x: Value, *, dtype: Any = None) -> Value:
    """Return a tensor of zeros in the shape and dtype of x.

    >>> import chainrule as cr
    >>> cr.zeros_like(cr.tensor([1, 2]))
    tensor([0, 0])
    """
    return _own(movement.full(0, _dtype(dtype, x.dtype), x.shape), x)


@op(creates=True, method=False)
def ones_like(x: Value, *, dtype: Any = None) -> Value:
    """Return a tensor of ones in the shape and dtype of x.

    >>> import chainrule as cr
    >>> cr.ones_like(cr.tensor([1.0, 2.0]))
    tensor([1., 1.])
    """
    return _own(movement.full(1, _dtype(dtype, x.dtype), x.shape), x)


@op(creates=True, method=False)
def empty_like(x: Value, *, dtype: Any = None) -> Value:
    """Return a tensor of zeros in the shape and dtype of x; see :func:`zeros_like`.

    >>> import chainrule as cr
    >>> cr.empty_like(cr.tensor([1, 2]))
    tensor([0, 0])
    """
    return zeros_like(x, dtype=dtype)


@op(creates=True, method=False)
def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
) -> Value:
    """Return start, start + step, … before ``end``; ``arange(n)`` starts at 0.

    int64 where all three are integers, else float32; element i is start + i · step.
    With an integer dtype the three are truncated first, as in PyTorch.
    ``arange(x.shape[0])`` counts along an axis whose size has a name, too.

    >>> import chainrule as cr
    >>> cr.arange(1, 10, 3)
    tensor([1, 4, 7])
    """
    start, stop = (0, start) if end is None else (start or 0, end)
    numbers = [_number(n, "arange") for n in (start, stop, step)]
    if dtype is not None and as_dtype(dtype).is_integer:
        numbers = [int(n) if isinstance(n, float) else n for n in numbers]
    start, stop, step = numbers
    if isinstance(stop, SymbolicDim):
        if (start, step) != (0, 1):
            raise ShapeError(
                _("A count of a named size begins at 0 and goes by 1."),
                expected=f"arange({stop})",
                got=f"arange({start}, {stop}, {step})",
                fix="cr.arange(n) * step + start",
            )
        return _own(iota(shape=(stop,), axis=0, dtype=_dtype(dtype, DType.int64)))
    integers = all(isinstance(n, int) for n in numbers)
    if not integers:
        names = ("start", "end", "step")
        start, stop, step = (validation.number(k, n) for k, n in zip(names, numbers))
    wanted = _dtype(dtype, DType.int64 if integers else None)
    if not step:
        raise ArgumentError(_("arange goes on by steps."), expected="step ≠ 0", got="0")
    span = stop - start
    count = max(-(-span // step) if integers else math.ceil(span / step), 0)
    check_room((count,), max(wanted.itemsize, 8))
    if count and integers:
        for end in (start, start + (count - 1) * step):
            checked_constant(end, wanted)
    if context.trace is None or not integers:
        array = np.arange(count) * step + start
        return value_of(as_array(array, wanted))
    line = iota(shape=(count,), axis=0, dtype=DType.int64)
    if (start, step) != (0, 1):
        line = mul(line, movement.full(step, DType.int64, (count,)))
        line = add(line, movement.full(start, DType.int64, (count,)))
    return _own(astype(line, wanted))


def _number(n: Any, name: str) -> Any:
    """Return an argument of a range as a number; refuse a tensor with a derivative."""
    if isinstance(n, TensorBase) and n.requires_grad:
        raise GradientError(
            _("{name} counts by numbers, which have no derivative.", name=name),
            expected=_("numbers, or tensors without a gradient"),
            got=repr(n)[:80],
            fix=_("cr.arange(n) * step + start, or x.item() for the number alone"),
        )
    return n.item() if isinstance(n, TensorBase | np.generic) else n


@op(creates=True, method=False)
def linspace(
    start: Any,
    end: Any,
    steps: int = 100,
    *,
    dtype: Any = None,
    endpoint: bool = True,
) -> Value:
    """Return ``steps`` equally spaced numbers from ``start`` to ``end``, inclusive.

    The ends may be tensors, which the derivative goes to.

    >>> import chainrule as cr
    >>> cr.linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    num = validation.count("steps", steps)
    endpoint = validation.truth("endpoint", endpoint)
    check_room((num,), 8)
    integers = dtype is not None and as_dtype(dtype).is_integer
    if integers:
        start, end = _truncated(start), _truncated(end)
    if isinstance(start, TensorBase) or isinstance(end, TensorBase):
        share = value_of(np.linspace(0.0, 1.0, num, endpoint=endpoint))
        low, high = (value_of(side, DType.float64) for side in (start, end))
        if low.shape or high.shape:
            raise ShapeError(
                _("linspace goes from a number to another."),
                expected=_("numbers, or tensors without axes"),
                got=_("{low} and {high}", low=low.shape, high=high.shape),
            )
        if integers:
            place = value_of(np.arange(num, dtype=np.float64))
            spaces = movement.full(max(num - endpoint, 1), low.dtype, ())
            step = div(sub(high, low), spaces)
            line = mul(place, broadcast_to(step, (num,)))
            line = add(broadcast_to(low, (num,)), line)
            if endpoint and num > 1:  # exact
                last = equal(place, movement.full(num - 1, place.dtype, (num,)))
                line = where(last, broadcast_to(high, (num,)), line)
            return astype(line, as_dtype(dtype))
        return astype(lerp(low, high, share), _dtype(dtype))
    ends = validation.number("start", start), validation.number("end", end)
    array = np.linspace(*ends, num, endpoint=endpoint)
    return value_of(as_array(array, _dtype(dtype)))


def _truncated(end: Any) -> Any:
    """Return an end of a range of integers as a whole number."""
    if isinstance(end, TensorBase):
        return end.trunc()  # type: ignore[attr-defined]
    return math.trunc(validation.number("end", end))


@op(creates=True, method=False)
def logspace(
    start: Any, end: Any, steps: int = 100, base: float = 10.0, *, dtype: Any = None
) -> Value:
    """Return ``steps`` numbers from base^start to base^end, in equal ratios.

    >>> import chainrule as cr
    >>> cr.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    wanted, base = _dtype(dtype), validation.number("base", base)
    if wanted.is_integer:
        start, end = _truncated(start), _truncated(end)
    line = linspace(start, end, steps, dtype=DType.float64)
    return astype(pow_(movement.full(base, line.dtype, line.shape), line), wanted)


@op(creates=True, method=False)
def eye(
    n_rows: Dim,
    n_cols: Dim | None = None,
    *,
    k: int = 0,
    dtype: Any = None,
) -> Value:
    """Return a matrix with 1 on the k-th diagonal and 0 elsewhere.

    >>> import chainrule as cr
    >>> cr.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    shape = shape_of((n_rows, n_rows if n_cols is None else n_cols))
    row, column = (iota(shape=shape, axis=i, dtype=DType.int64) for i in (0, 1))
    k = max(-(2**62), min(whole("k", k), 2**62))  # beyond every matrix
    on = equal(add(row, movement.full(k, DType.int64, shape)), column)
    return _own(astype(on, _dtype(dtype)))


@op(method=False)
def meshgrid(*arrays: Any, indexing: Literal["ij", "xy"] = "ij") -> list[Value]:
    """Return the coordinates of a grid's points, one tensor for each axis.

    Args:
        arrays: vectors, or one sequence of them.
        indexing: ``"ij"``, PyTorch's default, has the first vector along the first
            axis; ``"xy"``, that of NumPy and of the array API, along the second.

    >>> import chainrule as cr
    >>> [g.tolist() for g in cr.meshgrid(cr.tensor([1, 2]), cr.tensor([3]))]
    [[[1], [2]], [[3], [3]]]
    """
    if len(arrays) == 1 and isinstance(arrays[0], tuple | list):
        arrays = tuple(arrays[0])
    if indexing not in ("xy", "ij"):
        raise ArgumentError(
            _("meshgrid has two orders of axes."),
            expected=_("'xy' or 'ij'"),
            got=f"{indexing!r:.40}",
        )
    lines = common([value_of(x) for x in arrays], "meshgrid") if arrays else []
    for v in lines:
        if len(v.shape) > 1:
            raise ShapeError(_("meshgrid takes vectors."), got=f"{v.shape}")
    lines = [reshaped(v, (-1,)) for v in lines]
    places = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        places[:2] = [1, 0]
    shape: list[Any] = [0] * len(lines)
    for place, v in zip(places, lines):
        shape[place] = v.shape[0]
    result: list[Value] = []
    for place, v in zip(places, lines):
        column = [1] * len(lines)
        column[place] = -1
        result.append(broadcast_to(reshaped(v, tuple(column)), tuple(shape)))
    return result


@op(method=False)
def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Any:
    """Return an object as a tensor; a tensor itself, unless it must be converted.

    Args:
        obj: a tensor, numbers in nested lists, an array, or what speaks DLPack.
        dtype: to convert to; Python's floats become float32.
        device: ``"cpu"``.
        copy: True for memory of its own; False refuses to copy.

    >>> import chainrule as cr
    >>> cr.asarray([1, 2]).dtype
    chainrule.int64
    """
    check_device(device)
    if isinstance(obj, TensorBase):
        same = dtype is None or as_dtype(dtype) is obj.dtype
        if same and not copy:
            return obj
        if copy is False:
            raise ArgumentError(
                _("Another dtype is a copy."), expected="copy=None", got="copy=False"
            )
        return copied(obj.value) if same else astype(obj.value, as_dtype(dtype))
    _refuse_sharing(copy)
    if isinstance(obj, tuple | list) and _has_tensors(obj):
        stacked = _stacked(obj)
        return stacked if dtype is None else astype(stacked, as_dtype(dtype))
    return value_of(as_array(obj, dtype))


def _has_tensors(nested: Any) -> bool:
    if isinstance(nested, tuple | list):
        return any(map(_has_tensors, nested))
    return isinstance(nested, TensorBase)


def _stacked(nested: Any) -> Value:
    if not isinstance(nested, tuple | list):
        return value_of(nested)
    return stack([_stacked(part) for part in nested])


@op(method=False)
def from_dlpack(x: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """Return another library's CPU array as a tensor by DLPack; the memory is copied.

    >>> import chainrule as cr, numpy as np
    >>> cr.from_dlpack(np.ones(2, np.float32))
    tensor([1., 1.])
    """
    if isinstance(x, TensorBase):
        return asarray(x, device=device, copy=copy)
    check_device(device)
    _refuse_sharing(copy)
    if not hasattr(x, "__dlpack__"):
        raise ArgumentError(
            _("from_dlpack takes what another library holds."),
            expected=_("an array with a method __dlpack__"),
            got=f"{type(x).__name__}",
            fix="cr.asarray(x)",
        )
    return value_of(from_dlpack_of(x))


def _refuse_sharing(copy: bool | None) -> None:
    if copy is False:
        raise ArgumentError(
            _("A tensor has memory of its own."),
            expected=_("copy=None or True"),
            got="copy=False",
        )
