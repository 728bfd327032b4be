"""Pictures in a page: arrays as colours, their distribution, the network at work."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Iterator
from html import escape

import numpy as np

from chainrule.explanation.content import Explained
from chainrule.graph.node import Array
from chainrule.translation import tr

#: Blue, white, red: negative, zero, positive.
COLD, WARM = np.array([33, 102, 172]), np.array([178, 24, 43])
#: A heat map has at most so many rows and columns of pixels.
PIXELS = 256
#: Neurons drawn of each layer.
NEURONS = 10


def colours(array: Array) -> Array:
    """Numbers as red, green and blue: blue below zero, white at it, red above."""
    known = np.where(np.isfinite(array), array, 0.0).astype(np.float64)
    top = float(np.max(np.abs(known), initial=0.0)) or 1.0
    share = np.abs(known)[..., None] / top
    ends = np.where((known < 0)[..., None], COLD, WARM)
    made = np.rint(255 + share * (ends - 255)).astype(np.uint8)
    made[~np.isfinite(array)] = (0, 0, 0)
    return made


def png(pixels: Array) -> str:
    """An image of (rows, columns, 3) bytes as a ``data:`` address."""
    rows, columns, _ = pixels.shape
    lines = np.concatenate(
        [np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    data += chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def heat_map(array: Array) -> str:
    """An array as an image; more axes than two stand side by side."""
    flat = _flat(array)
    if not flat.size:
        return ""
    shape = " × ".join(map(str, array.shape))
    rows, columns = flat.shape
    step = (-(-rows // PIXELS), -(-columns // PIXELS))
    shown = flat[:: step[0], :: step[1]]
    scale = max(1, min(8, 220 // max(shown.shape)))
    size = shown.shape[1] * scale, shown.shape[0] * scale
    alt = escape(tr("{shape} numbers as colours", shape=shape))
    return (
        f'<img alt="{alt}" width="{size[0]}" height="{size[1]}"'
        f' src="{png(colours(shown))}">'
    )


def _flat(array: Array) -> Array:
    """Two axes: further ones are laid out as a sheet of pictures."""
    array = np.atleast_2d(array)
    if array.ndim == 2 and 1 in array.shape:  # a line, folded
        width = math.isqrt(array.size - 1) + 1
        sheet = np.zeros(-(-array.size // width) * width)
        sheet[: array.size] = array.ravel()
        return sheet.reshape(-1, width)
    if array.ndim == 2:
        return array
    *lead, rows, columns = array.shape
    pictures = array.reshape(-1, rows, columns)[:64]
    wide = max(1, min(len(pictures), lead[-1], 16))
    high = -(-len(pictures) // wide)
    sheet = np.zeros((high * (rows + 1), wide * (columns + 1)))
    for i, picture in enumerate(pictures):
        r, c = (i // wide) * (rows + 1), (i % wide) * (columns + 1)
        sheet[r : r + rows, c : c + columns] = picture
    return sheet[:-1, :-1]


def histogram(array: Array, bins: int = 24) -> str:
    """How the numbers are distributed."""
    known = array[np.isfinite(array)].astype(np.float64)
    if not known.size or known.min() == known.max():
        return ""
    counts, edges = np.histogram(known, bins)
    bars = "".join(
        f'<rect x="{8 * i}" y="{60 - h:.1f}" width="7" height="{h:.1f}"/>'
        for i, h in enumerate(58 * counts / counts.max())
    )
    low, high = f"{edges[0]:.3g}", f"{edges[-1]:.3g}"
    return (
        f'<svg viewBox="0 0 {8 * bins} 76" width="{8 * bins}" height="76" role="img">'
        f'<g fill="#5b8aa6">{bars}</g><g font-size="11" fill="#444">'
        f'<text x="0" y="73">{low}</text>'
        f'<text x="{8 * bins}" y="73" text-anchor="end">{high}</text></g></svg>'
    )


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
