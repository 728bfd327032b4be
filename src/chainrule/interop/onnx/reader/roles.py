"""Roles of a file's numbers: which are trained, saved, or part of the graph."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import numpy as np

from chainrule.interop.onnx.reader.graph import Graph, Node
from chainrule.interop.onnx.reader.parsing import Contents

#: How inputs come whose numbers must be known while a function is traced.
STATIC = ("Known", "Sizes")


class Role(Enum):
    """The role of a file's tensor in the module: parameter, buffer, constant."""

    parameter = "trained"
    buffer = "saved"
    constant = "part of the graph"


def roles(contents: Contents) -> dict[str, Role]:
    """Return the role of each of a file's arrays, by key.

    - Integers, and floats that decide about shapes (the scales of a Resize), are
      constants. So is a single number that stands in a node instead of among the
      initializers.
    - Statistics of a batch normalisation, exponents, and initializers without an axis
      (ε, 1/√d) or with infinite elements (masks) are buffers: an exporter does not
      tell them from weights, and nobody trains them.
    - All other floats are parameters.
    """
    walk = _Walk()
    walk.graph(contents.graph, frozenset())
    result = {}
    for key, array in contents.tensors.items():
        single = array.size <= 1 and key in contents.inline
        if array.dtype.kind != "f" or key in walk.static or single:
            result[key] = Role.constant
        elif key in walk.states or not array.ndim or not np.isfinite(array).all():
            result[key] = Role.buffer
        else:
            result[key] = Role.parameter
    return result


class _Walk:
    """A walk through a graph that finds how its numbers are used.

    Attributes:
        static: keys of numbers that must be known while a function is traced.
        states: keys of numbers that are not trained.
    """

    def __init__(self) -> None:
        self.static: set[str] = set()
        self.states: set[str] = set()
        self._seen: dict[int, set[str]] = {}

    def graph(self, graph: Graph, around: frozenset[str]) -> set[str]:
        """Visit a graph; return its inputs and names from outside that are static.

        Args:
            graph: it.
            around: names from outside whose values are known.
        """
        known = {*graph.initial, *around}
        within: dict[int, set[str]] = {}
        for i, node in enumerate(graph.nodes):
            within[i] = self._within(node, frozenset(known))
            if all(name in known for name in node.read()):
                known.update(node.outputs)
        static: set[str] = set()
        for i, node in reversed([*enumerate(graph.nodes)]):
            static |= within[i]
            static |= set(_static_inputs(node))
            if static & known & {*node.outputs}:
                static.update(node.read())
            if node.operator is not None:
                for position in node.operator.states:
                    if position < len(node.inputs):
                        self.states |= self._keys(graph, [node.inputs[position]])
        self.static |= self._keys(graph, static)
        return static - {*graph.initial}

    def _within(self, node: Node, known: frozenset[str]) -> set[str]:
        """Return a node's names that its graphs, or the function it calls, need."""
        if node.operator is None:
            body = node.body
            if id(body) not in self._seen:
                self._seen[id(body)] = self.graph(body, frozenset())
            formal = self._seen[id(body)]
            return {n for i, n in zip(body.inputs, node.inputs) if i.name in formal}
        names: set[str] = set()
        for value in node.attributes.values():
            if isinstance(value, Graph):
                own = {i.name for i in value.inputs}
                names |= self.graph(value, known - own) - own
        return names & {*node.captured}

    @staticmethod
    def _keys(graph: Graph, names: Iterable[str]) -> set[str]:
        return {graph.initial[name] for name in names if name in graph.initial}


def _static_inputs(node: Node) -> list[str]:
    """Return the names of inputs whose numbers a node's row must know."""
    if node.operator is None:
        return []
    return [
        name
        for i, name in enumerate(node.inputs)
        if name and node.operator.kind(i) in STATIC
    ]
