"""Pieces of functions of many rows or elements, see :mod:`chainrule.engines.eager`.

NumPy computes a softmax or a GELU in some ten passes over the memory, a piece in one or
two. All leading axes are one axis of rows to it, so it serves any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.composites import activations, normalization
from chainrule.engines.eager.piece import (
    Pieces,
    allowed,
    backward_piece,
    cotangents_of,
    forward_piece,
)
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import EAGER, Primitive
from chainrule.graph.types import ArrayType, Shape, Sizes, SymbolicDim, dtype_of

#: A call of fewer elements is NumPy's.
NUMBERS = 1 << 14

_ROWS, _WIDTH = SymbolicDim("N"), SymbolicDim("M")

#: From a shape and the attributes: that of an array of rows, with the attributes for
#: it; None for a call that is no function of rows.
View = Callable[[Shape, dict[str, Any]], tuple[tuple[int, ...], dict[str, Any]] | None]


def _elements(shape: Any, attrs: dict[str, Any]) -> Any:
    return (math.prod(shape),), attrs


def _last_axis(shape: Any, attrs: dict[str, Any]) -> Any:
    if attrs["axis"] % len(shape) != len(shape) - 1:
        return None
    return (math.prod(shape[:-1]), shape[-1]), attrs | {"axis": 1}


def _last_axes(shape: Any, attrs: dict[str, Any]) -> Any:
    axes = attrs["axes"]
    first = len(shape) - len(axes)
    if tuple(axes) != tuple(range(first, len(shape))):
        return None
    rows = math.prod(shape[:first]), math.prod(shape[first:])
    return rows, attrs | {"axes": (1,)}


class Rows(Pieces):
    """The pieces of one function of rows.

    Args:
        primitive: the function; its first input is x, others are parameters of a row.
        view: how x is seen as rows.
        named: the names of the sizes of such an array; None for one that a piece knows.
    """

    def __init__(
        self, primitive: Primitive, view: View, named: tuple[SymbolicDim | None, ...]
    ) -> None:
        super().__init__()
        self._primitive, self._view, self._named = primitive, view, named

    def forward(self, arrays: tuple[Array, ...], attrs: dict[str, Any]) -> Array | None:
        """Return the result by machine code; None where the reference computes it."""
        x = arrays[0]
        if x.size < NUMBERS or not x.flags.c_contiguous or not allowed():
            return None
        seen = self._view(x.shape, attrs)
        if seen is None:
            return None
        shape, attrs = seen
        key = (x.dtype, shape[1:], *attrs.values())
        piece = self.by_call.get(key)
        if piece is None:
            types = self._types(x, len(arrays), shape)
            piece = self.known(
                (*types, *attrs.values()),
                lambda: forward_piece(self._primitive, types, attrs),
            )
            self.by_call[key] = piece
        lines = [x.reshape(shape), *[a.reshape(-1) for a in arrays[1:]]]
        results = piece(lines, self._sizes(shape))
        return None if results is None else results[0].reshape(x.shape)

    def backward(
        self,
        gs: Sequence[Cotangent],
        ys: Sequence[Value | None],
        inputs: Sequence[Value],
        needed: Sequence[bool],
        attrs: dict[str, Any],
    ) -> list[Cotangent] | None:
        """Return the cotangents of the inputs by machine code, as ``forward``."""
        x: Any = inputs[0].array
        if x.size < NUMBERS or ys[0] is None or not allowed():
            return None
        seen = self._view(x.shape, attrs)
        if seen is None:
            return None
        shape, attrs = seen
        key = ("vjp", x.dtype, shape[1:], *needed, *attrs.values())
        piece = self.by_call.get(key)
        if piece is None:
            types = self._types(x, len(inputs), shape)
            piece = self.known(
                ("vjp", *types, *needed, *attrs.values()),
                lambda: backward_piece(
                    self._primitive, types, attrs, (True,), needed, outputs=True
                ),
            )
            self.by_call[key] = piece
        arrays: list[Any] = [v.array for v in (*gs, *ys, *inputs) if v is not None]
        lines = [a.reshape(shape) for a in arrays[:3]]
        results = piece(
            [*lines, *[a.reshape(-1) for a in arrays[3:]]], self._sizes(shape)
        )
        return None if results is None else cotangents_of(piece, results, inputs)

    def _types(self, x: Array, inputs: int, shape: tuple[int, ...]) -> list[ArrayType]:
        dtype = dtype_of(x)
        rows = tuple([name or n for name, n in zip(self._named, shape)])
        return [ArrayType(rows, dtype), *[ArrayType(shape[1:], dtype)] * (inputs - 1)]

    def _sizes(self, shape: tuple[int, ...]) -> Sizes:
        names = zip(self._named, shape)
        return {name.names[0]: n for name, n in names if name is not None}


for _f in (activations.gelu, activations.gelu_tanh, activations.silu):
    EAGER[_f.name] = Rows(_f, _elements, (_ROWS,))
for _f in (activations.softmax, activations.log_softmax):
    EAGER[_f.name] = Rows(_f, _last_axis, (_ROWS, _WIDTH))
_f = normalization.layer_norm
EAGER[_f.name] = Rows(_f, _last_axes, (_ROWS, None))
