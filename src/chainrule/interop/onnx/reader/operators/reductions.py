"""Operators that reduce axes, and those that accumulate or compare along one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.interop.onnx.reader.operators.elementwise import as_constant
from chainrule.interop.onnx.reader.operators.shapes import axes_of
from chainrule.interop.onnx.reader.table import Known, axis_of, operator
from chainrule.tensor import Tensor

Reduction = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _extreme(name: str) -> Reduction:
    """Return the reduction to a maximum or minimum, which of nothing is the limit."""
    reduce, low = (fn.amax, True) if name == "max" else (fn.amin, False)

    def apply(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
        if all(x.shape[a] for a in axes):
            return reduce(x, dim=axes, keepdim=keep)
        if x.dtype.is_float:
            limit: Any = -np.inf if low else np.inf
        elif x.dtype.name == "bool":
            limit = not low
        else:
            info = np.iinfo(x.dtype.numpy)
            limit = info.min if low else info.max
        shape = [
            1 if a in axes else d
            for a, d in enumerate(x.shape)
            if keep or a not in axes
        ]
        return fn.full(shape, limit, dtype=x.dtype)

    return apply


def _log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if any(isinstance(x.shape[a], int) and not x.shape[a] for a in axes):
        return fn.log(fn.sum(x, dim=axes, keepdim=keep))
    return fn.logsumexp(x, dim=axes, keepdim=keep)


def _sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return fn.sum(x, dim=axes, keepdim=keep).astype(x.dtype)


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if x.dtype.is_float:
        return fn.mean(x, dim=axes, keepdim=keep)
    count = as_constant(math.prod(int(x.shape[a]) for a in axes), x)
    return fn.div(_sum(x, axes, keep), count, rounding_mode="trunc")


def _l2(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if x.dtype.is_float:
        return fn.norm(x, 2, dim=axes, keepdim=keep)
    return fn.sqrt(_sum(x * x, axes, keep).astype("float64")).astype(x.dtype)


REDUCTIONS: dict[str, Reduction] = {
    "ReduceL1": lambda x, axes, keep: _sum(fn.abs(x), axes, keep),
    "ReduceL2": _l2,
    "ReduceLogSum": lambda x, axes, keep: fn.log(_sum(x, axes, keep)),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _extreme("max"),
    "ReduceMean": _mean,
    "ReduceMin": _extreme("min"),
    "ReduceProd": lambda x, axes, keep: fn.prod(x, dim=axes, keepdim=keep).astype(
        x.dtype
    ),
    "ReduceSum": _sum,
    "ReduceSumSquare": lambda x, axes, keep: _sum(x * x, axes, keep),
}


def _reduced(reduce: Reduction, x: Tensor, axes: Any, keep: int, none: int) -> Tensor:
    """Apply a reduction; no axes are all of them, or none where ``none``."""
    if axes is None or not np.size(axes):
        # Element by element what is left of a norm or a logarithm is its function.
        if none:
            return reduce(fn.unsqueeze(x, -1), (x.ndim,), False)
        axes = range(x.ndim)
    which = axes_of([*axes], x.ndim)
    if not which:  # a single number
        return reduce(fn.unsqueeze(x, 0), (0,), False)
    return reduce(x, which, bool(keep))


def _rows(name: str, reduce: Reduction) -> None:
    since = 13 if name == "ReduceSum" else 18

    @operator(name, since=since)
    def row(
        x: Tensor,
        axes: Known | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        if noop_with_empty_axes and (axes is None or not axes.size):
            return _reduced(reduce, x, None, 0, 1) if name not in _PLAIN else x
        return _reduced(reduce, x, axes, keepdims, 0)

    @operator(name, since=1)
    def row_1(
        x: Tensor, *, axes: tuple[int, ...] | None = None, keepdims: int = 1
    ) -> Tensor:
        return _reduced(reduce, x, axes, keepdims, 0)


#: Those that leave a single element as it is.
_PLAIN = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum")
for _name, _reduction in REDUCTIONS.items():
    _rows(_name, _reduction)


def _argument(name: str, function: Callable[..., Tensor]) -> None:
    @operator(name, since=1)
    def row(
        x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
    ) -> Tensor:
        axis = axis_of(axis, x.ndim)
        if not select_last_index:
            return function(x, dim=axis, keepdim=bool(keepdims))
        last = function(fn.flip(x, axis), dim=axis, keepdim=bool(keepdims))
        return x.shape[axis] - 1 - last


_argument("ArgMax", fn.argmax)
_argument("ArgMin", fn.argmin)


def _accumulated(name: str, function: Callable[..., Tensor], first: int) -> None:
    @operator(name, since=11)
    def row(x: Tensor, axis: Known, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
        which = axis_of(int(axis.reshape(())), x.ndim)
        if reverse:
            x = fn.flip(x, which)
        y = function(x, dim=which).astype(x.dtype)
        if exclusive:
            at = [slice(None)] * x.ndim
            at[which] = slice(0, -1)
            start = list(x.shape)
            start[which] = min(1, start[which])
            y = fn.concat(
                [fn.full(start, first, dtype=x.dtype), y[tuple(at)]], dim=which
            )
        return fn.flip(y, which) if reverse else y


_accumulated("CumSum", fn.cumsum, 0)
_accumulated("CumProd", fn.cumprod, 1)

# -- along one axis --------------------------------------------------------------------


@operator("Softmax", since=13)
def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return fn.softmax(x, dim=axis_of(axis, x.ndim))


@operator("LogSoftmax", since=13)
def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return fn.log_softmax(x, dim=axis_of(axis, x.ndim))


@operator("Hardmax", since=13)
def hardmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """1 at the first of the largest along an axis, 0 elsewhere."""
    axis = axis_of(axis, x.ndim)
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    first = fn.argmax(x, dim=axis, keepdim=True)
    at = as_constant(np.arange(x.shape[axis]).reshape(shape), first)
    return (at == first).astype(x.dtype)


def _flat(name: str, function: Callable[..., Tensor]) -> None:
    @operator(name, since=1)
    def row(x: Tensor, *, axis: int = 1) -> Tensor:
        """Before opset 13: over all axes from ``axis`` on at once."""
        axis = axis_of(axis, x.ndim)
        rows = fn.flatten(x, axis) if axis < x.ndim else x
        return fn.reshape(function(rows, axis=-1), tuple(x.shape))


_flat("Softmax", softmax)
_flat("LogSoftmax", log_softmax)
_flat("Hardmax", hardmax)
