"""The order of nodes: each after those that it reads, and only what is needed."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from chainrule.interop.onnx.reader.faults import wrong
from chainrule.interop.onnx.reader.graph import Graph, Node
from chainrule.text import _

#: Graphs within graphs.
DEEPEST = 16


class Ordered:
    """The nodes of a graph that its outputs need, each after those that it reads.

    Attributes:
        nodes: these.
        names: of all values of the graph.
    """

    def __init__(
        self,
        protos: list[Any],
        given: set[str],
        outside: frozenset[str],
        outputs: list[str],
    ) -> None:
        maker: dict[str, int] = {}
        for i, proto in enumerate(protos):
            for name in filter(None, proto.output):
                if name in maker or name in given:
                    raise wrong(_("two values of one name"), name)
                maker[name] = i
        reads = [set(names_read(proto)) for proto in protos]
        names = given | maker.keys()
        for i, read in enumerate(reads):
            for name in read - names - outside:
                raise wrong(
                    _(
                        "node {node!r:.80} reads a value that nothing makes",
                        node=protos[i].name or protos[i].op_type,
                    ),
                    name,
                )
        for name in outputs:
            if name not in names and name not in outside:
                raise wrong(_("an output that nothing makes"), name)
        before = [{maker[n] for n in read if n in maker} for read in reads]
        order = range(len(protos))
        if any(j >= i for i, earlier in enumerate(before) for j in earlier):
            try:
                order = list(
                    graphlib.TopologicalSorter(dict(enumerate(before))).static_order()
                )
            except graphlib.CycleError as error:
                cycle = [protos[i].name or protos[i].op_type for i in error.args[1]]
                raise wrong(_("nodes in a cycle"), " → ".join(cycle)) from None
        needed = {maker[name] for name in outputs if name in maker}
        for i in reversed(order):
            if i in needed:
                needed |= before[i]
        self.nodes = [protos[i] for i in order if i in needed]
        self.names = frozenset(names)


def names_read(proto: Any, depth: int = 0) -> Iterator[str]:
    """Yield the names that a node reads, those within its graphs included."""
    yield from filter(None, proto.input)
    if depth > DEEPEST:
        raise wrong(
            _("graphs within graphs, more than {n} deep", n=DEEPEST), proto.name
        )
    for attribute in proto.attribute:
        if attribute.type == 5:
            graph = attribute.g
            own = {name for n in graph.node for name in n.output}
            own |= {i.name for i in graph.input} | {t.name for t in graph.initializer}
            for node in graph.node:
                for name in names_read(node, depth + 1):
                    if name not in own:
                        yield name
            yield from (o.name for o in graph.output if o.name not in own)


def captured(values: Iterable[Any]) -> list[str]:
    """Return the names from outside that graphs among attributes read."""
    names: dict[str, None] = {}
    for graph in values:
        if isinstance(graph, Graph):
            own = {i.name for i in graph.inputs} | {*graph.initial}
            own |= {name for node in graph.nodes for name in node.outputs}
            read = [name for node in graph.nodes for name in node.read()]
            names |= dict.fromkeys(n for n in (*read, *graph.outputs) if n not in own)
    return list(names)


def with_last(nodes: list[Node], outputs: list[str]) -> tuple[Node, ...]:
    """Return nodes that know which names no later node reads."""
    later, result = {*outputs}, []
    for node in reversed(nodes):
        names = {*node.read(), *filter(None, node.outputs)}
        result.append(replace(node, last=tuple(names - later)))
        later |= names
    return tuple(reversed(result))
