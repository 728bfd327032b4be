"""How values lie in memory: places (strides) and panels.

A value normally lies row-major; views of it differ by strides alone. Weights lie in
*panels*: W of shape (outputs, inputs) is stored as

    [outputs / P][inputs][P]

so that the P outputs of a panel are contiguous for each input. The forward product and
the weight gradient then read and write whole vectors, and a thread that owns some
panels owns whole cache lines. Gradients and moments, which only ever meet their weight
element by element, take the same layout: see :func:`choose_panels`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from chainrule.engines.plan import elementwise_body
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Dim, Shape
from chainrule.primitives.matmul import parse_dims

#: Elements of a panel: the widest that a register tile works on.
PANEL = 64


@dataclass(frozen=True)
class Place:
    """Where a value's elements are, relative to the memory of ``root``.

    Attributes:
        root: the value that owns the memory.
        shape: the value's shape.
        strides: elements from one index to the next, for each axis.
        offset: elements before the first.
        panel: the width P of the panels, or 0 where strides say everything.
    """

    root: Value
    shape: Shape
    strides: Shape
    offset: int = 0
    panel: int = 0

    @property
    def contiguous(self) -> bool:
        """Whether it is row-major without gaps, from the start of its memory on."""
        return (
            not self.panel
            and self.offset == 0
            and self.strides == row_major(self.shape)
        )

    def loops(self, order: Place) -> tuple[tuple[Dim, Dim], ...]:
        """(size, stride) for each loop over the elements in the order of ``order``.

        A single number counts as repeated along all of them.
        """
        strides = self.strides if self.shape else (0,) * len(order.shape)
        if not order.panel:
            return tuple(zip(order.shape, strides, strict=True))
        outputs, inputs = order.shape
        assert isinstance(outputs, int)
        p = order.panel
        if self.panel:
            steps: tuple[Dim, ...] = (inputs * p, p, 1)
        else:
            steps = (strides[0] * p, strides[1], strides[0])
        return tuple(zip((outputs // p, inputs, p), steps, strict=True))


def row_major(shape: Shape) -> Shape:
    """The strides of a row-major value; axes of length 1 count like any other."""
    strides: list[Dim] = []
    step: Dim = 1
    for dim in reversed(shape):
        strides.append(step)
        step = dim if isinstance(step, int) and step == 1 else step * dim  # type: ignore[operator]
    return tuple(reversed(strides))


def panel_width(shape: Shape) -> int:
    """P for a weight of this shape: at least two panels, if lines allow it.

    The width is a rule on the shape alone, so the order of every sum over a weight is
    the same for any number of threads.
    """
    outputs = shape[0]
    assert isinstance(outputs, int)
    for width in (PANEL, PANEL // 2, PANEL // 4):
        if outputs % width == 0 and outputs > width:
            return width
    return outputs


def view_place(node: Node, source: Place) -> Place | None:
    """Where a movement's result lies if it can be had without copying."""
    name, attrs = node.primitive.name, node.attrs
    if source.panel:
        return None
    strides = source.strides
    if name == "broadcast_to":
        shape: Shape = attrs["shape"]
        lead = len(shape) - len(strides)
        steps = (0,) * lead + tuple(
            step if have == want else 0
            for step, have, want in zip(strides, source.shape, shape[lead:])
        )
        return replace(source, shape=shape, strides=steps)
    if name == "transpose":
        axes: tuple[int, ...] = attrs["axes"]
        return replace(
            source,
            shape=tuple(source.shape[a] for a in axes),
            strides=tuple(strides[a] for a in axes),
        )
    if name == "reshape":
        return _reshaped(source, attrs["shape"])
    if not all(isinstance(s, int) for s in strides):
        return None
    if name == "slice":
        out = node.outputs[0]
        assert out is not None
        starts: tuple[int, ...] = attrs["starts"]
        return replace(
            source,
            shape=out.shape,
            strides=tuple(s * k for s, k in zip(strides, attrs["strides"])),
            offset=source.offset + sum(s * k for s, k in zip(strides, starts)),  # type: ignore[operator]
        )
    if name == "flip" and all(isinstance(source.shape[a], int) for a in attrs["axes"]):
        axes = attrs["axes"]
        return replace(
            source,
            strides=tuple(-s if i in axes else s for i, s in enumerate(strides)),  # type: ignore[operator]
            offset=source.offset
            + sum(max(source.shape[a] - 1, 0) * strides[a] for a in axes),  # type: ignore[operator]
        )
    return None


def _reshaped(source: Place, shape: Shape) -> Place | None:
    """A reshape of a contiguous place, or one that only adds or drops axes of 1."""
    if source.strides == row_major(source.shape):
        return replace(source, shape=shape, strides=row_major(shape))
    kept = [(d, s) for d, s in zip(source.shape, source.strides) if d != 1]
    if [d for d, _ in kept] != [d for d in shape if d != 1]:
        return None
    steps = iter([s for _, s in kept])
    strides = tuple(0 if d == 1 else next(steps) for d in shape)
    return replace(source, shape=shape, strides=strides)


def is_elementwise(node: Node) -> bool:
    """Whether a node is one loop over elements (a primitive, or a region kept whole)."""
    return node.primitive.elementwise or elementwise_body(
        node.primitive, [v.type for v in node.inputs], node.attrs
    )


def choose_panels(entries: Iterable[Entry]) -> dict[str, int]:
    """Which states lie in panels, and how wide those are, for a whole program.

    A matrix qualifies when a product contracts its last axis (a layer's weight). It and
    all that meet it element by element form a class. The class lies in panels unless
    one of its members meets a node that knows nothing of panels.
    """
    classes = _Classes()
    wanted: set[str] = set()
    refused: set[object] = set()
    for entry in entries:
        graph = entry.graph
        held = dict(zip(graph.inputs[len(entry.inputs) :], entry.state))
        for value, name in held.items():
            classes.join(value, name)
        for name, index in entry.replaces.items():
            classes.join(graph.outputs[index], name)
        for value in graph.inputs[: len(entry.inputs)]:
            refused.add(value)
        for node in graph.nodes:
            _classify(node, held, classes, wanted, refused)
    bad = {classes.find(item) for item in refused}
    good = {classes.find(n): n for n in wanted if classes.find(n) not in bad}
    names = {name for entry in entries for name in entry.state}
    shapes = {
        name: value.shape
        for entry in entries
        for name, value in zip(entry.state, entry.graph.inputs[len(entry.inputs) :])
    }
    return {
        name: panel_width(shapes[name]) for name in names if classes.find(name) in good
    }


def _classify(
    node: Node,
    held: dict[Value, str],
    classes: _Classes,
    wanted: set[str],
    refused: set[object],
) -> None:
    outputs = [v for v in node.outputs if v is not None]
    if is_elementwise(node):
        for value in (*node.inputs, *outputs):
            if value.shape == outputs[0].shape and value.shape != ():
                classes.join(value, outputs[0])
        return
    name = node.primitive.name
    if name == "dot_general":
        d = parse_dims(node.attrs["dims"])
        simple = not d.batch and len(d.left) == len(d.right) == len(d.contracted) == 1
        if simple and all(v.dtype.is_float for v in node.inputs):
            for value, letters in zip(node.inputs, (d.lhs, d.rhs)):
                if value in held and letters[1] in d.contracted:
                    wanted.add(held[value])
            return
    if name == "reduce_sum" and len(node.attrs["axes"]) == len(node.inputs[0].shape):
        return
    # A broadcast is read by strides: its source must lie row-major, it itself need not.
    refused.update(node.inputs)
    if name not in ("broadcast_to", "constant", "iota"):
        refused.update(outputs)


class _Classes:
    """Union-find over values and names of state."""

    def __init__(self) -> None:
        self.parent: dict[object, object] = {}

    def find(self, item: object) -> object:
        while self.parent.get(item, item) is not item:
            item = self.parent[item]
        return item

    def join(self, a: object, b: object) -> None:
        ra, rb = self.find(a), self.find(b)
        if ra is not rb:
            self.parent[ra] = rb


def panels_of(graph: Graph, entry: Entry, panels: dict[str, int]) -> dict[Value, int]:
    """For each value of an entry the width of its panels, where it lies in panels."""
    width: dict[Value, int] = {}
    for value, name in zip(graph.inputs[len(entry.inputs) :], entry.state):
        if name in panels:
            width[value] = panels[name]
    for name, index in entry.replaces.items():
        if name in panels:
            width[graph.outputs[index]] = panels[name]
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            if not is_elementwise(node):
                continue
            outputs = [v for v in node.outputs if v is not None]
            group = [
                v
                for v in (*node.inputs, *outputs)
                if v.shape == outputs[0].shape and v.shape != ()
            ]
            found = next((width[v] for v in group if v in width), 0)
            for v in group:
                if found and v not in width and not _is_broadcast(v):
                    width[v] = found
                    changed = True
    return width


def _is_broadcast(value: Value) -> bool:
    return value.node is not None and value.node.primitive.name in (
        "broadcast_to",
        "constant",
        "iota",
    )


def to_memory(array: Array, panel: int) -> Array:
    """A weight from its canonical shape into panels."""
    if not panel:
        return array
    outputs, inputs = array.shape
    return array.reshape(outputs // panel, panel, inputs).transpose(0, 2, 1)


def from_memory(flat: Array, shape: tuple[int, ...], panel: int) -> Array:
    """A weight from its panels back into its canonical shape, as a copy."""
    if not panel:
        return flat.reshape(shape).copy()
    outputs, inputs = shape
    cut = flat.reshape(outputs // panel, inputs, panel).transpose(0, 2, 1)
    return np.ascontiguousarray(cut).reshape(shape)
