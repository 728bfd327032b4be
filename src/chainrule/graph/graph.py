"""A graph: inputs, outputs, and the nodes between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chainrule.graph.node import Array, Node, Value
from chainrule.graph.types import is_symbolic

Reference = Callable[..., Array | tuple[Array, ...]]


@dataclass(frozen=True)
class Tape:
    """A graph made ready to be run by its references.

    Attributes:
        slots: how many values there are; the inputs come first.
        steps: (reference, attributes, whether those contain N, inputs, outputs).
        outputs: the slots of the graph's outputs.
    """

    slots: int
    steps: list[tuple[Reference, dict[str, Any], bool, list[int], list[int]]]
    outputs: list[int]


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
        slot = {value: i for i, value in enumerate(self.values())}
        steps = [
            (
                node.primitive.reference,
                node.attrs,
                any(is_symbolic(a) for a in node.attrs.values()),
                [slot[v] for v in node.inputs],
                [slot[v] for v in node.outputs if v is not None],
            )
            for node in self.nodes
        ]
        return Tape(len(slot), steps, [slot[v] for v in self.outputs])

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
