"""Allocation of the NumPy engine's arrays side by side, so one loop covers several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from chainrule.engines.schedule.horizontal_fusion import horizontal_loop, members_of
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Value
from chainrule.graph.types import Sizes, resolve


def adjacent_values(graph: Graph) -> Iterator[tuple[Value, ...]]:
    """Yield groups of graph values whose arrays should be adjacent in memory."""
    for node in graph.nodes:
        if node.primitive is horizontal_loop:
            inputs = [operands for operands, _ in members_of(node)]
            for values in zip(*inputs, strict=True):
                if values[0].shape and len(set(values)) == len(values):
                    yield values


def allocate(
    values: Sequence[Value], transposed: Sequence[bool], sizes: Sizes
) -> list[Array]:
    """Allocate arrays of zeros for values of one dtype, adjacent in memory."""
    lengths = [math.prod(resolve(v.shape, sizes)) for v in values]
    memory = np.zeros(sum(lengths), values[0].dtype.numpy)
    arrays: list[Array] = []
    at = 0
    for value, size, other_way in zip(values, lengths, transposed, strict=True):
        arrays.append(shaped(memory[at : at + size], value, other_way, sizes))
        at += size
    return arrays


def shaped(line: Array, value: Value, transposed: bool, sizes: Sizes) -> Array:
    """Return flat memory as an array of a value's shape, row-major or transposed."""
    shape = resolve(value.shape, sizes)
    return line.reshape(shape[::-1]).T if transposed else line.reshape(shape)


def as_line(arrays: Sequence[Array]) -> tuple[Array, list[tuple[Array, Array]]]:
    """Return arrays as one flat array, and pairs to copy if they are not adjacent.

    There are pairs if the arrays are not adjacent: then the line is new memory, and the
    arrays have to be copied.
    """
    parts = [(a if a.flags.c_contiguous else a.T).reshape(-1) for a in arrays]
    line = _side_by_side(parts)
    if line is not None:
        return line, []
    line = np.concatenate(parts)
    cuts = np.cumsum([len(part) for part in parts])[:-1]
    return line, list(zip(np.split(line, cuts), parts, strict=True))


def _side_by_side(parts: Sequence[Array]) -> Array | None:
    base, at = parts[0].base, parts[0].ctypes.data
    if base is None or base.dtype != parts[0].dtype:
        return None
    for part in parts:
        if part.base is not base or part.ctypes.data != at:
            return None
        at += part.nbytes
    start = (parts[0].ctypes.data - base.ctypes.data) // base.itemsize
    return base[start : start + sum(map(len, parts))]
