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

#: What is said of an index that an axis does not have: where the size of the axis is
#: known, and where it is when a graph runs.
INDEX_OUT_OF_RANGE = _("Index out of range.")
OUT_OF_RANGE = _("An index is out of range.")


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


def in_range(indices: Value, size: Any, axis: int, given: int | None = None) -> Value:
    """Check a tensor's indices, counted from 0, to be within an axis; return them.

    Args:
        indices: of the axis.
        size: of the axis; its dimension where that is known at run time alone.
        axis: the axis.
        given: the single index as it was written; None: indices are data.
    """
    if given is None:
        got, fix = _("an index that is none of them"), ""
    else:
        least = given + 1 if given >= 0 else -given
        got = _("index {given}", given=str(given).replace("-", "−"))
        fix = _("at least {least} along axis {axis}", least=least, axis=axis)
    limit = broadcast_to(count_of(size, DType.int64), indices.shape)
    inside = bitwise_and(le(number(0, indices), indices), less(indices, limit))
    return require_all(
        indices,
        inside,
        OUT_OF_RANGE,
        expected=_("from −{size} to {size} − 1 on axis {axis}", size=size, axis=axis),
        got=got,
        fix=fix,
    )
