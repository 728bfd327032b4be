"""The choice of program states that engines store in a matrix layout for weights.

A product x·Wᵀ reads W of shape (outputs, inputs) along its outputs for one input after
the other, so engines store W the other way round. Its gradient and its moments, which
meet it element by element, follow: together they form a class of one layout. Read and
written from outside, every value keeps its canonical shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chainrule.engines.schedule.horizontal_fusion import horizontal_loop, members_of
from chainrule.engines.schedule.maps import (
    domain_of,
    elementwise_inputs,
    is_elementwise,
    partial_sums_of,
)
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.primitives.creation import constant, iota
from chainrule.primitives.matmul import dot_general, parse_dims
from chainrule.primitives.movement import broadcast_to, reduce_sum


def weight_states(entries: Iterable[Entry]) -> set[str]:
    """Return the program states that may be stored in the layout for weights.

    A matrix qualifies when a product contracts its last axis. It and all that meet it
    element by element form a class; the class qualifies unless one of its members meets
    a node that is neither elementwise, nor a product, nor a sum of everything.
    """
    classes = _Classes()
    wanted: set[str] = set()
    refused: set[object] = set()
    names: set[str] = set()
    for entry in entries:
        graph = entry.graph
        names.update(entry.state)
        states_of = dict(zip(graph.inputs[len(entry.inputs) :], entry.state))
        for value, name in states_of.items():
            classes.join(value, name)
        for name, index in entry.replaces.items():
            classes.join(graph.outputs[index], name)
        refused.update(graph.inputs[: len(entry.inputs)])
        for node in graph.nodes:
            _classify(node, states_of, classes, wanted, refused)
    bad = {classes.find(item) for item in refused}
    good = {classes.find(name) for name in wanted} - bad
    return {name for name in names if classes.find(name) in good}


def _classify(
    node: Node,
    states_of: dict[Value, str],
    classes: _Classes,
    wanted: set[str],
    refused: set[object],
) -> None:
    outputs = [v for v in node.outputs if v is not None]
    if is_elementwise(node) or node.primitive is horizontal_loop:
        for arrays in alike(node):
            _join_all(classes, arrays)
        return
    primitive = node.primitive
    if primitive is dot_general:
        d = parse_dims(node.attrs["dims"])
        simple = not d.batch and len(d.left) == len(d.right) == len(d.contracted) == 1
        if simple and all(v.dtype.is_float for v in node.inputs):
            for value, letters in zip(node.inputs, (d.lhs, d.rhs)):
                if value in states_of and letters[1] in d.contracted:
                    wanted.add(states_of[value])
            return
    if primitive is reduce_sum and len(node.attrs["axes"]) == len(node.inputs[0].shape):
        return
    # A broadcast is read by strides: its source must lie row-major, it itself need not.
    refused.update(node.inputs)
    if primitive not in (broadcast_to, constant, iota):
        refused.update(outputs)


class _Classes:
    """A union-find structure over graph values and names of program states."""

    def __init__(self) -> None:
        self.parent: dict[object, object] = {}

    def find(self, item: object) -> object:
        root = item
        while self.parent.get(root, root) is not root:
            root = self.parent[root]
        while item is not root:  # the next search is short
            self.parent[item], item = root, self.parent[item]
        return root

    def join(self, a: object, b: object) -> None:
        ra, rb = self.find(a), self.find(b)
        if ra is not rb:
            self.parent[ra] = rb


def alike(node: Node) -> list[list[Value]]:
    """Return groups of arrays that a graph node reads or writes element by element."""
    if node.primitive is horizontal_loop:
        pairs = members_of(node)
        return [[v for v in (*ins, *outs) if v.shape] for ins, outs in pairs]
    inputs = elementwise_inputs(node)
    if not inputs:
        return []
    domain = domain_of(node)
    results = zip(node.outputs, partial_sums_of(node), strict=True)
    arrays = [*inputs, *(v for v, units in results if v is not None and not units)]
    return [[v for v in arrays if v.shape == domain and domain != ()]]


def _join_all(classes: _Classes, values: Sequence[Value]) -> None:
    for value in values[1:]:
        classes.join(value, values[0])


def weight_values(entry: Entry, states: set[str]) -> set[Value]:
    """Return an entry point's values that share the weight layout of ``states``."""
    graph = entry.graph
    values = {
        value
        for value, name in zip(graph.inputs[len(entry.inputs) :], entry.state)
        if name in states
    }
    values |= {graph.outputs[i] for n, i in entry.replaces.items() if n in states}
    classes = _Classes()
    for node in graph.nodes:
        for arrays in alike(node):
            _join_all(classes, [v for v in arrays if not _is_broadcast(v)])
    wanted = {classes.find(value) for value in values}
    return {v for v in graph.values() if classes.find(v) in wanted}


def _is_broadcast(value: Value) -> bool:
    node = value.node
    return node is not None and node.primitive in (broadcast_to, constant, iota)
