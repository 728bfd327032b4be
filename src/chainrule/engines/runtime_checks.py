"""Placement of run-time checks (such as of indices) before state is overwritten.

An error at run time leaves the state as it was before the step. So state is written in
place only after the *commit point*: all checks are before it. New state that is
computed earlier is copied at the end of the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim
from chainrule.primitives.creation import constant
from chainrule.primitives.movement import broadcast_to, copy, slice_


@dataclass(frozen=True)
class Condition:
    """A run-time condition of a graph node, such as a valid index, else an error.

    Attributes:
        node: the node.
        value: one index, or several, or a truth value; None where a graph within the
            node refuses.
        rows: how many rows the indices are for; None for a truth value.
    """

    node: Node
    value: Value | None
    rows: Dim | None


def conditions(node: Node) -> list[Condition]:
    """Return a node's run-time conditions, except those that constants fulfil."""
    if any(isinstance(a, Graph) and _refuses(a) for a in node.attrs.values()):
        return [Condition(node, None, None)]
    refuses = node.primitive.refuses
    if refuses is None:
        return []
    pairs = refuses([v.type for v in node.inputs], node.attrs)
    conditions_of = [Condition(node, node.inputs[i], rows) for i, rows in pairs]
    return [condition for condition in conditions_of if not _fulfilled(condition)]


def _refuses(graph: Graph) -> bool:
    return any(conditions(node) for node in graph.nodes)


def _fulfilled(condition: Condition) -> bool:
    value, rows = condition.value, condition.rows
    if value is None or value.node is None or value.node.primitive is not constant:
        return False
    numbers = np.asarray(value.node.attrs["value"])
    if rows is None:
        return bool(numbers.all())
    return isinstance(rows, int) and bool(((numbers >= 0) & (numbers < rows)).all())


def distinct_conditions(
    nodes: Sequence[Node],
) -> Iterator[tuple[int, list[Condition]]]:
    """Yield the indices of nodes that have run-time conditions, with these.

    What was checked before, as an index is in the derivative of what picked by it, is
    not checked again.
    """
    known: set[Any] = set()
    for i, node in enumerate(nodes):
        found: list[Condition] = []
        for condition in conditions(node):
            value = condition.value
            if value is not None:
                key = (*_elements(value), condition.rows)
                if key in known:
                    continue
                known.add(key)
            found.append(condition)
        if found:
            yield i, found


def place_commit(
    nodes: Sequence[Node], writes: Sequence[int]
) -> tuple[int, list[Condition]]:
    """Return the index of a graph's error check, with the conditions to check there.

    A single index or truth value can be checked ahead of the node that needs it; of
    many the node itself sees which are outside.

    Args:
        nodes: in running order.
        writes: the indices of those that might write new state over the old one.

    Returns:
        the index of the node before which to check (0: nothing refuses; their number:
        at the end), and what is checked there.
    """
    position = {v: i for i, node in enumerate(nodes) for v in node.outputs}
    placed: list[tuple[int, Condition]] = []
    ready = 0
    for i, found in distinct_conditions(nodes):
        for condition in found:
            value = condition.value
            single = value is not None and value.shape == ()
            ready = max(ready, (position.get(value, -1) if single else i) + 1)
            placed.append((i, condition))
    if not placed:
        return 0, []
    last = placed[-1][0] + 1
    sooner = [i for i in writes if ready <= i < last]
    later = [i for i in writes if i >= last]
    commit = min(sooner or later, default=len(nodes))
    return commit, [condition for i, condition in placed if i >= commit]


def _elements(value: Value) -> tuple[Value, tuple[str, ...]]:
    """Return the key of a value's elements: the value behind its views, and slices.

    Views and copies have the same elements, in another order. Of what is sliced the
    order counts; and a slice may have none, as may a broadcast, to a size of 0.
    """
    slices: list[str] = []
    while (node := value.node) is not None:
        if not (node.primitive.view or node.primitive is copy):
            break
        if slices or node.primitive in (slice_, broadcast_to):
            slices.append(f"{node.primitive.name}{node.attrs}")
        value = node.inputs[0]
    return value, tuple(slices)


def ahead(graph: Graph) -> frozenset[Node]:
    """Return the scalar nodes on which a graph's run-time conditions depend."""
    single = {v for v in graph.inputs if v.shape == ()}
    cheap: dict[Node, None] = {}
    needed: set[Value] = set()
    for node in graph.nodes:
        needed.update(c.value for c in conditions(node) if c.value is not None)
        alone = all(v is not None and v.shape == () for v in node.outputs)
        if alone and all(v in single for v in node.inputs):
            cheap[node] = None
            single.update(v for v in node.outputs if v is not None)
    nodes_ahead: set[Node] = set()
    for node in reversed(cheap):
        if any(v in needed for v in node.outputs):
            nodes_ahead.add(node)
            needed.update(node.inputs)
    return frozenset(nodes_ahead)
