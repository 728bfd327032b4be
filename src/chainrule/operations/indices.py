"""Checks of integer indices of a tensor: whole numbers, within an axis."""

from __future__ import annotations

from typing import Any

from chainrule.errors import DTypeError
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.arithmetic import le, number
from chainrule.operations.operands import astype, broadcast_to, count_of
from chainrule.primitives.checks import require_all
from chainrule.primitives.elementwise import add, less, where
from chainrule.primitives.integers import bitwise_and
from chainrule.text import _


def from_front(indices: Value, size: Any) -> Value:
    """Convert a tensor's indices to int64, counted from 0; −1 is the last index."""
    if not indices.dtype.is_integer:
        raise DTypeError(
            _("Places are integers."),
            expected=_("an integer dtype"),
            got=indices.dtype.name,
            fix="x.astype('int64')",
        )
    indices = astype(indices, DType.int64)
    behind = add(indices, broadcast_to(count_of(size, DType.int64), indices.shape))
    return where(less(indices, number(0, indices)), behind, indices)


def in_range(indices: Value, size: Any, axis: int) -> Value:
    """Check a tensor's indices, counted from 0, to be within an axis; return them."""
    limit = broadcast_to(count_of(size, DType.int64), indices.shape)
    inside = bitwise_and(le(number(0, indices), indices), less(indices, limit))
    return require_all(
        indices,
        inside,
        _("An index is out of range."),
        expected=_("from −{size} to {size} − 1 on axis {axis}", size=size, axis=axis),
        got="another",
    )
