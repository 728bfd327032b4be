"""A picture of an explained network with its numbers, as SVG.

Layers stand in columns, in running order. Lines are drawn where a layer reads what
stands in the column before it, and nowhere else: branches, shortcuts and attention have
columns without lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np

from chainrule.explanation.content import Explained
from chainrule.explanation.naming import Layer
from chainrule.explanation.plain import behind_views
from chainrule.graph.graph import ancestors
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.graph.types import Dim
from chainrule.html.arrays import COLD, WARM, colours
from chainrule.primitives import elementwise, matmul, movement
from chainrule.primitives.matmul import parse_dims
from chainrule.text import tr

#: Neurons drawn of each layer.
NEURONS = 10


# -- the network ---------------------------------------------------------------------


def network(e: Explained) -> str:
    """Return an SVG picture of a network: activations, errors and weights.

    Each neuron is coloured by its activation for the first sample, its ring by δ;
    lines by the weights.
    """
    columns = list(_columns(e))
    if len(columns) < 2:
        return ""
    most = max(min(len(column.numbers), NEURONS) for column in columns)
    width, height = 150 * len(columns), 40 * most + 60
    joined = connections(e)
    parts = [*_lines(e, joined, columns, height), *_neurons(columns, height)]
    for i, column in enumerate(columns):
        parts.append(
            f'<text x="{75 + 150 * i}" y="{height - 8}" text-anchor="middle"'
            f' font-size="14">{escape(column.label)}</text>'
        )
    caption = tr(
        "Filled: activations of the first sample, forward. Rings: δ, backward. Lines:"
        " weights. Red is positive, blue negative."
    )
    if len(joined) < len(e.layers):
        caption += " " + tr(
            "Lines are drawn where a layer reads the column in front of it; other"
            " connections stand in the formulas."
        )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{min(width, 900)}" role="img">'
        f"{''.join(parts)}</svg><figcaption>{escape(caption)}</figcaption>"
    )


@dataclass(frozen=True, eq=False)
class Column:
    """A column of neurons in a network picture: label, value, numbers and errors."""

    label: str
    value: Value
    numbers: Array
    errors: Array | None = None


def _columns(e: Explained) -> Iterator[Column]:
    for i, layer in enumerate(e.layers):
        if i == 0:
            read = behind_views(e.names.layers[0].input)
            yield Column("x", read, _first_sample(layer.input))
        label, value = f"a⁽{_raised(layer.l)}⁾", e.names.output(layer.l)
        numbers = _first_sample(layer.a)
        yield Column(label, value, numbers, _first_sample(layer.delta))


def connections(e: Explained) -> tuple[int, ...]:
    """Return the layers whose weights connect two neighbouring columns of a picture."""
    columns = list(_columns(e))
    indices: list[int] = []
    for k, layer in enumerate(e.names.layers, 1):
        left, right = columns[k - 1], columns[k]
        fits = layer.weight.shape == (len(right.numbers), len(left.numbers))
        reads = behind_views(layer.input) is behind_views(left.value)
        if fits and reads and _by_columns(layer) and _follows(e, layer, right.value):
            indices.append(k)
    return tuple(indices)


def _by_columns(layer: Layer) -> bool:
    """Return whether W[r, c] of a layer connects input c to output r."""
    node = layer.product.node
    if node is None or node.primitive is not matmul.dot_general:
        return False
    dims = parse_dims(node.attrs["dims"])
    pairs = ((dims.lhs, dims.rhs), (dims.rhs, dims.lhs))
    for value, (own, other) in zip(node.inputs, pairs):
        axes = {letter: i for i, letter in enumerate(own)}
        while value is not layer.weight and value.node is not None:
            if value.node.primitive is movement.transpose:
                order = value.node.attrs["axes"]
                axes = {letter: order[i] for letter, i in axes.items()}
            elif value.node.primitive not in (elementwise.convert, movement.copy):
                break
            value = value.node.inputs[0]
        if value is layer.weight:
            summed = [i for c, i in axes.items() if c in other and c not in dims.out]
            return summed == [1]
    return False


def _follows(e: Explained, layer: Layer, result: Value) -> bool:
    """Return whether neuron r of a graph value depends on z[r] of a layer alone."""
    if result is layer.z:
        return True
    moved = {layer.z}
    for node in ancestors([result], stop=[each.z for each in e.names.layers]):
        if moved.isdisjoint(node.inputs):
            continue
        for out in node.outputs:
            if out is None or not _keeps_neurons(node, out, layer.z.shape[-1]):
                return False
            moved.add(out)
    return result in moved


def _keeps_neurons(node: Node, out: Value, many: Dim) -> bool:
    """Return whether a node's output keeps neuron r at index r of the last axis."""
    kind, alike = node.primitive, [out.shape == v.shape for v in node.inputs]
    if out.shape[-1:] != (many,):
        return False
    views = kind in (movement.reshape, movement.copy, movement.broadcast_to)
    views = views and node.inputs[0].shape[-1:] == (many,)
    sums = kind is movement.reduce_sum
    if sums:
        sums = len(node.inputs[0].shape) - 1 not in node.attrs["axes"]
    return kind.elementwise or views or sums or (kind in BODIES and any(alike))


def _raised(k: int) -> str:
    return str(k).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _first_sample(array: Array) -> Array:
    """Return an array's first sample, with means over image positions, to draw."""
    if array.ndim < 3:
        return array[:, 0] if array.ndim == 2 else array
    over = tuple(range(1, array.ndim - 1)) if array.ndim > 3 else (0,)
    return array[0].mean(axis=over)


def _places(count: int, height: int) -> list[float]:
    shown = min(count, NEURONS)
    start = (height - 50 - 40 * shown) / 2 + 20
    return [start + 40 * i for i in range(shown)]


def _picks(count: int) -> list[int]:
    """Return the indices of the neurons to draw in a picture: all, or some evenly."""
    shown = min(count, NEURONS)
    return [round(i) for i in np.linspace(0, count - 1, shown)]


def _neurons(columns: list[Column], height: int) -> Iterator[str]:
    for i, column in enumerate(columns):
        values, errors = column.numbers, column.errors
        picks, fills = _picks(len(values)), colours(values)
        rings = np.full((len(values), 3), 255)
        if errors is not None and len(errors) == len(values):
            rings = colours(errors)
        for k, y in zip(picks, _places(len(values), height)):
            at = f'cx="{75 + 150 * i}" cy="{y:.1f}"'
            yield f'<circle {at} r="15.5" fill="#999"/>'
            yield (
                f'<circle {at} r="13" fill="{_css(fills[k])}" stroke-width="4"'
                f' stroke="{_css(rings[k])}"><title>{values[k]:.4g}</title></circle>'
            )
        if len(values) > NEURONS:
            count = tr("{n} in all", n=len(values))
            yield (
                f'<text x="{75 + 150 * i}" y="{height - 26}" text-anchor="middle"'
                f' font-size="12" opacity=".75">{count}</text>'
            )


def _lines(
    e: Explained, joined: tuple[int, ...], columns: list[Column], height: int
) -> Iterator[str]:
    for i, layer in enumerate(e.layers):
        if layer.l not in joined:
            continue
        weights = layer.W
        left, right = columns[i].numbers, columns[i + 1].numbers
        top = float(np.abs(weights).max(initial=0.0)) or 1.0
        for r, y2 in zip(_picks(len(right)), _places(len(right), height)):
            for c, y1 in zip(_picks(len(left)), _places(len(left), height)):
                share = abs(float(weights[r, c])) / top
                ink = WARM if weights[r, c] > 0 else COLD
                yield (
                    f'<line x1="{88 + 150 * i}" y1="{y1:.1f}" x2="{62 + 150 * (i + 1)}"'
                    f' y2="{y2:.1f}" stroke="{_css(ink)}"'
                    # White, as numbers near 0 are, would not be seen on white.
                    f' stroke-opacity="{0.35 + 0.65 * share:.2f}"'
                    f' stroke-width="{0.6 + 1.9 * share:.2f}"/>'
                )


def _css(colour: Array) -> str:
    return "#{:02x}{:02x}{:02x}".format(*map(int, colour))
