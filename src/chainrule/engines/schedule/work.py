"""The work of a graph node: elements, bytes moved, and FLOPs, for the cost model."""

from __future__ import annotations

import math
from collections.abc import Mapping

from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.maps import (
    domain_of,
    is_elementwise,
    loop_body,
    partial_sums_of,
    tiled,
)
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Sizes, resolve
from chainrule.primitives import conv, indexing, matmul, movement, reduce
from chainrule.primitives.creation import constant
from chainrule.primitives.matmul import parse_dims

#: What reads only those rows or elements of its first operand that it is asked for.
BY_INDEX = frozenset((indexing.take, indexing.gather, indexing.dynamic_slice))
#: What adds up or compares all elements of its operand.
_REDUCTIONS = frozenset((movement.reduce_sum, reduce.reduce_max, reduce.reduce_prod))


def count_of(value: Value, sizes: Sizes) -> int:
    """Return the number of elements of a graph value at given sizes."""
    return math.prod(resolve(value.shape, sizes))


def bytes_of(value: Value, sizes: Sizes) -> int:
    """Return the size of a graph value in bytes, at given sizes."""
    return count_of(value, sizes) * value.dtype.itemsize


def written(node: Node) -> list[Value]:
    """Return the values that a graph node computes and that are in use."""
    return [v for v in node.outputs if v is not None]


def moved(node: Node, sizes: Sizes) -> int:
    """Return the number of bytes that a graph node reads and writes."""
    bytes_written = sum(bytes_of(v, sizes) for v in written(node))
    read = node.inputs
    if node.primitive is indexing.put_rows:  # in its operand's memory, as a rule
        return sum(bytes_of(v, sizes) for v in (*read[1:], read[2]))
    if node.primitive in BY_INDEX:
        bytes_written, read = 2 * bytes_written, read[1:]
    return bytes_written + sum(bytes_of(_source(v), sizes) for v in read)


def _source(value: Value) -> Value:
    """Return the graph value that is stored in memory: the operand of a broadcast."""
    while value.node is not None and value.node.primitive is movement.broadcast_to:
        (value,) = value.node.inputs
    return value


def multiply_adds(node: Node, sizes: Sizes) -> int:
    """Return the multiply-adds of a product or convolution node; 0 for others."""
    if node.primitive not in (matmul.dot_general, conv.conv, tiled):
        return 0
    d = parse_dims(node.attrs["dims"])
    kernel = node.inputs[1]
    summed = [kernel.shape[d.rhs.index(c)] for c in (*d.contracted, *d.window)]
    return math.prod(resolve((*domain_of(node), *summed), sizes))


def arithmetic(node: Node) -> list[Node]:
    """Return the nodes of an elementwise loop's body that do arithmetic."""
    body = node.attrs["body"] if node.primitive is tiled else loop_body(node)
    nodes = [node] if body is None else body.nodes
    idle = (constant, movement.broadcast_to)
    return [n for n in nodes if n.primitive not in idle]


def innermost(
    node: Node, sizes: Sizes, views: Mapping[Value, StridedView]
) -> tuple[int, int]:
    """Return the length of a node's innermost loop, and its strided operands' number.

    Returns:
        its length, and how many operands do not lie side by side along it.
    """
    outs = [v for v, units in zip(written(node), partial_sums_of(node)) if not units]
    read = node.inputs[2:] if node.primitive is tiled else node.inputs
    mine = [views[v] for v in (*outs, *read) if v.shape]
    if not mine:
        return 1, 0
    order = next((view for view in mine if view.blocking), mine[0])
    loops = [view.loops(order) for view in mine]
    depth = range(len(loops[0]) - 1, -1, -1)
    lengths = resolve(tuple([size for size, _ in loops[0]]), sizes)
    steps = [resolve(tuple([step for _, step in own]), sizes) for own in loops]
    turning = [a for a in depth if lengths[a] != 1]
    if not turning:
        return 1, 0
    first, *others = turning
    length = lengths[first]
    for a in others:
        if any(own[a] != length * own[first] for own in steps):
            break
        length *= lengths[a]
    return length, sum(own[first] not in (0, 1) for own in steps)


def flops(node: Node, sizes: Sizes) -> int:
    """Return the FLOPs of a graph node: 2 a multiply-add, 1 any other operation.

    A node that only moves numbers has none.
    """
    if node.primitive in _REDUCTIONS:
        return count_of(node.inputs[0], sizes)
    count = 2 * multiply_adds(node, sizes)
    if is_elementwise(node) or node.primitive is tiled:
        each = len(arithmetic(node)) + sum(map(bool, partial_sums_of(node)))
        count += each * math.prod(resolve(domain_of(node), sizes))
    return count
