"""Which boxes of a picture are joined, read off the graph another way.

The picture goes from each box back to what it reads. Here numbers flow forward: from
what one box computes through nodes that are in no box, into loops and out of them,
until they come to the next box.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule.diagrams import Box, Diagram
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value

#: What has no box though data pass through it: it moves all of its numbers.
MOVES = {"reshape", "transpose", "broadcast_to", "convert", "copy", "require"}
#: Loops, one step of which is drawn.
LOOP = "scan"

Pair = tuple[Box, Box]


class Flow:
    """Numbers that flow from box to box of a picture."""

    def __init__(self, graph: Graph, picture: Diagram) -> None:
        self.graph, self.picture = graph, picture
        self.box: dict[Node, Box] = {}
        self.pills: dict[Value, Box] = {}
        self.ends: dict[Value, list[Box]] = {}
        for box in picture.boxes:
            if box.kind in ("input", "state"):
                self.pills[box.value] = box
            if box.kind == "output":
                self.ends.setdefault(box.value, []).append(box)
            for node in box.nodes if box.kind in ("layer", "operation") else ():
                assert node not in self.box, f"{node} is in two boxes"
                self.box[node] = box
        self.readers: dict[Value, list[Node]] = {}
        self.results: dict[Value, list[tuple[Node, int]]] = {}
        for each in self._graphs(graph):
            for node in each.nodes:
                for value in dict.fromkeys(node.inputs):
                    self.readers.setdefault(value, []).append(node)
                if node.primitive.name == LOOP:
                    for i, value in enumerate(node.attrs["body"].outputs):
                        self.results.setdefault(value, []).append((node, i))

    def _graphs(self, graph: Graph) -> Iterable[Graph]:
        yield graph
        for node in graph.nodes:
            if node.primitive.name == LOOP and node not in self.box:
                yield from self._graphs(node.attrs["body"])

    def joined(self) -> tuple[set[Pair], set[Pair]]:
        """The boxes that are joined: by a value, and by a state of the next step."""
        by_value: set[Pair] = set()
        by_state: set[Pair] = set()
        starts = [(box, value) for value, box in self.pills.items()]
        starts += [
            (box, value)
            for node, box in self.box.items()
            for value in node.outputs
            if value is not None and not self._constant(node)
        ]
        for box, start in starts:
            seen, waiting = set[Value](), [start]
            while waiting:
                value = waiting.pop()
                if value in seen:
                    continue
                seen.add(value)
                by_value.update((box, end) for end in self.ends.get(value, ()))
                for node in self.readers.get(value, ()):
                    if node in self.box:
                        by_value.add((box, self.box[node]))
                    elif node.primitive.name == LOOP:
                        waiting += self._into(node, value, box, by_value)
                    else:
                        waiting += [v for v in node.outputs if v is not None]
                for node, i in self.results.get(value, ()):
                    body = node.attrs["body"]
                    if i < node.attrs["carries"]:
                        state = body.inputs[node.attrs["constants"] + i]
                        by_state.add((box, self.pills[state]))
                    out = node.outputs[i]
                    waiting += [] if out is None else [out]
        return {(a, b) for a, b in by_value if a is not b}, by_state

    def _into(
        self, node: Node, value: Value, box: Box, by_value: set[Pair]
    ) -> list[Value]:
        """Where a value goes in a loop; what begins as a state or a part has a box."""
        inside: list[Value] = []
        for given, own in zip(node.inputs, node.attrs["body"].inputs):
            if given is value and own in self.pills:
                by_value.add((box, self.pills[own]))
            elif given is value:
                inside.append(own)
        return inside

    def _constant(self, node: Node) -> bool:
        """Whether a node has the same numbers in every run."""
        return all(v.node is not None and self._constant(v.node) for v in node.inputs)

    def without_box(self) -> set[str]:
        """What computes with data and has no box; nothing may."""
        data = {v for v, b in self.pills.items() if b.kind == "input"}
        found: set[str] = set()
        self._follow(self.graph, data, found, looped=False)
        return found

    def _follow(
        self, graph: Graph, moving: set[Value], found: set[str], *, looped: bool
    ) -> None:
        for node in graph.nodes:
            if moving.isdisjoint(node.inputs):
                continue
            moving.update(v for v in node.outputs if v is not None)
            name = node.primitive.name
            if node in self.box or name in MOVES or (looped and name == "slice"):
                continue
            if name == LOOP:
                body, constants = node.attrs["body"], node.attrs["constants"]
                inner = set(body.inputs[constants:])
                inner |= {b for a, b in zip(node.inputs, body.inputs) if a in moving}
                self._follow(body, inner, found, looped=True)
            else:
                found.add(name)


def pairs(picture: Diagram, kinds: Iterable[str]) -> set[Any]:
    """The boxes that are joined in a picture by arrows of some kinds."""
    return {(a.source, a.target) for a in picture.arrows if a.kind in kinds}
