"""Numbers in the boxes of a picture: of the first sample, as text or as thumbnails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.composites import control
from chainrule.diagrams.parts import Parts, Thumbnail
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate_all
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.types import SymbolicDim
from chainrule.html.arrays import heat_pixels, png_url
from chainrule.text import tr
from chainrule.text.numbers import number

#: So many numbers of a sample are written; more are a thumbnail.
WRITTEN = 3
#: Channels or heads in a thumbnail, its pixels a side, and pixels of the drawing.
PARTS, PIXELS, SHOWN = 9, 96, 72
#: Thumbnails in a picture, so that its size is bounded; later boxes have none.
MOST = 60


def evaluated(graph: Graph, feeds: Sequence[Array], n: int) -> dict[Value, Array]:
    """Return the numbers of a graph's values, and of loops' bodies at the last step."""
    with np.errstate(all="ignore"):
        arrays = dict(evaluate_all(graph, list(feeds)))
        add_loops(graph, arrays, n)
    return arrays


def add_loops(graph: Graph, arrays: dict[Value, Array], n: int) -> None:
    """Add the numbers of the bodies of a graph's loops, at their last step."""
    for node in graph.nodes:
        if node.primitive is control.scan and all(v in arrays for v in node.inputs):
            for __, known in loop_steps(node, arrays, n):
                arrays.update(known)


def loop_steps(node: Node, arrays: Mapping[Value, Array], n: int) -> Iterator[Any]:
    """Yield a loop's body graph and its numbers for every step, in running order."""
    a = node.attrs
    body = a["body"]
    constants, carries = a["constants"], a["carries"]
    inputs = [np.asarray(arrays[v]) for v in node.inputs]
    consts, carry = inputs[:constants], inputs[constants : constants + carries]
    xs = inputs[constants + carries :]
    order = range(a["length"])
    for t in reversed(order) if a["reverse"] else order:
        feeds = [*consts, *carry, *(x[t] for x in xs)]
        known = evaluate_all(body, feeds, {"N": n})
        yield body, known
        carry = [known[v] for v in body.outputs[:carries]]


def add_numbers(
    diagram: Parts,
    arrays: Mapping[Value, Array],
    errors: Mapping[Value, Array],
    n: int,
) -> None:
    """Show in each box what the first of n samples gives there, and ∂ℒ/∂ of that."""
    drawn = 0
    for box in diagram.boxes:
        for known, sign in ((arrays, ""), (errors, "∂ℒ/∂· ")):
            if box.value is None or known.get(box.value) is None or drawn == MOST:
                continue
            sample = of_first(box.value, np.asarray(known[box.value]), n)
            if sample.size <= WRITTEN:
                words = [number(v, 3) for v in sample.reshape(-1).tolist()]
                box.details.append(sign + ", ".join(words))
            elif sample.size:
                box.thumbnails.append(thumbnail(sample, sign))
                drawn += 1
    if errors:
        diagram.notes.append(tr("Left: the numbers of a box. Right: ∂ℒ/∂ of them."))
    if any(box.kind == "state" for box in diagram.boxes):
        diagram.notes.append(tr("Numbers in a loop's step are those of its last one."))
    if drawn == MOST:
        diagram.notes.append(
            tr("The first {n} boxes with many numbers have pictures.", n=MOST)
        )


def of_first(value: Value, array: Array, n: int) -> Array:
    """Return the part of an array that belongs to the first of n samples."""
    for axis, dim in enumerate(value.shape):
        if isinstance(dim, SymbolicDim):
            each = array.shape[axis] // n
            return np.take(array, range(each), axis=axis).squeeze(
                (axis,) if each == 1 else ()
            )
    return array


def thumbnail(sample: Array, sign: str = "") -> Thumbnail:
    """Return numbers as a small heat map: blue is negative, white 0, red positive."""
    sample = sample.astype(np.float64)
    shown = sample
    if sample.ndim > 2:
        shown = _grid(sample.reshape(-1, *sample.shape[-2:]))
    rows, columns = (max(1, -(-size // PIXELS)) for size in _matrix(shown))
    if shown.ndim > 1:
        shown = shown[..., ::rows, ::columns]
    pixels = heat_pixels(shown)
    high, wide, __ = pixels.shape
    scale = SHOWN / max(high, min(wide, 3 * high))
    size = max(8, round(wide * scale)), max(8, round(high * scale))
    shape = " × ".join(map(str, sample.shape))
    low, top = number(float(np.min(sample)), 3), number(float(np.max(sample)), 3)
    about = tr("{shape} numbers, {low} to {high}", shape=shape, low=low, high=top)
    if sample.ndim > 2 and np.prod(sample.shape[:-2]) > PARTS:
        about += tr(", the first {n} of them as pictures", n=PARTS)
    return Thumbnail(png_url(pixels), *size, sign + about)


def _grid(parts: Array) -> Array:
    """Return the first matrices of many in rows and columns, which are filled."""
    many = min(len(parts), PARTS)
    across = next(w for w in range(1, many + 1) if many % w == 0 and w * w >= many)
    return parts[:many].reshape(-1, across, *parts.shape[1:])


def _matrix(array: Array) -> tuple[int, int]:
    return (1, 1) if array.ndim < 2 else (array.shape[-2], array.shape[-1])
