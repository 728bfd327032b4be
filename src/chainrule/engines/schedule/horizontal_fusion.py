"""Fusion of equal small loops over several arrays into ``horizontal_loop`` nodes.

The update of a bias of ten numbers takes as many calls as that of a large weight. Where
an engine pays for each call, the applications of one composite with the same scalars
are one loop, whose domain is all of their arrays, one behind the other:

    b₁′ = sgd_update(b₁, g₁, η)
    b₂′ = sgd_update(b₂, g₂, η)   →   b₁′, b₂′ = horizontal_loop(b₁, g₁, η, b₂, g₂, η)

Each application is a *member*. An engine that lays b₁ and b₂ side by side in memory,
and g₁ and g₂, goes through them as through one line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from chainrule.engines.schedule.maps import composite_loop, loop_body
from chainrule.graph.declare import Operation
from chainrule.graph.emit import emit, tracing
from chainrule.graph.graph import Graph, users
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, REFERENCES, as_tuple, lookup
from chainrule.graph.program import Entry
from chainrule.graph.types import ArrayType
from chainrule.passes.common import attr_key

T = TypeVar("T")


def _types(
    *types: ArrayType, composite: str, members: int, **attrs: Any
) -> tuple[ArrayType, ...]:
    rule, types_out = lookup(composite).output_types, list[ArrayType]()
    for mine in _in_parts(types, members):
        types_out += rule(mine, attrs)
    return tuple(types_out)


def _reference(
    *arrays: Array, composite: str, members: int, **attrs: Any
) -> tuple[Array, ...]:
    reference, results = REFERENCES[lookup(composite)], list[Array]()
    for mine in _in_parts(arrays, members):
        results += as_tuple(reference(*mine, **attrs))
    return tuple(results)


def _in_parts(items: Sequence[T], members: int) -> list[Sequence[T]]:
    each = len(items) // members
    return [items[k * each : (k + 1) * each] for k in range(members)]


#: Applications of one composite. Attributes: the ``composite``, the number of
#: ``members``, and the composite's own. Inputs and outputs: those of the first, then
#: those of the second …
horizontal_loop = Operation(name="horizontal_loop", rule=_types, internal=True)
REFERENCES[horizontal_loop] = _reference


def members_of(node: Node) -> list[tuple[Sequence[Value], Sequence[Value]]]:
    """Return inputs and outputs of each loop fused in a ``horizontal_loop`` node."""
    members: int = node.attrs["members"]
    outputs = [v for v in node.outputs if v is not None]
    parts = _in_parts(node.inputs, members), _in_parts(outputs, members)
    return list(zip(*parts, strict=True))


def line_body(node: Node) -> Graph:
    """Return the body of a ``horizontal_loop`` node over one array of all members."""
    members = members_of(node)
    length = sum(_count(outputs[0]) for _, outputs in members)
    types = [ArrayType((length,) if v.shape else (), v.dtype) for v in members[0][0]]
    own = {k: a for k, a in node.attrs.items() if k not in ("composite", "members")}
    body = composite_loop(lookup(node.attrs["composite"]), types, own)
    assert body is not None
    return body


def fuse_small_loops(entry: Entry, below: int) -> Entry:
    """Return an entry point with small parameter updates fused into one loop each.

    The members have one composite, attributes and scalars; they read state or what has
    been computed, and nobody within the graph reads what they make.

    Args:
        entry: the entry point, prepared, its composites whole.
        below: loops over as many elements or more stay as they are.
    """
    graph = entry.graph
    if not entry.replaces:
        return entry
    readers = users(graph)
    states = set(graph.inputs[len(entry.inputs) :])
    candidates: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        if _may_join(node, states, readers, below):
            attrs = tuple([(k, attr_key(a)) for k, a in sorted(node.attrs.items())])
            kinds = [v.dtype if v.shape else id(v) for v in node.inputs]
            candidates.setdefault((node.primitive, attrs, *kinds), []).append(node)
    new: dict[Value, Value] = {}
    with tracing():
        for nodes in candidates.values():
            if len(nodes) > 1:
                _emit_horizontal_loop(nodes, new)
    if not new:
        return entry
    outputs = [new.get(v, v) for v in graph.outputs]
    return entry.with_graph(Graph(graph.name, graph.inputs, outputs))


def _may_join(
    node: Node, states: set[Value], readers: dict[Value, list[Node]], below: int
) -> bool:
    if node.primitive not in BODIES or loop_body(node) is None:
        return False
    arrays = [v for v in (*node.inputs, *node.outputs) if v is None or v.shape]
    return all(
        v is not None
        and all(isinstance(d, int) for d in v.shape)
        and _count(v) < below
        and not (v.node is node and readers.get(v))
        and (v in states or (v.node is not None and not v.node.primitive.view))
        for v in arrays
    ) and all(v is not None and v.shape for v in node.outputs)


def _emit_horizontal_loop(nodes: Sequence[Node], new: dict[Value, Value]) -> None:
    first, last = nodes[0], nodes[-1]
    inputs = tuple([v for node in nodes for v in node.inputs])
    attrs = {"composite": first.primitive.name, "members": len(nodes), **first.attrs}
    results = emit(horizontal_loop, inputs, attrs, last)
    new.update(
        zip([v for node in nodes for v in node.outputs if v], results, strict=True)
    )


def _count(value: Value) -> int:
    return math.prod([d for d in value.shape if isinstance(d, int)])
