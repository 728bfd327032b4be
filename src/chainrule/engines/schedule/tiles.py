"""Fusion of matrix products with the elementwise loop that reads them: ``tiled``.

A weight's gradient is read by one loop, that of its optimiser. As one node the two are
a product whose tiles, while they are in registers, meet the weight and its moments:

    g = dot_general(d, x)                    w, m, v = tiled(d, x, w, m, v)
    w, m, v = fused(g, w, m, v)

That saves the way to memory and back, and whatever the loop waits for is waited for
while the product keeps the processor busy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.maps import loop_body, partial_sums_of, tiled
from chainrule.graph.emit import clone, emit, tracing
from chainrule.graph.graph import Graph, users
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.primitives.matmul import dot_general

#: Whether an engine can run a product and the loop that reads it as one.
Admits = Callable[[Node, Node], bool]


def in_tiles(entry: Entry, views: Mapping[Value, StridedView], admits: Admits) -> Entry:
    """Return an entry point with matrix products fused into the loop that reads them.

    Args:
        entry: with its layouts assigned.
        views: where its values lie.
        admits: see :data:`Admits`.
    """
    graph = entry.graph
    readers = users(graph)
    wanted = set(graph.outputs)
    inside: dict[Node, Node] = {}
    for node in graph.nodes:
        if node.primitive is not dot_general:
            continue
        (product,) = node.outputs
        assert product is not None
        (reader, *others) = readers[product] or [None]
        if reader is None or others or product in wanted:
            continue
        loop = loop_body(reader) and reader.inputs.count(product) == 1
        if not loop or reader in inside.values() or not _alike(product, reader, views):
            continue
        if admits(node, reader):
            inside[node] = reader
    if not inside:
        return entry
    product_of = {reader: node for node, reader in inside.items()}
    new: dict[Value, Value] = {}
    with tracing():
        for node in graph.nodes:
            if node in inside:
                continue
            product = product_of.get(node)
            if product is None:
                results = clone(node, [new.get(v, v) for v in node.inputs])
            else:
                results = _joined(product, node, new)
            for old, value in zip(node.outputs, results, strict=True):
                assert old is not None
                new[old] = value
    outputs = [new.get(v, v) for v in graph.outputs]
    return entry.with_graph(Graph(graph.name, graph.inputs, outputs))


def _alike(product: Value, loop: Node, views: Mapping[Value, StridedView]) -> bool:
    """Return whether a loop's arrays lie in the same memory blocks as a product.

    The product's operands must not lie in blocks. So none of them is among the loop's
    arrays, which may be overwritten tile after tile.
    """
    width = views[product].blocking
    assert product.node is not None
    if any(views[views[v].root].blocking for v in product.node.inputs):
        return False
    results = zip(loop.outputs, partial_sums_of(loop), strict=True)
    arrays = [v for v in loop.inputs if v.shape]
    arrays += [v for v, units in results if v is not None and not units]
    return width > 0 and all(
        v.shape == product.shape
        and v.dtype is product.dtype
        and views[v].blocking == width
        and views[v].root is v
        for v in arrays
    )


def _joined(product: Node, loop: Node, new: Mapping[Value, Value]) -> tuple[Value, ...]:
    """Record the ``tiled`` node of a matrix product and the loop that reads it."""
    (result,) = product.outputs
    at = loop.inputs.index(result) if result is not None else 0
    rest = [v for v in loop.inputs if v is not result]
    body = loop_body(loop)
    assert body is not None
    inputs = list(body.inputs)
    inputs.insert(0, inputs.pop(at))
    turned = Graph(body.name, inputs, body.outputs)
    operands = tuple([new.get(v, v) for v in (*product.inputs, *rest)])
    attrs = {**product.attrs, "body": turned, "partial_sums": partial_sums_of(loop)}
    return emit(tiled, operands, attrs, loop)
