"""Mixed precision: products and convolutions of float32 computed as of bfloat16.

A product within :class:`autocast` rounds what it reads and what it gives to bfloat16,
and adds up in float32. All else is computed in float32: what a sum, a softmax, a norm
or a loss needs. The roundings are nodes of the graph, so that a derivative has them
too, and an engine with products of bfloat16 finds them around a product.
"""

from __future__ import annotations

from typing import Any

from chainrule.errors import DTypeError
from chainrule.graph.apply import rounded, widened
from chainrule.graph.context import context
from chainrule.graph.node import Value
from chainrule.graph.types import DType, as_dtype
from chainrule.operations.device import check_device
from chainrule.primitives import matmul
from chainrule.text import _
from chainrule.util.blocks import Block
from chainrule.util.validation import truth


class autocast(Block):  # noqa: N801 - used like a function
    """A context manager within which products of float32 are computed in bfloat16.

    That is ``x @ w`` and the other products of matrices, convolutions, linear and
    recurrent layers and attention. Each rounds its operands and its result to bfloat16
    and adds up in float32; parameters and all other values stay float32, and so does
    the dtype of every tensor. (PyTorch's results of products have the dtype bfloat16
    there; the numbers are the same.) Gradients of parameters are float32, in which an
    optimiser makes its steps.

    bfloat16 has the range of float32, so that losses need no scaling: what float32
    holds does not become 0 or infinite.

    Args:
        device_type: ``"cpu"``, or None.
        dtype: bfloat16.
        enabled: False leaves out what an outer one does.

    Raises:
        DTypeError: another dtype.

    >>> import chainrule as cr
    >>> x = cr.tensor([[1.0, 0.001]])
    >>> with cr.autocast(dtype=cr.bfloat16):
    ...     x @ x.T, (x * x).sum()
    (tensor([[1.]]), tensor(1.000001))
    """

    field = "autocast"

    def __init__(
        self, device_type: Any = None, dtype: Any = None, enabled: bool = True
    ) -> None:
        check_device(device_type)
        kind = DType.bfloat16 if dtype is None else as_dtype(dtype)
        if kind is not DType.bfloat16:
            raise DTypeError(
                _("autocast computes products of float32 in a shorter dtype."),
                expected="cr.bfloat16",
                got=kind.name,
            )
        self._enabled = truth("enabled", enabled)

    def saved(self) -> tuple[bool, bool]:
        return context.autocast, context.autocast_traced

    def change(self) -> None:
        traced = context.autocast_traced or context.trace is not None
        context.autocast, context.autocast_traced = self._enabled, traced

    def undo(self, saved: tuple[bool, bool]) -> None:
        context.autocast, context.autocast_traced = saved


def is_autocast_enabled(device_type: Any = None) -> bool:
    """Return whether products of float32 are computed in bfloat16 here.

    >>> import chainrule as cr
    >>> with cr.autocast():
    ...     cr.is_autocast_enabled()
    True
    """
    check_device(device_type)
    return _is_on()


def _is_on() -> bool:
    if context.trace is not None and not context.autocast_traced:
        context.trace.note_read(_ambient)  # once for all products of a trace
    return context.autocast


def _ambient() -> bool:
    return context.autocast


def is_mixed(dtype: DType) -> bool:
    """Return whether a product of a dtype is computed of bfloat16 here.

    What it reads is :func:`short` then, and what it gives. A bias belongs to the
    product: where the two cancel, all digits of the sum are left.
    """
    here = context.__dict__  # an eager product comes here, which counts
    if not here["autocast"] and here["trace"] is None:
        return False
    return dtype is DType.float32 and _is_on()


def short(value: Value) -> Value:
    """Return a float32 rounded to bfloat16, as float32."""
    return widened(rounded(value, DType.bfloat16))


def dot(lhs: Value, rhs: Value, dims: str) -> Value:
    """Return a tensor product; within :class:`autocast`, one of bfloat16."""
    if is_mixed(lhs.dtype):
        return short(matmul.dot(short(lhs), short(rhs), dims))
    return matmul.dot(lhs, rhs, dims)
