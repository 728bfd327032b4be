"""Recognition of the gates of LSTM and GRU in one step of a loop, by what they do.

An LSTM is c = f ⊙ c₋ + i ⊙ g with h = o ⊙ tanh(c), whatever the order of the operands
and of the weights' rows; a GRU is h = n + z ⊙ (h₋ − n) with n = tanh(… + r ⊙ …).
"""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.primitives import elementwise


def gates(body: Graph, constants: int, carries: int) -> dict[Value, str]:
    """Return the letters of the gates and states that one step of a loop computes."""
    before = body.inputs[constants : constants + carries]
    after = body.outputs[:carries]
    if carries == 2:
        found = _lstm(before[1], after[1], after[0])
        return found or _lstm(before[0], after[0], after[1])
    if carries == 1:
        return _gru(before[0], after[0])
    return {}


def _lstm(c_before: Value, c: Value, h: Value) -> dict[Value, str]:
    """Return the letters i, f, g, o, c and h; none for what is no LSTM."""
    for kept, new in _operands(c, elementwise.add):
        for f, state in _operands(kept, elementwise.mul):
            if state is not c_before or not _made_by(f, elementwise.sigmoid):
                continue
            for i, g in _operands(new, elementwise.mul):
                if not _made_by(i, elementwise.sigmoid):
                    continue
                letters = {i: "i", f: "f", g: "g", c: "c"}
                for node in _between(h, c):
                    for value in node.outputs:
                        for o, squashed in _operands(value, elementwise.mul):
                            fits = _made_by(squashed, elementwise.tanh)
                            if fits and _made_by(o, elementwise.sigmoid):
                                letters[o] = "o"
                return {**letters, h: "h"} if len(letters) == 5 else {}
    return {}


def _gru(h_before: Value, h: Value) -> dict[Value, str]:
    """Return the letters r, z, n and h; none for what is no GRU."""
    for n, moved in _operands(h, elementwise.add):
        for z, way in _operands(moved, elementwise.mul):
            node = way.node
            if node is None or node.primitive is not elementwise.sub:
                continue
            if node.inputs != (h_before, n) or not _made_by(z, elementwise.sigmoid):
                continue
            assert n.node is not None
            for __, reset in _operands(n.node.inputs[0], elementwise.add):
                for r, __ in _operands(reset, elementwise.mul):
                    if _made_by(r, elementwise.sigmoid):
                        return {r: "r", z: "z", n: "n", h: "h"}
    return {}


def _operands(value: Value | None, kind: Primitive) -> Iterator[tuple[Value, Value]]:
    """Yield the operands of a sum or product, in both orders."""
    node = value.node if value is not None else None
    if node is not None and node.primitive is kind:
        a, b = node.inputs
        yield a, b
        yield b, a


def _made_by(value: Value, kind: Primitive) -> bool:
    return value.node is not None and value.node.primitive is kind


def _between(value: Value, start: Value) -> Iterator[Node]:
    """Yield the nodes behind a value up to another one, nearest first."""
    waiting, seen = [value], {start}
    while waiting:
        at = waiting.pop()
        if at.node is None or at in seen:
            continue
        seen.add(at)
        yield at.node
        waiting += at.node.inputs
