"""The network at work, as a picture in a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import numpy as np

from chainrule.array_page import colours
from chainrule.explanation.content import Explained
from chainrule.graph.node import Array
from chainrule.translation import tr

#: Neurons drawn of each layer.
NEURONS = 10


# -- the network ---------------------------------------------------------------------


def network(e: Explained) -> str:
    """The layers from left to right: activations above flow on, errors below back.

    Each neuron is coloured by its activation for the first sample, its ring by δ;
    lines by the weights.
    """
    columns = list(_columns(e))
    if len(columns) < 2:
        return ""
    most = max(min(len(values), NEURONS) for _, values, _ in columns)
    width, height = 150 * len(columns), 40 * most + 60
    parts = [*_lines(e, columns, height), *_neurons(columns, height)]
    for i, (label, _, _) in enumerate(columns):
        parts.append(
            f'<text x="{75 + 150 * i}" y="{height - 8}" text-anchor="middle"'
            f' font-size="14">{escape(label)}</text>'
        )
    caption = tr(
        "Filled: activations of the first sample, forward. Rings: δ, backward. Lines:"
        " weights. Red is positive, blue negative."
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{min(width, 900)}" role="img">'
        f"{''.join(parts)}</svg><figcaption>{escape(caption)}</figcaption>"
    )


Column = tuple[str, Array, Array | None]


def _columns(e: Explained) -> Iterator[Column]:
    """What stands in each column: its name, numbers, and errors."""
    layers = e.layers
    if not layers:
        return
    yield "x", _first_sample(layers[0].input), None
    for layer in layers:
        yield (
            f"a⁽{_raised(layer.l)}⁾",
            _first_sample(layer.a),
            _first_sample(layer.delta),
        )


def _raised(k: int) -> str:
    return str(k).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _first_sample(array: Array) -> Array:
    """The numbers of the first sample: a mean for each channel of a picture."""
    if array.ndim < 3:
        return array[:, 0] if array.ndim == 2 else array
    over = tuple(range(1, array.ndim - 1)) if array.ndim > 3 else (0,)
    return array[0].mean(axis=over)


def _places(count: int, height: int) -> list[float]:
    shown = min(count, NEURONS)
    start = (height - 50 - 40 * shown) / 2 + 20
    return [start + 40 * i for i in range(shown)]


def _picks(count: int) -> list[int]:
    """Which neurons are drawn: all, or some from first to last."""
    shown = min(count, NEURONS)
    return [round(i) for i in np.linspace(0, count - 1, shown)]


def _neurons(columns: list[Column], height: int) -> Iterator[str]:
    for i, (_, values, errors) in enumerate(columns):
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
            yield (
                f'<text x="{75 + 150 * i}" y="{height - 26}" text-anchor="middle"'
                f' font-size="12" fill="#666">{tr("{n} in all", n=len(values))}</text>'
            )


def _lines(e: Explained, columns: list[Column], height: int) -> Iterator[str]:
    for i, layer in enumerate(e.layers):
        weights = layer.W
        left, right = columns[i][1], columns[i + 1][1]
        if weights.ndim != 2 or weights.shape != (len(right), len(left)):
            continue
        tones = colours(weights)
        top = float(np.abs(weights).max(initial=0.0)) or 1.0
        for r, y2 in zip(_picks(len(right)), _places(len(right), height)):
            for c, y1 in zip(_picks(len(left)), _places(len(left), height)):
                wide = 0.3 + 2.2 * abs(float(weights[r, c])) / top
                yield (
                    f'<line x1="{88 + 150 * i}" y1="{y1:.1f}" x2="{62 + 150 * (i + 1)}"'
                    f' y2="{y2:.1f}" stroke="{_css(tones[r, c])}"'
                    f' stroke-width="{wide:.2f}"/>'
                )


def _css(colour: Array) -> str:
    return "#{:02x}{:02x}{:02x}".format(*map(int, colour))
