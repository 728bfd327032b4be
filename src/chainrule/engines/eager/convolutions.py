"""Pieces of convolutions of batches of images, see :mod:`chainrule.engines.eager`.

A derivative of a convolution is a convolution, and a call of its own. A piece is for
images of one size, in batches of any size: such a batch has images of one size only,
and most often so have the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule.engines.eager.piece import (
    AXES,
    CALLS,
    Pieces,
    allowed,
    forward_piece,
)
from chainrule.graph.node import Array, Cotangent, Value
from chainrule.graph.primitive import EAGER
from chainrule.graph.types import ArrayType, SymbolicDim, dtype_of
from chainrule.primitives.conv import conv
from chainrule.primitives.matmul import Dims, parse_dims
from chainrule.util.bounded import Bounded

#: Fewer images than these, or multiplications, are NumPy's; and so are sequences and
#: groups of channels.
IMAGES, MULTIPLICATIONS = 8, 1 << 20

_IMAGES = SymbolicDim("N")


class Convolutions(Pieces):
    """The pieces of convolutions, by the shapes of an image and of the kernels."""

    def __init__(self) -> None:
        super().__init__()
        self._each: Bounded[Any, int] = Bounded(CALLS)  # multiplications of an image

    def forward(self, arrays: tuple[Array, ...], attrs: dict[str, Any]) -> Array | None:
        """Return a convolution by machine code; None where the reference does it."""
        images = arrays[0].shape[0]
        if images < IMAGES or not allowed():
            return None
        d = parse_dims(attrs["dims"])
        first = d.lhs[0]
        if len(d.window) < AXES or d.batch or first in d.window:
            return None
        letters = d.lhs, d.rhs
        shapes = [
            tuple([_IMAGES if c == first else n for c, n in zip(axes, x.shape)])
            for axes, x in zip(letters, arrays)
        ]
        dtype = dtype_of(arrays[0])
        key = (dtype, *shapes, *attrs.items())
        each = self._each.get(key)
        if each is None:
            each = self._each[key] = _multiplications(d, arrays, attrs) // images
        if images * each < MULTIPLICATIONS:
            return None
        piece = self.by_call.get(key)
        if piece is None:
            types = [ArrayType(shape, dtype) for shape in shapes]
            piece = self.by_call[key] = forward_piece(conv, types, attrs)
        results = piece(arrays, {"N": images})
        return None if results is None else results[0]

    def backward(
        self,
        gs: Sequence[Cotangent],
        ys: Sequence[Value | None],
        inputs: Sequence[Value],
        needed: Sequence[bool],
        attrs: dict[str, Any],
    ) -> list[Cotangent] | None:
        """Return None: the derivatives are convolutions."""
        return None


def _multiplications(d: Dims, arrays: Sequence[Array], attrs: dict[str, Any]) -> int:
    """Return how many multiplications a convolution is."""
    types = [ArrayType(x.shape, dtype_of(x)) for x in arrays]
    shape: Any = conv.output_types(types, attrs)[0].shape
    summed = zip(d.rhs, arrays[1].shape)
    taps = math.prod(n for c, n in summed if c in d.contracted + d.window)
    return math.prod(shape) * taps


EAGER[conv.name] = Convolutions()
