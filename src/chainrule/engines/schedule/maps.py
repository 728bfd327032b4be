"""Fusion of chains of elementwise nodes into one loop: ``fused`` nodes.

What one node computes and the next one reads at the same place need not go through
memory:

    z = add(y, b)        fused(y, b)            for each place:
    a = maximum(z, 0)      z = add(y, b)            z = y + b; a = max(z, 0)
    m = less(0, z)         a = maximum(z, 0)        store what others read
                           m = less(0, z)

A ``fused`` node carries its body as a graph, as ``scan`` does, and is one loop over the
elements of its *domain*. Its inputs have that shape or are scalars, which are the same
at every place. A result is an array of that shape, or *partial sums*: the sums of
blocks of whole rows (units), as the norm of a gradient needs them.

Nodes are taken as early as their operands allow (:func:`early`). A loop runs where the
last of its nodes stands, so a node joins only while nobody outside the loop has read
what the loop computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.autodiff import inline
from chainrule.engines.schedule.blocks import block_width
from chainrule.graph.declare import Operation
from chainrule.graph.emit import clone, emit, tracing
from chainrule.graph.graph import Graph, users
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, REFERENCES, Primitive
from chainrule.graph.program import Entry
from chainrule.graph.types import ArrayType, Shape
from chainrule.passes import merge_common, prepare
from chainrule.passes.scans import share_scans
from chainrule.passes.windows import share_windows
from chainrule.primitives.creation import constant
from chainrule.primitives.matmul import dot_general
from chainrule.primitives.movement import broadcast_to, reduce_sum, reshape
from chainrule.util.bounded import Bounded

#: Nodes of one loop: longer ones only take longer to compile.
NODES_AT_MOST = 64
#: Operands of one loop that move with it: each keeps an address.
OPERANDS_AT_MOST = 24
#: Elements of a unit of a partial reduction, at least; smaller sums are one unit.
FOLDED_FROM = 2048


def _fused_types(
    *types: ArrayType, body: Graph, partial_sums: tuple[int, ...]
) -> tuple[ArrayType, ...]:
    return tuple(
        [
            ArrayType((units,), v.dtype) if units else v.type
            for v, units in zip(body.outputs, partial_sums, strict=True)
        ]
    )


def _fused_reference(*arrays: Array, body: Graph, partial_sums: tuple[int, ...]) -> Any:
    results = tuple(
        array.reshape(units, -1).sum(1) if units else array
        for array, units in zip(evaluate(body, arrays), partial_sums, strict=True)
    )
    return results[0] if len(results) == 1 else results


#: Elementwise nodes that are one loop. Attributes: ``body``, their graph, and
#: ``partial_sums``, for each result the number of its units, or 0 where it is an array.
fused = Operation(name="fused", rule=_fused_types, internal=True)
REFERENCES[fused] = _fused_reference


def _tiled_types(
    a: ArrayType,
    b: ArrayType,
    *rest: ArrayType,
    body: Graph,
    partial_sums: Any,
    **attrs: Any,
) -> tuple[ArrayType, ...]:
    return _fused_types(body=body, partial_sums=partial_sums)


def _tiled_reference(
    a: Array, b: Array, *rest: Array, body: Graph, partial_sums: Any, **attrs: Any
) -> Any:
    product = REFERENCES[dot_general](a, b, **attrs)
    return _fused_reference(product, *rest, body=body, partial_sums=partial_sums)


#: A product and the loop that alone reads it. Inputs: the product's two, then those of
#: the loop; attributes: those of both. The body's first input is the product.
tiled = Operation(name="tiled", rule=_tiled_types, internal=True)
REFERENCES[tiled] = _tiled_reference


# -- what is one loop ------------------------------------------------------------------


def scalar_broadcast(node: Node) -> bool:
    """Return whether a graph node broadcasts a single number."""
    return node.primitive is broadcast_to and node.inputs[0].shape == ()


def loop_body(node: Node) -> Graph | None:
    """Return the body of a composite node that is one elementwise loop, else None.

    Scalars may be broadcast in the body. It is computed once for each composite, types
    and attributes.
    """
    if node.primitive is fused:
        return node.attrs["body"]
    if node.primitive not in BODIES:
        return None
    return composite_loop(node.primitive, [v.type for v in node.inputs], node.attrs)


def composite_loop(
    composite: Primitive, types: Sequence[ArrayType], attrs: dict[str, Any]
) -> Graph | None:
    """Return a composite's body for these types if it is one elementwise loop."""
    key = (composite, tuple(types), tuple(attrs.items()))
    known = _loop_bodies.get(key)
    if known is None:
        body = prepare(BODIES[composite](types, attrs))
        known = _loop_bodies[key] = (body if _one_loop(body) else None,)
    return known[0]


_loop_bodies: Bounded[Any, tuple[Graph | None]] = Bounded(256)


def _one_loop(body: Graph) -> bool:
    shapes = {v.shape for v in (*body.inputs, *body.outputs) if v.shape != ()}
    return len(shapes) <= 1 and all(
        node.primitive.elementwise or scalar_broadcast(node) or _is_number(node)
        for node in body.nodes
    )


def _is_number(node: Node) -> bool:
    return node.primitive is constant and node.attrs["shape"] == ()


def fingerprint(body: Graph) -> Any:
    """Return a cache key for a loop body, equal for bodies that compute the same."""
    number_of = {v: i for i, v in enumerate(body.values())}
    rows = tuple(
        (
            node.primitive,
            tuple(number_of[v] for v in node.inputs),
            tuple(v.dtype for v in node.inputs),
            "" if scalar_broadcast(node) else repr(node.attrs),
        )
        for node in body.nodes
    )
    return rows, tuple(number_of[v] for v in body.outputs)


def is_elementwise(node: Node) -> bool:
    """Return whether a node is one loop over elements: primitive or composite."""
    return node.primitive.elementwise or loop_body(node) is not None


def domain_of(node: Node) -> Shape:
    """Return the shape over whose elements an elementwise node loops."""
    if node.primitive in (fused, tiled):
        return node.attrs["body"].outputs[0].shape
    out = node.outputs[0]
    assert out is not None
    return out.shape


def partial_sums_of(node: Node) -> tuple[int, ...]:
    """Return the number of partial sums of each result of a fused loop, or 0."""
    loop = node.primitive in (fused, tiled)
    return node.attrs["partial_sums"] if loop else (0,) * len(node.outputs)


def elementwise_inputs(node: Node) -> tuple[Value, ...]:
    """Return a node's inputs that an elementwise loop reads only at its own place."""
    if node.primitive is tiled:
        return tuple([v for v in node.inputs[2:] if v not in node.inputs[:2]])
    return node.inputs if is_elementwise(node) else ()


def partial_sum_count(shape: Shape) -> int:
    """Return into how many partial sums the sum of a whole array is divided.

    It depends on the shape alone, so that sums do not depend on the number of threads.
    A unit is whole blocks of rows with at least FOLDED_FROM elements.
    """
    rows = shape[0]
    assert isinstance(rows, int)
    total, width = _count(shape), block_width(shape)
    for unit_size in range(width, rows, width):
        if rows % unit_size == 0 and total // rows * unit_size >= FOLDED_FROM:
            return rows // unit_size
    return 1


def _count(shape: Shape) -> int:
    return math.prod([d for d in shape if isinstance(d, int)])


def _is_partial_reduction(node: Node) -> bool:
    """Return whether a node sums a whole array that is large enough to be fused."""
    if node.primitive is not reduce_sum:
        return False
    (x,) = node.inputs
    return (
        len(node.attrs["axes"]) == len(x.shape) > 0
        and all(isinstance(d, int) for d in x.shape)
        and x.dtype.is_float
        and _count(x.shape) >= FOLDED_FROM
    )


# -- the order in which nodes are looked at --------------------------------------------


def early(graph: Graph, state: Mapping[Value, Value]) -> list[Node]:
    """Return the nodes of a graph, each as early as its operands allow, for fusion.

    A node that depends on no computed value (numbers, random bits, copies of state)
    comes just before its first reader instead.

    Args:
        graph: its nodes.
        state: old → new for state that is replaced; the node that makes the new one
            stays behind those that read the old one before it.
    """
    level: dict[Node, int] = {}
    readers: dict[Value, int] = {}
    free: set[Node] = set()
    replaced: dict[Node, list[Value]] = {}
    for old, new in state.items():
        if new.node is not None:
            replaced.setdefault(new.node, []).append(old)
    for node in graph.nodes:
        before = [v.node for v in node.inputs if v.node is not None]
        if all(other in free for other in before):
            free.add(node)
        mine = max([level[other] for other in before if other in level], default=0)
        for old in replaced.get(node, ()):
            mine = max(mine, readers.get(old, 0))
        level[node] = mine + 1
        for value in node.inputs:
            readers[value] = max(readers.get(value, 0), mine + 1)
    first: dict[Node, int] = {}
    for node in reversed(graph.nodes):
        if node in free and node not in replaced:
            level[node] = max(first.get(node, level[node] + 1) - 1, level[node])
        for value in node.inputs:
            if value.node is not None:
                known = first.get(value.node, level[node])
                first[value.node] = min(known, level[node])
    return sorted(graph.nodes, key=lambda node: level[node])


# -- which nodes share a loop ----------------------------------------------------------


class _Loop:
    """A group of graph nodes to be fused into one elementwise loop."""

    def __init__(self, domain: Shape) -> None:
        self.domain = domain
        self.nodes: list[Node] = []
        self.open = True


def find_loops(
    nodes: Sequence[Node], admit: Callable[[Node], bool]
) -> list[list[Node]]:
    """Return groups of graph nodes, each to be fused into one elementwise loop.

    Args:
        nodes: in running order.
        admit: whether a node may share a loop with others.
    """
    loop_of: dict[Node, _Loop] = {}
    reader: dict[Value, _Loop] = {}
    place = {node: i for i, node in enumerate(nodes)}

    def joined(loop: _Loop | None, other: _Loop, more: list[Node]) -> _Loop | None:
        """Merge two groups of nodes into one elementwise loop if possible."""
        if other is loop or not other.open:
            return loop
        if loop is None:
            return other if _fits([*other.nodes, *more]) else None
        if loop.domain != other.domain or not _fits([*loop.nodes, *other.nodes, *more]):
            return loop
        loop.nodes = sorted([*loop.nodes, *other.nodes], key=place.__getitem__)
        for node in other.nodes:
            loop_of[node] = loop
            reader.update((v, loop) for v in node.inputs)
        return loop

    for node in nodes:
        domain = _domain(node) if admit(node) else None
        values = list(dict.fromkeys(node.inputs))
        mine: _Loop | None = None
        if domain is not None:
            others = [loop_of.get(v.node) for v in values if v.node is not None]
            others += [reader.get(v) for v in values if v.shape == domain]
            joined_loop: _Loop | None = None
            for loop in others:
                if loop is not None and loop.domain == domain:
                    joined_loop = joined(joined_loop, loop, [node])
            mine = joined_loop or _Loop(domain)
            mine.nodes.append(node)
            loop_of[node] = mine
            for value in values:
                reader[value] = mine
        for value in values:
            theirs = loop_of.get(value.node) if value.node is not None else None
            if theirs is not None and theirs is not mine:
                theirs.open = False  # somebody outside reads it here
    every = {id(loop): loop.nodes for loop in loop_of.values()}
    return [
        nodes
        for nodes in every.values()
        if len(nodes) > 1 or _is_partial_reduction(nodes[0])
    ]


def _domain(node: Node) -> Shape | None:
    """Return the shape over which an elementwise node loops, or None if not fusible."""
    if _is_partial_reduction(node):
        return node.inputs[0].shape
    if not is_elementwise(node) or None in node.outputs:
        return None
    shapes = {v.shape for v in node.outputs if v is not None}
    return shapes.pop() if len(shapes) == 1 else None


def _fits(nodes: list[Node]) -> bool:
    produced = {v for node in nodes for v in node.outputs}
    operands = {v for node in nodes for v in node.inputs if v not in produced}
    return len(nodes) <= NODES_AT_MOST and len(operands) <= OPERANDS_AT_MOST


# -- the pass --------------------------------------------------------------------------


def in_loops(entry: Entry) -> Entry:
    """Return an entry point with its chains of elementwise nodes fused."""
    entry = opened(entry)
    return entry.with_graph(fuse_maps(entry.graph, entry.replaced()))


def opened(entry: Entry) -> Entry:
    """Return an entry point after the graph passes, elementwise composites whole."""
    graph = prepare(share_scans(entry.graph), keep=is_elementwise)
    with tracing():
        graph = share_windows(graph)
    return entry.with_graph(graph)


def fuse_maps(
    graph: Graph,
    state: Mapping[Value, Value],
    admit: Callable[[Node], bool] = lambda _: True,
    units: Callable[[Shape], int] = partial_sum_count,
) -> Graph:
    """Return the graph with chains of elementwise nodes as ``fused`` nodes.

    Args:
        graph: a prepared graph.
        state: old → new, see :func:`early`.
        admit: whether a node may share a loop with others.
        units: in how many units a whole sum over a shape is added up.
    """
    nodes = early(graph, state)
    loops = find_loops(nodes, admit)
    if not loops:
        return graph
    last = {members[-1]: members for members in loops}
    inside = {node for members in loops for node in members}
    readers = users(graph)
    wanted = set(graph.outputs)
    new: dict[Value, Value] = {}
    with tracing():
        for node in nodes:
            if node in last:
                _record_loop(last[node], readers, wanted, new, units)
            elif node not in inside:
                results = clone(node, [new.get(v, v) for v in node.inputs])
                pairs = zip(node.outputs, results, strict=True)
                new.update((old, value) for old, value in pairs if old is not None)
    return Graph(graph.name, graph.inputs, [new.get(v, v) for v in graph.outputs])


def _record_loop(
    nodes: list[Node],
    readers: dict[Value, list[Node]],
    wanted: set[Value],
    new: dict[Value, Value],
    units: Callable[[Shape], int],
) -> None:
    """Record the ``fused`` node of an elementwise loop; map its old results to new."""
    members, origin = set(nodes), nodes[-1]
    sums = [node for node in nodes if _is_partial_reduction(node)]
    maps = [node for node in nodes if not _is_partial_reduction(node)]
    body = _Body(maps)
    arrays = [
        v
        for node in maps
        for v in node.outputs
        if v is not None
        and (v in wanted or any(reader not in members for reader in readers[v]))
    ]
    added = [body.argument(node.inputs[0]) for node in sums]
    graph = Graph("fused", body.inputs, [*map(body.argument, arrays), *added])
    if any(node.primitive in BODIES for node in maps):  # may repeat what others do
        graph = merge_common(graph)
    partial_sums = [units(node.inputs[0].shape) for node in sums]
    attrs = {"body": graph, "partial_sums": (0,) * len(arrays) + tuple(partial_sums)}
    operands = tuple([new.get(v, v) for v in body.outside])
    results = emit(fused, operands, attrs, origin)
    new.update(zip(arrays, results))
    for node, partial in zip(sums, results[len(arrays) :]):
        (out,) = node.outputs
        assert out is not None
        if partial.shape == (1,):
            (new[out],) = emit(reshape, (partial,), {"shape": ()}, node)
        else:
            (new[out],) = emit(reduce_sum, (partial,), {"axes": (0,)}, node)


class _Body:
    """The body graph of a fused elementwise loop under construction.

    Attributes:
        outside: what it reads, in the order of ``inputs``.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self.outside: list[Value] = []
        self.inputs: list[Value] = []
        self._known: dict[Value, Value] = {}
        for node in nodes:
            arguments = [self.argument(v) for v in node.inputs]
            composite = loop_body(node)
            if composite is None:
                results = clone(node, arguments)
            else:
                results = inline(composite, arguments, origin=node)
            for old, value in zip(node.outputs, results, strict=True):
                assert old is not None
                self._known[old] = value

    def argument(self, value: Value) -> Value:
        """Return the value in a fused loop's body for a value from outside."""
        if value not in self._known:
            node = value.node
            if node is not None and (scalar_broadcast(node) or _is_number(node)):
                arguments = [self.argument(v) for v in node.inputs]
                (self._known[value],) = clone(node, arguments)
            else:
                name = f"x{len(self.outside)}"
                parameter = Value(None, value.shape, value.dtype, name=name)
                self.outside.append(value)
                self.inputs.append(parameter)
                self._known[value] = parameter
        return self._known[value]
