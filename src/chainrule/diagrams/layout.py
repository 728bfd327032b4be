"""Layout of diagrams in layers, by the package graphlay (the extra ``plot``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.diagrams.parts import VALUE, Arrow, Box, Frame, Parts
from chainrule.errors import ArgumentError
from chainrule.html.arrays import Array
from chainrule.text import _

#: A corner of an arrow.
Point = tuple[float, float]
#: Layers that arrows may cross together: the layout of more takes minutes.
MOST_CROSSED = 4000
#: Room for a frame's title, and between its edge and what is inside.
HEADER, PADDING = 24.0, 14.0


@dataclass(frozen=True)
class Place:
    """The place of a box or frame: its left upper corner, and its size."""

    x: float
    y: float
    width: float
    height: float

    def moved(self, x: float, y: float) -> Place:
        """Return the place moved by x and y."""
        return Place(self.x + x, self.y + y, self.width, self.height)

    def edges(self) -> tuple[float, float, float, float]:
        """Return the left, upper, right and lower edge."""
        return self.x, self.y, self.x + self.width, self.y + self.height


@dataclass(frozen=True, eq=False)
class Layout:
    """The places of a diagram's boxes and frames, and the corners of its arrows.

    Attributes:
        boxes, frames: places, in the order of the diagram's.
        arrows: for each arrow its corners, from the edge of its source to that of its
            target.
        labels: for each arrow the place of its label.
        width, height: of the whole.
    """

    boxes: Sequence[Place]
    frames: Sequence[Place]
    arrows: Sequence[Sequence[Point]]
    labels: Sequence[Place]
    width: float
    height: float


def lay_out(
    diagram: Parts,
    boxes: Mapping[Box, tuple[float, float]],
    frames: Mapping[Frame, float],
    labels: Mapping[Arrow, tuple[float, float]],
) -> Layout:
    """Return the layout of a diagram from top to bottom.

    Args:
        diagram: what to lay out.
        boxes: the width and height of each.
        frames: the least width of each, for its title.
        labels: the width and height of each arrow's label.

    Raises:
        ArgumentError: graphlay is not installed, or too many arrows are long.
    """
    long = crossed(diagram)
    if long > MOST_CROSSED:
        raise ArgumentError(
            _("This picture has too many long arrows to be read."),
            expected=_("arrows that cross {most} layers together", most=MOST_CROSSED),
            got=str(long),
            fix=_("fewer with depth=0, or the text: print(…), to_mermaid()"),
        )
    try:
        import graphlay
    except ImportError as error:
        raise ArgumentError(
            _("The picture of a network needs graphlay, which lays it out."),
            expected=_("the extra 'plot'"),
            got=_("no graphlay"),
            fix=_(
                "pip install 'chainrule[plot]'; on a machine for which graphlay has no"
                " wheel, pip install graphlay with Rust there, or to_mermaid()"
            ),
        ) from error
    number = {frame: i for i, frame in enumerate(diagram.frames)}
    nodes: list[dict[str, Any]] = [
        {"size": {"width": frames[frame], "height": HEADER}} for frame in diagram.frames
    ]
    for frame, made_of in zip(diagram.frames, nodes):
        if frame.outer is not None:
            made_of["parent"] = number[frame.outer]
    first = len(nodes)
    place = {box: first + i for i, box in enumerate(diagram.boxes)}
    for box in diagram.boxes:
        width, height = boxes[box]
        node: dict[str, Any] = {"size": {"width": width, "height": height}}
        if box.frame is not None:
            node["parent"] = number[box.frame]
        nodes.append(node)
    edges = [
        {
            "source": place[start],
            "target": place[end],
            # Labels stand beside their lines, so that half of the room is empty.
            "label_size": {"width": 2 * labels[arrow][0], "height": labels[arrow][1]},
        }
        for arrow in diagram.arrows
        for start, end in (_downwards(arrow),)
    ]
    spacing = {
        "layer_gap": 26.0,
        "node_gap": 26.0,
        "dummy_gap": 18.0,
        "edge_label_margin": 8.0,
        "compound_padding": PADDING,
        "compound_header": HEADER,
    }
    options = {"direction": "topbottom", "spacing": spacing}
    made = graphlay.layout({"nodes": nodes, "edges": edges}, options=options)
    places = [
        Place(
            n["center"]["x"] - n["size"]["width"] / 2,
            n["center"]["y"] - n["size"]["height"] / 2,
            n["size"]["width"],
            n["size"]["height"],
        )
        for n in made.nodes
    ]
    arrows = [
        [(p["x"], p["y"]) for p in edge["points"]][:: 1 if arrow.kind == VALUE else -1]
        for arrow, edge in zip(diagram.arrows, made.edges)
    ]
    headings = [
        Place(place.x, place.y, frames[frame], HEADER)
        for frame, place in zip(diagram.frames, places)
    ]
    beside = place_labels(
        [labels[arrow] for arrow in diagram.arrows],
        arrows,
        [*places[first:], *headings],
    )
    everything = [*places, *beside]
    x0 = min([p.x for p in everything], default=0.0) - PADDING
    y0 = min([p.y for p in everything], default=0.0) - PADDING
    return Layout(
        [p.moved(-x0, -y0) for p in places[first:]],
        [p.moved(-x0, -y0) for p in places[:first]],
        [[(x - x0, y - y0) for x, y in points] for points in arrows],
        [p.moved(-x0, -y0) for p in beside],
        max([p.x + p.width for p in everything], default=0.0) - x0 + PADDING,
        max([p.y + p.height for p in everything], default=0.0) - y0 + PADDING,
    )


def crossed(diagram: Parts) -> int:
    """Return how many layers the arrows of a diagram cross together.

    A layer is how many arrows at most lead to a box.
    """
    layer = dict.fromkeys(diagram.boxes, 0)
    ends = [_downwards(arrow) for arrow in diagram.arrows]
    below: dict[Box, list[Box]] = {box: [] for box in diagram.boxes}
    above = dict.fromkeys(diagram.boxes, 0)
    for start, end in ends:
        if start is not end:
            below[start].append(end)
            above[end] += 1
    ready = [box for box in diagram.boxes if not above[box]]
    while ready:
        box = ready.pop()
        for end in below[box]:
            layer[end] = max(layer[end], layer[box] + 1)
            above[end] -= 1
            if not above[end]:
                ready.append(end)
    return sum(abs(layer[end] - layer[start]) for start, end in ends)


def _downwards(arrow: Arrow) -> tuple[Box, Box]:
    """Return the upper and the lower end of an arrow.

    What goes into the next step, or block, leads up to where that begins.
    """
    if arrow.kind == VALUE:
        return arrow.source, arrow.target
    return arrow.target, arrow.source


# -- labels ----------------------------------------------------------------------------


def place_labels(
    sizes: Sequence[tuple[float, float]],
    arrows: Sequence[Sequence[Point]],
    boxes: Sequence[Place],
) -> list[Place]:
    """Return the places of labels: beside their lines, on nothing else if possible.

    Args:
        sizes: the width and height of each arrow's label.
        arrows: the corners of each.
        boxes: where no label should be.
    """
    lines = [
        (min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1)
        for points in arrows
        for (x1, y1), (x2, y2) in pairwise(points)
    ]
    strokes = np.array(lines).reshape(-1, 4)
    taken = np.array([p.edges() for p in boxes]).reshape(-1, 4)
    found: list[Place] = []
    for (width, height), points in zip(sizes, arrows):
        best, least = Place(*points[0], width, height), float("inf")
        for order, place in enumerate(_beside(points, width, height)):
            covered = _shared(place, taken).sum()
            crossed = np.count_nonzero(_shared(place, strokes))
            cost = 10 * covered + 60 * crossed + order
            if cost < least:
                best, least = place, cost
            if cost == order:  # on nothing else
                break
        found.append(best)
        taken = np.concatenate([taken, [best.edges()]])
    return found


def _shared(place: Place, others: Array) -> Array:
    """Return the areas that a place shares with others, rows of their edges."""
    left, top, right, bottom = place.edges()
    wide = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    high = np.minimum(bottom, others[:, 3]) - np.maximum(top, others[:, 1])
    return np.maximum(wide, 0) * np.maximum(high, 0)


def _beside(points: Sequence[Point], width: float, height: float) -> Iterator[Place]:
    """Yield places beside the parts of an arrow, the best ones first."""
    parts = sorted(pairwise(points), key=lambda p: abs(p[0][1] - p[1][1]) < height)
    for part in (0.5, 0.3, 0.7, 0.15, 0.85):
        for (x1, y1), (x2, y2) in parts:
            x, y = x1 + (x2 - x1) * part, y1 + (y2 - y1) * part
            if abs(x1 - x2) < 0.5:
                yield Place(x + 5, y - height / 2, width, height)
                yield Place(x - 5 - width, y - height / 2, width, height)
            else:
                yield Place(x - width / 2, y - height - 1, width, height)
                yield Place(x - width / 2, y + 2, width, height)
