"""Pieces of recurrent layers, see :mod:`chainrule.engines.eager`.

Such a loop comes from :func:`chainrule.transforms.control.loop`, and its body says how
the same is traced for other types: here with names for the numbers of rows and steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.composites.control import scan
from chainrule.engines.eager.piece import (
    Piece,
    Pieces,
    allowed,
    backward_piece,
    cotangents_of,
    forward_piece,
)
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import EAGER
from chainrule.graph.types import ArrayType, Sizes, SymbolicDim, type_of

#: A loop of fewer numbers (steps times rows times units) is NumPy's: to be looked at,
#: not to be trained, and it would not earn the time that a piece takes to compile.
NUMBERS = 256

_ROWS, _STEPS = SymbolicDim("N"), SymbolicDim("T")


class Loops(Pieces):
    """The pieces of recurrent loops, by their bodies."""

    def forward(
        self, arrays: tuple[Array, ...], attrs: dict[str, Any]
    ) -> tuple[Array, ...] | None:
        """Return a loop's results by machine code; None where the reference does it."""
        sizes = _sizes([a.shape for a in arrays], attrs)
        if sizes is None:
            return None
        key = (attrs["body"], attrs["reverse"])
        piece = self.by_call.get(key)
        if piece is None:
            types = [type_of(a) for a in arrays]
            piece = self._find(
                key,
                types,
                attrs,
                lambda types, attrs: forward_piece(scan, types, attrs),
            )
        results = piece(arrays, sizes)
        return None if results is None else tuple(results)

    def backward(
        self,
        gs: Sequence[Cotangent],
        ys: Sequence[Value | None],
        inputs: Sequence[Value],
        needed: Sequence[bool],
        attrs: dict[str, Any],
    ) -> list[Cotangent] | None:
        """Return the cotangents of a loop's inputs by machine code, as ``forward``."""
        sizes = _sizes([v.shape for v in inputs], attrs)
        if sizes is None:
            return None
        present = tuple([g is not None for g in gs])
        key = (attrs["body"], attrs["reverse"], present, tuple(needed))
        piece = self.by_call.get(key)
        if piece is None:
            piece = self._find(
                key,
                [v.type for v in inputs],
                attrs,
                lambda types, attrs: backward_piece(
                    scan, types, attrs, present, needed, outputs=False
                ),
            )
        arrays: list[Any] = [v.array for v in (*gs, *inputs) if v is not None]
        results = piece(arrays, sizes)
        return None if results is None else cotangents_of(piece, results, inputs)

    def _find(
        self,
        key: Any,
        types: Sequence[ArrayType],
        attrs: dict[str, Any],
        make: Callable[[Sequence[ArrayType], dict[str, Any]], Piece],
    ) -> Piece:
        """Return the piece of a call that is met for the first time."""
        constants = attrs["constants"]
        fixed = constants + attrs["carries"]
        named = [*types[:constants]]
        named += [
            ArrayType((_ROWS, *t.shape[1:]), t.dtype) for t in types[constants:fixed]
        ]
        step = [*named]
        step += [ArrayType((_ROWS, *t.shape[2:]), t.dtype) for t in types[fixed:]]
        named += [ArrayType((_STEPS, *t.shape), t.dtype) for t in step[fixed:]]
        body = attrs["body"].retrace(step)
        attrs = attrs | {"body": body, "length": _STEPS}
        piece = self.known((body, *key[1:]), lambda: make(named, attrs))
        self.by_call[key] = piece
        return piece


def _sizes(shapes: Sequence[Any], attrs: dict[str, Any]) -> Sizes | None:
    """Return how many rows and steps a loop has; None for one that is NumPy's."""
    if attrs["body"].retrace is None:
        return None
    steps, (rows, units) = attrs["length"], shapes[attrs["constants"]]
    if steps * rows * units < NUMBERS or not allowed():
        return None
    return {"N": rows, "T": steps}


EAGER[scan.name] = Loops()
