"""Draws of very many numbers: bits and numbers in one pass, block by block.

Between random bits and the numbers lies several times the memory of both. Here a block
goes from positions to numbers within a core's cache; where the native engine is, in the
registers of one loop. Bits, and numbers in float32, are those of small draws; float64
may differ in its last places, as it does between the engines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.engines.eager.piece import Piece, Pieces, allowed
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.room import check_room
from chainrule.graph.types import ArrayType, DType, Shape, SymbolicDim, size_of
from chainrule.primitives.elementwise import add
from chainrule.primitives.movement import broadcast_to
from chainrule.primitives.random import encrypted, need_countable
from chainrule.random.generator import Words, words

#: From so many numbers on.
LARGE = 1 << 20
#: Numbers of a block: of NumPy, and of machine code.
BLOCK, NATIVE_BLOCK = 1 << 13, 1 << 19

_pieces = Pieces()
_graphs: dict[Any, Graph] = {}


def draw_large(
    name: str,
    function: Callable[..., Value],
    sizes: Shape,
    firsts: Sequence[Any],
    dtype: DType,
    options: Sequence[Any],
    option_dtype: DType,
) -> Value | None:
    """Draw numbers by an elementwise function of random bits; None for small draws.

    Args:
        name: of the distribution.
        function: from random bits, uint32, one array for each of ``firsts``, and the
            options, to the numbers.
        sizes: the shape of the numbers.
        firsts: the first position in each stream of bits.
        dtype: of the numbers.
        options: what else the function uses, as ``option_dtype``.
    """
    plain = all(isinstance(option, int | float) for option in options)
    size: Any = size_of(sizes)
    if not plain or not isinstance(size, int) or size < LARGE:
        return None
    need_countable(size * len(firsts))
    check_room(sizes, dtype.itemsize)
    if (drawn := words(*firsts)) is None:
        return None
    key = name, dtype, option_dtype
    graph = _graphs.get(key)
    if graph is None:
        graph = _graphs[key] = _graph(function, len(firsts), len(options), option_dtype)
    scalars = [np.array(number, option_dtype.numpy) for number in options]
    piece = _pieces.known(key, lambda: Piece(graph)) if allowed() else None
    block = BLOCK if piece is None else NATIVE_BLOCK
    positions = np.arange(block, dtype=np.uint32)
    result = np.empty(size, dtype.numpy)
    for start in range(0, size, block):
        part = positions[: size - start]
        arrays = [part, *_streams(drawn, start), *scalars]
        found: Any = None if piece is None else piece(arrays, {"N": len(part)})
        (result[start : start + block],) = found or evaluate(graph, arrays)
    shape: Any = sizes
    return Value(result.reshape(shape))


def _streams(drawn: Sequence[Words], start: int) -> list[np.ndarray]:
    """Return keys, counters and positions of streams, as a large draw's graph takes."""
    rows = [(*w.key, w.counter, (w.first + start) & 0xFFFFFFFF) for w in drawn]
    return [np.array(word, np.uint32) for row in rows for word in row]


def _graph(
    function: Callable[..., Value], streams: int, options: int, dtype: DType
) -> Graph:
    """Return the graph of a large draw, for any number of positions."""

    def numbers(positions: Value, *rest: Value) -> Value:
        wide = [broadcast_to(v, shape=positions.shape) for v in rest[: 4 * streams]]
        raw = [
            encrypted(k0, k1, add(positions, first), counter)
            for k0, k1, counter, first in zip(*(wide[i::4] for i in range(4)))
        ]
        return function(*raw, *rest[4 * streams :])

    word, option = ArrayType((), DType.uint32), ArrayType((), dtype)
    line = ArrayType((SymbolicDim("N"),), DType.uint32)
    types = [line, *[word] * (4 * streams), *[option] * options]
    return trace(numbers, types, name="draw")
