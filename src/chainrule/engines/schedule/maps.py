"""Chains of elementwise nodes as one loop: ``fused`` nodes.

What one node computes and the next one reads at the same place need not go through
memory:

    z = add(y, b)        fused(y, b)            for each place:
    a = maximum(z, 0)      z = add(y, b)            z = y + b; a = max(z, 0)
    m = convert(a)         a = maximum(z, 0)        store what others read
                           …

A ``fused`` node carries its body as a graph, as ``scan`` does, and is one loop over the
elements of its outputs. Its inputs have the shape of the outputs or are scalars, which
are the same at every place. It runs where the last of its nodes stood, so a node joins
only while nobody outside the loop has read what the loop computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chainrule.autodiff import inline
from chainrule.graph.build import record, replay, tracing
from chainrule.graph.declare import Operation
from chainrule.graph.graph import Graph, users
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, REFERENCES
from chainrule.graph.types import ArrayType, Shape
from chainrule.passes import prepare
from chainrule.primitives.creation import constant
from chainrule.primitives.movement import broadcast_to

#: Nodes of one loop: longer ones only take longer to compile.
NODES_AT_MOST = 64
#: Operands of one loop that move with it: each keeps an address.
OPERANDS_AT_MOST = 24


def _fused_types(*types: ArrayType, body: Graph) -> tuple[ArrayType, ...]:
    return tuple([v.type for v in body.outputs])


def _fused_reference(*arrays: Array, body: Graph) -> Any:
    made = evaluate(body, arrays)
    return made[0] if len(made) == 1 else tuple(made)


#: Elementwise nodes that are one loop; the attribute ``body`` is their graph.
fused = Operation(name="fused", rule=_fused_types)
REFERENCES[fused] = _fused_reference
BODIES[fused] = lambda types, attrs: attrs["body"]


# -- what is one loop ------------------------------------------------------------------


def scalar_broadcast(node: Node) -> bool:
    """Whether a node repeats a single number."""
    return node.primitive is broadcast_to and node.inputs[0].shape == ()


def loop_body(node: Node) -> Graph | None:
    """The prepared body of a region that is one loop over elements, else None.

    Scalars may be repeated in it. It is worked out once for each region, types and
    attributes.
    """
    if node.primitive is fused:
        return node.attrs["body"]
    body_of = BODIES.get(node.primitive)
    if body_of is None:
        return None
    types = tuple([v.type for v in node.inputs])
    key = (node.primitive, types, tuple(node.attrs.items()))
    if key not in _loop_bodies:
        body = prepare(body_of(types, node.attrs))
        _loop_bodies[key] = body if _one_loop(body) else None
    return _loop_bodies[key]


_loop_bodies: dict[Any, Graph | None] = {}


def _one_loop(body: Graph) -> bool:
    shapes = {v.shape for v in (*body.inputs, *body.outputs) if v.shape != ()}
    return len(shapes) <= 1 and all(
        node.primitive.elementwise or scalar_broadcast(node) or _is_number(node)
        for node in body.nodes
    )


def _is_number(node: Node) -> bool:
    return node.primitive is constant and node.attrs["shape"] == ()


def is_elementwise(node: Node) -> bool:
    """Whether a node is one loop over elements: a primitive, or a region kept whole."""
    return node.primitive.elementwise or loop_body(node) is not None


# -- which nodes share a loop ----------------------------------------------------------


class _Loop:
    """Nodes that shall be one loop, in running order."""

    def __init__(self, domain: Shape) -> None:
        self.domain = domain
        self.nodes: list[Node] = []
        self.open = True

    def absorb(self, other: _Loop) -> None:
        """Take over the nodes of another loop."""
        self.nodes = sorted({*self.nodes, *other.nodes}, key=lambda n: n.number)


def find_loops(graph: Graph, admit: Callable[[Node], bool]) -> list[list[Node]]:
    """The nodes that share loops, each loop's in running order; loops of one left out.

    Args:
        graph: a prepared graph.
        admit: whether a node may share a loop with others.
    """
    loop_of: dict[Node, _Loop] = {}
    for node in graph.nodes:
        mine = _domain(node) if admit(node) else None
        joined: _Loop | None = None
        for value in dict.fromkeys(node.inputs):
            theirs = loop_of.get(value.node) if value.node is not None else None
            if theirs is None:
                continue
            if mine is None or theirs.domain != mine or not theirs.open:
                theirs.open = False  # somebody outside reads it here
                continue
            if joined is None or joined is theirs:
                joined = theirs
            elif _fits(joined.nodes + theirs.nodes):
                joined.absorb(theirs)
                for member in theirs.nodes:
                    loop_of[member] = joined
            else:
                theirs.open = False
        if mine is None:
            continue
        if joined is not None and not _fits([*joined.nodes, node]):
            joined.open, joined = False, None
        if joined is None:
            joined = _Loop(mine)
        joined.nodes.append(node)
        loop_of[node] = joined
    found = {id(loop): loop.nodes for loop in loop_of.values()}
    return [nodes for nodes in found.values() if len(nodes) > 1]


def _domain(node: Node) -> Shape | None:
    """The shape that a node loops over, if it is one loop."""
    if not is_elementwise(node):
        return None
    shapes = {v.shape for v in node.outputs if v is not None}
    return shapes.pop() if len(shapes) == 1 and None not in node.outputs else None


def _fits(nodes: list[Node]) -> bool:
    made = {v for node in nodes for v in node.outputs}
    operands = {v for node in nodes for v in node.inputs if v not in made}
    return len(nodes) <= NODES_AT_MOST and len(operands) <= OPERANDS_AT_MOST


# -- the pass --------------------------------------------------------------------------


def fuse_maps(graph: Graph, admit: Callable[[Node], bool] = lambda _: True) -> Graph:
    """The graph with chains of elementwise nodes as ``fused`` nodes."""
    loops = find_loops(graph, admit)
    if not loops:
        return graph
    last = {nodes[-1]: nodes for nodes in loops}
    inside = {node for nodes in loops for node in nodes}
    readers = users(graph)
    new: dict[Value, Value] = {}
    with tracing():
        for node in graph.nodes:
            if node in last:
                _record_loop(last[node], readers, graph.outputs, new)
            elif node not in inside:
                made = replay(node, [new.get(v, v) for v in node.inputs])
                pairs = zip(node.outputs, made, strict=True)
                new.update((old, value) for old, value in pairs if old is not None)
    return Graph(graph.name, graph.inputs, [new.get(v, v) for v in graph.outputs])


def _record_loop(
    nodes: list[Node],
    readers: dict[Value, list[Node]],
    wanted: Iterable[Value],
    new: dict[Value, Value],
) -> None:
    """Record the ``fused`` node of a loop, and what its outputs stand for."""
    members, wanted = set(nodes), set(wanted)
    body = _Body(nodes)
    outputs = [
        v
        for node in nodes
        for v in node.outputs
        if v is not None
        and (v in wanted or any(reader not in members for reader in readers[v]))
    ]
    attrs = {"body": body.graph(outputs)}
    given = tuple([new.get(v, v) for v in body.outside])
    made = record(fused, given, attrs, nodes[-1])
    new.update(zip(outputs, made, strict=True))


class _Body:
    """The body of a loop: its nodes with repeated scalars and numbers inside.

    Attributes:
        outside: what it reads, in the order of its inputs.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self.outside: list[Value] = []
        self._inputs: list[Value] = []
        self._known: dict[Value, Value] = {}
        for node in nodes:
            arguments = [self._argument(v) for v in node.inputs]
            region = loop_body(node)
            if region is None:
                made = replay(node, arguments)
            else:
                made = inline(region, arguments, origin=node)
            for old, value in zip(node.outputs, made, strict=True):
                assert old is not None
                self._known[old] = value

    def graph(self, outputs: list[Value]) -> Graph:
        """The body, with these results."""
        return Graph("fused", self._inputs, [self._known[v] for v in outputs])

    def _argument(self, value: Value) -> Value:
        """What stands for a value within the body."""
        if value not in self._known:
            node = value.node
            if node is not None and (scalar_broadcast(node) or _is_number(node)):
                arguments = [self._argument(v) for v in node.inputs]
                (self._known[value],) = replay(node, arguments)
            else:
                made = Value(
                    None, value.shape, value.dtype, name=f"x{len(self.outside)}"
                )
                self.outside.append(value)
                self._inputs.append(made)
                self._known[value] = made
        return self._known[value]
