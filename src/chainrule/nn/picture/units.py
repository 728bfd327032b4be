"""Recognition of small dense networks, whose units are drawn one by one.

A network is one if its boxes are a chain, and each of them is W x + b with a parameter
W, or works on each unit by itself. What is not proved to be so keeps its boxes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from chainrule.composites import activations
from chainrule.diagrams.parts import VALUE, Box, Parts
from chainrule.diagrams.units import Column, Units
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.nn.picture.attention import is_view
from chainrule.primitives import creation, elementwise, matmul, movement
from chainrule.primitives.matmul import parse_dims

#: Units of a layer, and of a network, that are drawn one by one.
LAYER, NETWORK = 16, 64
SOFTMAX = (activations.softmax, activations.log_softmax)


def units_of(
    diagram: Parts,
    arrays: Mapping[Value, Array],
    errors: Mapping[Value, Array],
    sampled: bool,
) -> Units | None:
    """Return the units of a small dense network; None for any other.

    Args:
        diagram: of the network.
        arrays: numbers of its parameters, and of its values where they are known.
        errors: ∂ℒ/∂v of values v, where they are known.
        sampled: whether the numbers of values are known.
    """
    chain = _chain(diagram)
    if chain is None or len(chain) < 3:
        return None
    size = _width(chain[0].value)
    if size is None:
        return None
    title = chain[0].title
    columns = [Column("x", [title] if title != "x" else [], size)]
    shown: list[Value] = [chain[0].value]
    sums: list[Value | None] = [None]
    for i, box in enumerate(chain[1:-1], 1):
        value, size = box.value, _width(box.value)
        dense = _dense(box, shown[-1], arrays)
        if size is None or value is None:
            return None
        if dense is not None:
            weights, biases = dense
            if weights.shape != (size, columns[-1].size):
                return None
            symbol = f"a{_raised(len(columns))}"
            columns.append(
                Column(symbol, [_name(box)], size, biases=biases, weights=weights)
            )
            shown.append(value)
            sums.append(value)
            continue
        last = i == len(chain) - 2
        if size != columns[-1].size or not _on_units(box, shown[-1], last):
            return None
        columns[-1] = replace(columns[-1], names=[*columns[-1].names, _name(box)])
        shown[-1] = value
    if len(columns) < 2 or max(c.size for c in columns) > LAYER:
        return None
    if sum(c.size for c in columns) > NETWORK:
        return None
    columns[-1] = replace(columns[-1], symbol="ŷ")
    if sampled:
        columns = [
            replace(c, numbers=_first(arrays[v])) for c, v in zip(columns, shown)
        ]
    columns = [
        c if z is None or z not in errors else replace(c, errors=_first(errors[z]))
        for c, z in zip(columns, sums)
    ]
    return Units(columns)


def _chain(diagram: Parts) -> list[Box] | None:
    """Return the boxes of a chain from its input to its output; None for others."""
    boxes, arrows = diagram.boxes, diagram.arrows
    if [b.kind for b in boxes].count("input") != 1 or boxes[-1].kind != "output":
        return None
    pairs = [(a.source, a.target) for a in arrows]
    if pairs != list(pairwise(boxes)):
        return None
    for arrow in arrows:
        if arrow.kind != VALUE or len(arrow.values) != 1:
            return None
        value = arrow.values[0]
        while value is not arrow.source.value:
            node = value.node
            if node is None or not _stays(node):
                return None
            value = node.inputs[0]
    return boxes


def _width(value: Value | None) -> int | None:
    """Return the number of units of a value (N, n)."""
    if value is None or len(value.shape) != 2 or isinstance(value.shape[0], int):
        return None
    return value.shape[1] if isinstance(value.shape[1], int) else None


def _dense(
    box: Box, read: Value, arrays: Mapping[Value, Array]
) -> tuple[Array, Array | None] | None:
    """Return W, of shape (outputs, inputs), and b of a box that is W x + b."""
    products = [n for n in box.nodes if n.primitive is matmul.dot_general]
    if len(products) != 1 or len(box.nodes) > 8:
        return None
    node = products[0]
    dims = parse_dims(node.attrs["dims"])
    sides = list(zip(node.inputs, (dims.lhs, dims.rhs)))
    found = [(v, axes, o) for (v, axes), o in zip(sides, sides[::-1])]
    for value, axes, (other, __) in found:
        weight, turned = _parameter(value)
        if weight is None or weight not in arrays or not _is_behind(read, other):
            continue
        if len(axes) != 2 or dims.batch or len(weight.shape) != 2:
            return None
        summed = [i for i, axis in enumerate(axes) if axis not in dims.out]
        if len(summed) != 1 or list(dims.out).index(axes[1 - summed[0]]) != 1:
            return None
        by_columns = (summed[0] == 1) is not turned
        matrix = np.asarray(arrays[weight], np.float64)
        matrix = matrix if by_columns else matrix.T
        return _with_bias(box, node, matrix, arrays)
    return None


def _with_bias(
    box: Box, product: Node, weights: Array, arrays: Mapping[Value, Array]
) -> tuple[Array, Array | None] | None:
    """Return W and b, where what a box does to W x is to add b and nothing else."""
    value, biases = product.outputs[0], None
    for node in box.nodes[box.nodes.index(product) + 1 :]:
        if value not in node.inputs:
            if not is_view(node):
                return None
            continue
        if node.primitive is elementwise.add and biases is None:
            other = node.inputs[1] if node.inputs[0] is value else node.inputs[0]
            bias, __ = _parameter(other)
            if bias is None or bias not in arrays or bias.shape != weights.shape[:1]:
                return None
            biases = np.asarray(arrays[bias], np.float64)
        elif not _stays(node):
            return None
        value = node.outputs[0]
        assert value is not None
    return (weights, biases) if value is box.value else None


def _parameter(value: Value) -> tuple[Value | None, bool]:
    """Return the graph input behind views of it, and whether it is transposed."""
    turned = False
    while value.node is not None:
        node = value.node
        if node.primitive is movement.transpose and node.attrs["axes"] == (1, 0):
            turned = not turned
        elif not _stays(node) and node.primitive is not movement.broadcast_to:
            return None, False
        value = node.inputs[0]
    return value, turned


def _stays(node: Node) -> bool:
    """Return whether a node leaves every number at its place."""
    return is_view(node) and all(
        out is not None and out.shape == node.inputs[0].shape for out in node.outputs
    )


def _is_behind(read: Value, value: Value) -> bool:
    """Return whether a value is another one, every number at its place."""
    while value is not read and value.node is not None and _stays(value.node):
        value = value.node.inputs[0]
    return value is read


def _on_units(box: Box, read: Value, last: bool) -> bool:
    """Return whether a box works on each unit by itself; a softmax at the end may."""
    moving = {read}
    for node in box.nodes:
        mixes = not moving.isdisjoint(node.inputs)
        allowed = last and node.primitive in SOFTMAX and node.attrs["axis"] == 1
        if mixes and not (allowed or _elementwise(node)):
            return False
        for out in node.outputs:
            if mixes and out is not None:
                if out.shape != read.shape:
                    return False
                moving.add(out)
    return box.value in moving


def _elementwise(node: Node) -> bool:
    """Return whether each element of a node's result has one place of its inputs."""
    if node.primitive.elementwise:
        return True
    if is_view(node):
        return _stays(node)
    if node.primitive not in BODIES:
        return False
    body = BODIES[node.primitive]([v.type for v in node.inputs], node.attrs)
    fixed: set[Value] = set()
    for inner in body.nodes:
        if inner.primitive is creation.constant or fixed.issuperset(inner.inputs):
            fixed.update(v for v in inner.outputs if v is not None)
        elif not _elementwise(inner):
            return False
    return True


def _name(box: Box) -> str:
    return f"{box.name} · {box.title}" if box.name else box.title


def _raised(k: int) -> str:
    digits = str(k).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"⁽{digits}⁾"


def _first(array: Array) -> Array:
    return np.asarray(array, np.float64)[0]
