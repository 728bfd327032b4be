"""Pieces of pooling, see :mod:`chainrule.engines.eager`.

The derivative of pooling is pooling too, or a primitive of its own: a call of its own.
All axes before those over which the window slides are one axis of rows to a piece.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule.engines.eager.piece import AXES, Pieces, allowed, forward_piece
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import EAGER, Primitive
from chainrule.graph.types import ArrayType, SymbolicDim, dtype_of
from chainrule.primitives import windows

#: A call of fewer elements is NumPy's.
NUMBERS = 1 << 14

_ROWS = SymbolicDim("N")


class Windows(Pieces):
    """The pieces of one function of sliding windows, by the shape of a row.

    Args:
        primitive: the function.
    """

    def __init__(self, primitive: Primitive) -> None:
        super().__init__()
        self._primitive = primitive

    def forward(self, arrays: tuple[Array, ...], attrs: dict[str, Any]) -> Array | None:
        """Return the result by machine code; None where the reference computes it."""
        x, axes = arrays[-1], attrs["axes"]
        if x.size < NUMBERS or len(axes) < AXES or not allowed():
            return None
        lead = min(axes)
        if not lead:
            return None
        rows = math.prod(x.shape[:lead])
        key = (lead, *[item for a in arrays for item in (a.dtype, a.shape[lead:])])
        key = (*key, *attrs.values())
        piece = self.by_call.get(key)
        if piece is None:
            types = [ArrayType((_ROWS, *a.shape[lead:]), dtype_of(a)) for a in arrays]
            mine = attrs | {"axes": tuple([a - lead + 1 for a in axes])}
            piece = self.known(
                (*types, *mine.values()),
                lambda: forward_piece(self._primitive, types, mine),
            )
            self.by_call[key] = piece
        lines = [a.reshape(rows, *a.shape[lead:]) for a in arrays]
        results = piece(lines, {"N": rows})
        if results is None:
            return None
        return results[0].reshape(*x.shape[:lead], *results[0].shape[1:])

    def backward(
        self,
        gs: Sequence[Cotangent],
        ys: Sequence[Value | None],
        inputs: Sequence[Value],
        needed: Sequence[bool],
        attrs: dict[str, Any],
    ) -> list[Cotangent] | None:
        """Return None: the derivatives are calls of their own."""
        return None


for _f in (
    windows.window_sum,
    windows.window_max,
    windows.window_argmax,
    windows.window_max_pullback,
):
    EAGER[_f.name] = Windows(_f)
