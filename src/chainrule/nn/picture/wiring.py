"""The wiring of blocks: where each operand of their nodes comes from.

Arrows say which box reads which. That blocks are alike takes more: x − y is not y − x,
and a transpose on the way has no box.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.diagrams.parts import Box, Parts
from chainrule.graph.calls import Call
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value


@dataclass(frozen=True, eq=False)
class Wires:
    """The inputs of a block's boxes.

    Attributes:
        structure: operands, and what lies between boxes, without names.
        given: the values from outside of the block, in the order of the structure.
    """

    structure: Hashable
    given: Sequence[Value]


class Wiring:
    """The origins of a diagram's values: boxes, or values from outside."""

    def __init__(self, diagram: Parts) -> None:
        self.owners: dict[Value, tuple[Box, int]] = {}
        self.same: dict[Value, Value] = {}
        for box in diagram.boxes:
            if box.kind in ("input", "state"):
                self.owners[box.value] = box, 0
            if box.kind == "state":
                for node in box.nodes:
                    self._loop(node)
            elif box.kind != "output":
                values = [v for node in box.nodes for v in node.outputs]
                for i, value in enumerate(values):
                    if value is not None:
                        self.owners[value] = box, i

    def _loop(self, node: Node) -> None:
        """Note which values of a loop that is drawn open are those around it."""
        body, constants = node.attrs["body"], node.attrs["constants"]
        self.same |= dict(zip(body.inputs[:constants], node.inputs))
        for value, inside in zip(node.outputs, body.outputs):
            if value is not None:
                self.same[value] = inside

    def inside(self, call: Call, boxes: Sequence[Box]) -> Wires:
        """Return what the boxes of a module's call read."""
        walk = _Walk(self, {box: i for i, box in enumerate(boxes)}, call)
        reads = tuple(
            tuple(walk.described(v) for node in box.nodes for v in node.inputs)
            for box in boxes
        )
        return Wires((reads, tuple(walk.between)), walk.given)

    def joined_alike(
        self, blocks: Sequence[Sequence[Box]], given: Sequence[Sequence[Value]]
    ) -> bool:
        """Return whether blocks in a row are given the same of the one before.

        What the first one is given instead may be anything, but one value for one.
        """
        told = [
            [self._told(value, before) for value in values]
            for before, values in zip(([], *blocks), given)
        ]
        if any(each != told[1] for each in told[2:]):
            return False
        first: dict[Hashable, Value] = {}
        for (token, moves), (own, __), value in zip(told[1], told[0], given[0]):
            if not moves and token != own:
                return False
            if first.setdefault(token, value) is not value and moves:
                return False
        return True

    def _told(self, value: Value, before: Sequence[Box]) -> tuple[Hashable, bool]:
        """Return what a value is of the block before, and whether it is of that."""
        walk = _Walk(self, {box: i for i, box in enumerate(before)}, None)
        token = walk.described(value)
        others = tuple(id(self.resolved(v)) for v in walk.given)
        return (token, tuple(walk.between), others), walk.own

    def resolved(self, value: Value) -> Value:
        """Return a value as it is called where it is computed."""
        while value in self.same and value not in self.owners:
            value = self.same[value]
        return value


class _Walk:
    """A walk back from what boxes read to what boxes of a block compute."""

    def __init__(
        self, wiring: Wiring, boxes: Mapping[Box, int], call: Call | None
    ) -> None:
        self.wiring, self.boxes, self.call = wiring, boxes, call
        self.between: list[Hashable] = []
        self.given: list[Value] = []
        self.own = False
        self._numbers: dict[Value, Hashable] = {}

    def described(self, value: Value) -> Hashable:
        """Return what a value is: of a box, from outside, or of nodes without box."""
        waiting = [value]
        while waiting:
            at = self.wiring.resolved(waiting[-1])
            if at not in self._numbers:
                node = self._hidden(at)
                missing = [
                    v
                    for v in (node.inputs if node else ())
                    if self.wiring.resolved(v) not in self._numbers
                ]
                if missing:
                    waiting += reversed(missing)
                    continue
                self._numbers[at] = self._of_node(at, node) if node else self._end(at)
            waiting.pop()
        return self._numbers[self.wiring.resolved(value)]

    def _hidden(self, value: Value) -> Node | None:
        """Return the node without a box that computes a value within the block."""
        node = value.node
        if node is None or value in self.wiring.owners:
            return None
        if not node.inputs or self.call is None:
            return node
        scope = node.scope
        while isinstance(scope, Call):
            if scope is self.call:
                return node
            scope = scope.outer
        return None

    def _of_node(self, value: Value, node: Node) -> Hashable:
        operands = tuple(self._numbers[self.wiring.resolved(v)] for v in node.inputs)
        self.between.append((signature(node), node.outputs.index(value), operands))
        return "between", len(self.between)

    def _end(self, value: Value) -> Hashable:
        box, place = self.wiring.owners.get(value, (None, 0))
        if box is not None and box in self.boxes:
            self.own = True
            return "box", self.boxes[box], place
        if box is None and value.node is None and self.call is not None:
            return "weights", len(self._numbers), str(value.type)
        self.given.append(value)
        return "given", len(self.given), str(value.type)


def signature(node: Node) -> Hashable:
    """Return what a node does: its primitive, its attributes and the types it reads."""
    types = tuple(str(v.type) for v in node.inputs)
    attrs = tuple(
        (name, _written(value))
        for name, value in node.attrs.items()
        if name != "stream"  # of random bits, which has the module's path
    )
    return node.primitive.name, types, attrs


def _written(value: object) -> Hashable:
    if isinstance(value, Graph):
        numbers = {v: i for i, v in enumerate(value.inputs)}
        rows: list[Hashable] = []
        for node in value.nodes:
            rows.append((signature(node), tuple(numbers[v] for v in node.inputs)))
            for out in node.outputs:
                if out is not None:
                    numbers[out] = len(numbers)
        return tuple(rows), tuple(numbers[v] for v in value.outputs)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return repr(value)
