"""Elementwise regions on the NumPy engine: block after block, and many as one.

A region such as Adam's update is a dozen ufuncs over the same elements. Run over a
whole weight, each of them would stream it through the memory; run over a block, its
operands and temporaries stay in the cache.

The update of a bias of ten numbers costs as many calls as that of a large weight. So
applications of one region with the same scalars are run as one where nothing stands
between them: their operands are laid side by side in memory (:func:`find_groups`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.engines.numpy.lower import LOWERINGS, UFUNCS, Writer, reference
from chainrule.engines.schedule.maps import loop_body, scalar_broadcast
from chainrule.graph.graph import Graph, users
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, REFERENCES
from chainrule.graph.program import Entry
from chainrule.primitives.creation import constant

#: Elements that a region works on at a time.
BLOCK = 32768
#: A larger array has larger blocks, so that a function does not grow without end.
BLOCKS_AT_MOST = 64


def find_groups(entry: Entry) -> list[list[Node]]:
    """Applications of one region that can run as one, each group in running order.

    They have the same attributes and scalars, read state and freshly computed values
    whole, and nobody within the graph reads what they compute.
    """
    graph = entry.graph
    readers = users(graph)
    states = set(graph.inputs[len(entry.inputs) :])
    groups: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        if node.primitive not in BODIES:
            continue
        scalars = tuple(id(v) for v in node.inputs if v.shape == ())
        arrays = [v for v in node.inputs if v.shape != ()]
        whole = all(
            v in states or (v.node is not None and not v.node.primitive.view)
            for v in arrays
        )
        unread = all(v is None or not readers.get(v) for v in node.outputs)
        if not (arrays and whole and unread and len(set(arrays)) == len(arrays)):
            continue
        kinds = tuple((v.shape == (), v.dtype, v in states) for v in node.inputs)
        key = (node.primitive, repr(node.attrs), scalars, kinds)
        groups.setdefault(key, []).append(node)
    return [members for members in groups.values() if len(members) > 1]


def in_memory_order(array: Array) -> Array:
    """A view of a contiguous array (row-major or transposed) as one line."""
    return (array if array.flags.c_contiguous else array.T).reshape(-1)


def side_by_side(arrays: Sequence[Array]) -> Array | None:
    """One line over arrays that lie one after the other in memory; None otherwise."""
    lines = [in_memory_order(a) for a in arrays]
    base = lines[0].base
    at = lines[0].ctypes.data
    for line in lines:
        if line.ctypes.data != at or line.base is not base:
            return None
        at += line.nbytes
    assert base is not None
    start = (lines[0].ctypes.data - base.ctypes.data) // lines[0].itemsize
    return base.view(lines[0].dtype)[start : start + sum(a.size for a in arrays)]


def emit_region(
    function: Writer, region: Node, operands: Sequence[Any], targets: Sequence[Array]
) -> None:
    """Statements for a region over flat operands.

    Args:
        function: what is being written.
        region: the node (for a group, any of them).
        operands: per input a line of elements, or the name of a scalar.
        targets: per output the line that it goes to.
    """
    body = loop_body(region)
    assert body is not None
    total = targets[0].size
    block = max(BLOCK, -(-total // BLOCKS_AT_MOST))
    flat = dict(zip(body.inputs, operands, strict=True))
    into = dict(zip(body.outputs, targets, strict=True))
    for start in range(0, total, block):
        _block(function, body, flat, into, slice(start, min(start + block, total)))


def _block(
    function: Writer,
    body: Graph,
    flat: Mapping[Value, Array | str],
    targets: Mapping[Value, Array],
    part: slice,
) -> None:
    """One block of a body, with temporaries reused as they die."""
    last = {v: i for i, node in enumerate(body.nodes) for v in node.inputs}
    names = {
        v: a if isinstance(a, str) else function.name(a[part]) for v, a in flat.items()
    }
    length = part.stop - part.start
    free: list[Array] = []
    owned: dict[Value, Array] = {}
    late: list[tuple[str, str]] = []
    scratch = 0
    for i, node in enumerate(body.nodes):
        (out,) = node.outputs
        assert out is not None
        if node.primitive is constant:
            names[out] = function.name(REFERENCES[node.primitive](**node.attrs))
            continue
        if scalar_broadcast(node):
            names[out] = names[node.inputs[0]]
            continue
        dying = [
            owned.pop(v)
            for v in dict.fromkeys(node.inputs)
            if last[v] == i and v in owned and v not in targets
        ]
        if node.primitive in UFUNCS:  # may write over its operands
            free += dying
            dying = []
        if out in targets and _writable(body, targets[out], flat, i):
            array = targets[out][part]
        elif out.shape == ():
            array = np.empty((), out.dtype.numpy)
        else:
            fit = [a for a in free if a.dtype == out.dtype.numpy]
            if fit:
                array = fit[-1]
                free[:] = [a for a in free if a is not array]
            else:
                array = function.scratch(scratch, length, out)
                scratch += 1
            owned[out] = array
        names[out] = function.name(array)
        if out in targets and out in owned:
            late.append((function.name(targets[out][part]), names[out]))
        operands = [names[v] for v in node.inputs]
        if node.primitive in UFUNCS:
            ufunc = function.name(UFUNCS[node.primitive])
            function.line(f"{ufunc}({', '.join(operands)}, out={names[out]})")
        else:
            lower = LOWERINGS.get(node.primitive, reference)
            lower(function, node, operands, names[out])
        free += dying
    for target, source in late:
        function.line(f"copyto({target}, {source})")


def _writable(
    body: Graph, target: Array, flat: Mapping[Value, Array | str], at: int
) -> bool:
    """Whether no node after ``at`` reads the memory of ``target`` as an input."""
    later = {v for node in body.nodes[at + 1 :] for v in node.inputs}
    return not any(
        v in later and isinstance(a, np.ndarray) and np.shares_memory(a, target)
        for v, a in flat.items()
    )
