"""A graph: inputs, outputs, and the nodes between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import Region
from chainrule.graph.types import is_symbolic

Reference = Callable[..., Array | tuple[Array, ...]]


@dataclass
class Tape:
    """A graph made ready to be run by its references.

    Regions are opened, and what depends on no input is worked out already.

    Attributes:
        slots: how many values there are; the inputs come first.
        steps: (reference, attributes, whether those contain N, inputs, outputs).
        outputs: the slots of the graph's outputs.
        constants: (slot, array) of what is known already.
    """

    slots: int
    steps: list[tuple[Reference, dict[str, Any], bool, list[int], list[int]]]
    outputs: list[int]
    constants: list[tuple[int, Array]]

    def new_slot(self) -> int:
        """One more slot."""
        self.slots += 1
        return self.slots - 1


class Graph:
    """Inputs, outputs and the nodes that lead from one to the other.

    The nodes are found by walking back from the outputs, so what does not matter to
    them is not part of the graph. They stand in an order in which they can run.

    Attributes:
        name: what the graph computes (``train``, ``softmax``).
        inputs, outputs: values.
        nodes: in running order.
    """

    def __init__(
        self, name: str, inputs: Sequence[Value], outputs: Sequence[Value]
    ) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.nodes = tuple(ancestors(self.outputs, stop=self.inputs))

    @cached_property
    def symbolic(self) -> bool:
        """Whether a shape contains N."""
        return any(is_symbolic(v.shape) for v in self.values())

    @cached_property
    def tape(self) -> Tape:
        """The nodes as calls of references on numbered slots."""
        made = Tape(len(self.inputs), [], [], [])
        slot = {value: i for i, value in enumerate(self.inputs)}
        made.outputs.extend(_write(made, self, slot))
        return made

    def values(self) -> Iterable[Value]:
        """Every value: the inputs, then what each node computes."""
        yield from self.inputs
        for node in self.nodes:
            for value in node.outputs:
                if value is not None:
                    yield value

    def __str__(self) -> str:
        from chainrule.graph.text import to_text

        return to_text(self)

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.nodes)} nodes>"


def _write(tape: Tape, graph: Graph, slot: dict[Value, int]) -> list[int]:
    """Append the nodes of ``graph`` to a tape; the slots of its outputs."""
    for node in graph.nodes:
        known = dict(tape.constants)
        inputs = [slot[v] for v in node.inputs]
        outputs = [v for v in node.outputs if v is not None]
        symbolic = any(is_symbolic(a) for a in node.attrs.values())
        fixed = not symbolic and not any(is_symbolic(v.shape) for v in node.inputs)
        if isinstance(node.primitive, Region) and fixed:
            body = node.primitive.body([v.type for v in node.inputs], node.attrs)
            inner = dict(zip(body.inputs, inputs, strict=True))
            slot.update(zip(outputs, _write(tape, body, inner), strict=True))
            continue
        places = [tape.new_slot() for _ in outputs]
        slot.update(zip(outputs, places, strict=True))
        if fixed and len(places) == 1 and all(i in known for i in inputs):
            made = node.primitive.reference(*(known[i] for i in inputs), **node.attrs)
            tape.constants.append((places[0], np.asarray(made)))
        else:
            tape.steps.append(
                (node.primitive.reference, node.attrs, symbolic, inputs, places)
            )
    return [slot[v] for v in graph.outputs]


def ancestors(roots: Iterable[Value], stop: Iterable[Value] = ()) -> list[Node]:
    """The nodes that ``roots`` depend on, in running order.

    The walk ends at the values of ``stop`` and at values without a node.
    """
    ends = {id(v) for v in stop}
    seen: dict[int, Node] = {}
    waiting = [v.node for v in roots if v.node is not None and id(v) not in ends]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        waiting.extend(
            v.node for v in node.inputs if v.node is not None and id(v) not in ends
        )
    return sorted(seen.values(), key=lambda node: node.number)


def users(graph: Graph) -> dict[Value, list[Node]]:
    """For each value the nodes that read it, in running order."""
    readers: dict[Value, list[Node]] = {value: [] for value in graph.values()}
    for node in graph.nodes:
        for value in dict.fromkeys(node.inputs):
            readers.setdefault(value, []).append(node)
    return readers
