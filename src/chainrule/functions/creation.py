"""Creation of tensors from numbers, shapes and ranges."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, GradientError, ShapeError
from chainrule.functions.elementwise import raises_call_error
from chainrule.graph.build import context, held
from chainrule.graph.layout import UNKNOWN
from chainrule.graph.node import Value
from chainrule.graph.room import check_room
from chainrule.graph.types import Dim, DType, Shape, SymbolicDim, as_dtype
from chainrule.methods.conversion import check_device
from chainrule.operations import movement
from chainrule.operations.arguments import either, once, shape_of, whole
from chainrule.operations.operands import cast, filled, stretch, value_of
from chainrule.primitives.creation import iota
from chainrule.primitives.elementwise import add, equal, mul
from chainrule.primitives.movement import copy as copied
from chainrule.tensor import Tensor, as_tensor, tensor, wrap
from chainrule.text import _
from chainrule.util import validation

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


def _made(value: Value, requires_grad: bool) -> Tensor:
    """Return a value that nothing else uses as a new tensor."""
    made = wrap(copied(value) if context.trace is None else value)
    return made.requires_grad_() if requires_grad else made


def _shape(sizes: tuple[Any, ...], shape: Any, size: Any) -> Shape:
    """Return a shape passed by position, as ``shape=`` or as PyTorch's ``size=``."""
    return shape_of(once("shape", sizes, either(size, shape)))


def _given(given: Any, otherwise: DType = DType.float32) -> DType:
    return otherwise if given is None else as_dtype(given)


@raises_call_error
def full(
    shape: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of a shape, filled with ``fill_value``.

    Args:
        shape: a size, or several in a tuple.
        fill_value: a number, or a tensor of one.
        dtype: float32, int64 or bool by default, as the number is.
        device: ``"cpu"``.
        requires_grad: whether ``backward()`` shall fill ``.grad``.

    >>> full((2,), 7)
    tensor([7, 7])
    """
    check_device(device)
    wanted = shape_of(shape)
    kinds = {builtins.bool: DType.bool, int: DType.int64, float: DType.float32}
    if type(fill_value) in kinds:
        value = filled(fill_value, _given(dtype, kinds[type(fill_value)]), wanted)
    else:
        one = value_of(fill_value, None if dtype is None else as_dtype(dtype))
        if one.shape:
            raise ShapeError(
                _("full repeats one number."), got=_("shape {shape}", shape=one.shape)
            )
        value = stretch(one, wanted)
    return _made(value, requires_grad)


@raises_call_error
def zeros(
    *sizes: Any,
    shape: Any = None,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of zeros, float32 by default: ``zeros(2, 3)``.

    Or ``zeros((2, 3))``.

    >>> zeros(2, 1)
    tensor([[0.],
            [0.]])
    """
    check_device(device)
    return _made(filled(0, _given(dtype), _shape(sizes, shape, size)), requires_grad)


@raises_call_error
def ones(
    *sizes: Any,
    shape: Any = None,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of ones, float32 by default: ``ones(2, 3)``.

    Or ``ones((2, 3))``.

    >>> ones(2)
    tensor([1., 1.])
    """
    check_device(device)
    return _made(filled(1, _given(dtype), _shape(sizes, shape, size)), requires_grad)


@raises_call_error
def empty(
    *sizes: Any,
    shape: Any = None,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of zeros; PyTorch's ``empty`` leaves the numbers undefined.

    >>> empty(1)
    tensor([0.])
    """
    shape = _shape(sizes, shape, size)
    return zeros(shape, dtype=dtype, device=device, requires_grad=requires_grad)


def _lying_as(x: Tensor, made: Tensor) -> Tensor:
    """Return ``made`` with the memory order that it has in PyTorch, like ``x``."""
    if not x.value.order:
        return made
    made = Tensor(made.detach()).requires_grad_(made.requires_grad)
    made.value.order = UNKNOWN
    return made


@raises_call_error
def full_like(
    x: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor filled with ``fill_value``, in the shape and dtype of x.

    >>> full_like(tensor([1, 2]), 5)
    tensor([5, 5])
    """
    x = as_tensor(x)
    like = {"dtype": dtype or x.dtype, "device": device}
    return _lying_as(x, full(x.shape, fill_value, requires_grad=requires_grad, **like))


@raises_call_error
def zeros_like(
    x: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of zeros in the shape and dtype of x.

    >>> zeros_like(tensor([1, 2]))
    tensor([0, 0])
    """
    x = as_tensor(x)
    like = {"dtype": dtype or x.dtype, "device": device}
    return _lying_as(x, zeros(x.shape, requires_grad=requires_grad, **like))


@raises_call_error
def ones_like(
    x: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of ones in the shape and dtype of x.

    >>> ones_like(tensor([1.0, 2.0]))
    tensor([1., 1.])
    """
    x = as_tensor(x)
    like = {"dtype": dtype or x.dtype, "device": device}
    return _lying_as(x, ones(x.shape, requires_grad=requires_grad, **like))


@raises_call_error
def empty_like(
    x: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of zeros in the shape and dtype of x; see :func:`zeros_like`.

    >>> empty_like(tensor([1, 2]))
    tensor([0, 0])
    """
    return zeros_like(x, dtype=dtype, device=device, requires_grad=requires_grad)


@raises_call_error
def arange(
    start: Any,
    stop: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return start, start + step, … before ``stop``; ``arange(n)`` starts at 0.

    int64 where all three are integers, else float32; element i is start + i · step.
    ``arange(x.shape[0])`` counts along an axis whose size has a name, too.

    >>> arange(1, 10, 3)
    tensor([1, 4, 7])
    """
    check_device(device)
    if stop is None:
        start, stop = 0, start
    numbers = [_alone(n, "arange") for n in (start, stop, step)]
    start, stop, step = numbers
    if isinstance(stop, SymbolicDim):
        if (start, step) != (0, 1):
            raise ShapeError(
                _("A count of a named size begins at 0 and goes by 1."),
                expected=f"arange({stop})",
                got=f"arange({start}, {stop}, {step})",
                fix="cr.arange(n) * step + start",
            )
        return _made(
            iota(shape=(stop,), axis=0, dtype=_given(dtype, DType.int64)), requires_grad
        )
    integers = all(isinstance(n, int) for n in numbers)
    if not integers:
        names = ("start", "stop", "step")
        start, stop, step = (validation.number(k, n) for k, n in zip(names, numbers))
    wanted = _given(dtype, DType.int64 if integers else DType.float32)
    if not step:
        raise ArgumentError(_("arange goes on by steps."), expected="step ≠ 0", got="0")
    span = stop - start
    count = max(-(-span // step) if integers else math.ceil(span / step), 0)
    check_room((count,), max(wanted.itemsize, 8))
    if count and integers:
        for end in (start, start + (count - 1) * step):
            held(end, wanted)
    if context.trace is None or not integers:
        array = np.arange(count) * step + start
        return Tensor(array, dtype=wanted, requires_grad=requires_grad)
    line = iota(shape=(count,), axis=0, dtype=DType.int64)
    if (start, step) != (0, 1):
        line = mul(line, filled(step, DType.int64, (count,)))
        line = add(line, filled(start, DType.int64, (count,)))
    return _made(cast(line, wanted), requires_grad)


def _alone(n: Any, name: str) -> Any:
    """Return a number for a range; refuse a tensor with a derivative."""
    if isinstance(n, Tensor) and n.requires_grad:
        raise GradientError(
            _("{name} counts by numbers, which have no derivative.", name=name),
            expected=_("numbers, or tensors without a gradient"),
            got=repr(n)[:80],
            fix=_("cr.arange(n) * step + start, or x.item() for the number alone"),
        )
    return n.item() if isinstance(n, Tensor | np.generic) else n


@raises_call_error
def linspace(
    start: Any,
    stop: Any,
    /,
    num: int = 100,
    *,
    dtype: Any = None,
    endpoint: bool = True,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return ``num`` numbers at equal distances from ``start`` to ``stop``, inclusive.

    The ends may be tensors, which the derivative goes to.

    >>> linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ])
    """
    check_device(device)
    num = validation.count("num", num)
    endpoint = validation.truth("endpoint", endpoint)
    check_room((num,), 8)
    if isinstance(start, Tensor) or isinstance(stop, Tensor):
        share = Tensor(np.linspace(0.0, 1.0, num, endpoint=endpoint))
        low, high = (as_tensor(end).astype("float64") for end in (start, stop))
        made = low.lerp(high, share).astype(_given(dtype))
        return made.requires_grad_() if requires_grad else made
    ends = validation.number("start", start), validation.number("stop", stop)
    array = np.linspace(*ends, num, endpoint=endpoint)
    return Tensor(array, dtype=_given(dtype), requires_grad=requires_grad)


@raises_call_error
def eye(
    n_rows: Dim,
    n_cols: Dim | None = None,
    *,
    k: int = 0,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a matrix with 1 on the k-th diagonal and 0 elsewhere.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_device(device)
    shape = shape_of((n_rows, n_rows if n_cols is None else n_cols))
    row, column = (iota(shape=shape, axis=i, dtype=DType.int64) for i in (0, 1))
    k = max(-(2**62), min(whole("k", k), 2**62))  # beyond every matrix
    on = equal(add(row, filled(k, DType.int64, shape)), column)
    return _made(cast(on, _given(dtype)), requires_grad)


@raises_call_error
def meshgrid(*arrays: Any, indexing: str = "ij") -> list[Tensor]:
    """Return the coordinates of the points of a grid, one tensor for each axis.

    Args:
        arrays: vectors, or one sequence of them.
        indexing: ``"ij"``, PyTorch's default, has the first vector along the first
            axis; ``"xy"``, that of NumPy and of the array API, along the second.

    >>> [g.tolist() for g in meshgrid(tensor([1, 2]), tensor([3]))]
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
    lines = movement.common([value_of(x) for x in arrays], "meshgrid") if arrays else []
    for v in lines:
        if len(v.shape) > 1:
            raise ShapeError(_("meshgrid takes vectors."), got=f"{v.shape}")
    lines = [movement.reshape(v, (-1,)) for v in lines]
    places = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        places[:2] = [1, 0]
    shape: list[Any] = [0] * len(lines)
    for place, v in zip(places, lines):
        shape[place] = v.shape[0]
    made: list[Tensor] = []
    for place, v in zip(places, lines):
        column = [1] * len(lines)
        column[place] = -1
        made.append(wrap(stretch(movement.reshape(v, tuple(column)), tuple(shape))))
    return made


@raises_call_error
def asarray(
    obj: Any,
    /,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: builtins.bool | None = None,
) -> Tensor:
    """Return ``obj`` as a tensor; a tensor itself, unless it must be converted.

    Args:
        obj: a tensor, numbers in nested lists, an array, or what speaks DLPack.
        dtype: to convert to; Python's floats become float32.
        device: ``"cpu"``.
        copy: True for memory of its own; False refuses to copy.

    >>> asarray([1, 2]).dtype
    chainrule.int64
    """
    check_device(device)
    if isinstance(obj, Tensor):
        same = dtype is None or as_dtype(dtype) is obj.dtype
        if same and not copy:
            return obj
        if copy is False:
            raise ArgumentError(
                _("Another dtype is a copy."), expected="copy=None", got="copy=False"
            )
        return obj.astype(dtype or obj.dtype, copy=True)
    _need_copy(copy)
    if isinstance(obj, tuple | list) and _has_tensors(obj):
        made = _stacked(obj)
        return made if dtype is None else made.astype(dtype)
    return tensor(obj, dtype=dtype)


def _has_tensors(nest: Any) -> builtins.bool:
    if isinstance(nest, tuple | list):
        return any(map(_has_tensors, nest))
    return isinstance(nest, Tensor)


def _stacked(nest: Any) -> Tensor:
    if not isinstance(nest, tuple | list):
        return as_tensor(nest)
    return wrap(movement.stack([_stacked(part).value for part in nest], 0))


@raises_call_error
def from_dlpack(
    x: Any, /, *, device: Any = None, copy: builtins.bool | None = None
) -> Tensor:
    """Return another library's array on the CPU as a tensor; the memory is copied.

    >>> from_dlpack(np.ones(2, np.float32))
    tensor([1., 1.])
    """
    check_device(device)
    if isinstance(x, Tensor):
        return asarray(x, copy=copy)
    _need_copy(copy)
    if not hasattr(x, "__dlpack__"):
        raise ArgumentError(
            _("from_dlpack takes what another library holds."),
            expected=_("an array with a method __dlpack__"),
            got=f"{type(x).__name__}",
            fix="cr.asarray(x)",
        )
    return Tensor(np.from_dlpack(x))


def _need_copy(copy: builtins.bool | None) -> None:
    if copy is False:
        raise ArgumentError(
            _("A tensor has memory of its own."),
            expected=_("copy=None or True"),
            got="copy=False",
        )
