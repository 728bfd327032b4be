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
#: Between layers, and between arrows but for 8: more where labels have no room.
GAPS = (26.0, 38.0, 50.0, 70.0)
#: Layouts that are tried with a gap, while frames are too narrow for their titles.
WIDENED = 4
#: The width up to which frames are widened: most pages show it as it is.
ROOM = 1000.0
#: Between a title and an arrow beside it.
BESIDE = 2.0
#: Layouts of diagrams whose arrows cross more layers are not repeated for labels.
FEW_CROSSED = 400
#: Places of a label or title are tried so far apart; of a line at most so many.
STEP, MOST_PLACES = 6.0, 60


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
        headings: for each frame the place of its title.
        arrows: for each arrow its corners, from the edge of its source to that of its
            target.
        labels: for each arrow the place of its label.
        width, height: of the whole.
    """

    boxes: Sequence[Place]
    frames: Sequence[Place]
    headings: Sequence[Place]
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
    best: Layout | None = None
    least = 0, 0
    for gap in GAPS if long <= FEW_CROSSED else GAPS[:1]:
        widths, room = dict(frames), ROOM
        for times in range(1, WIDENED + 1):
            given = _given(diagram, boxes, widths, labels)
            made = graphlay.layout(given, options=_options(gap))
            layout, hidden, narrow = _lettered(diagram, made, frames, labels)
            if times == 1:
                room = max(ROOM, layout.width)
            if layout.width > room:
                break
            if best is None or (hidden, len(narrow)) < least:
                best, least = layout, (hidden, len(narrow))
            if not narrow or long > FEW_CROSSED:
                break
            # Room for the title on one side of an arrow, or of several.
            widths |= {f: (times + 1) * (frames[f] + BESIDE) for f in narrow}
        if least == (0, 0):
            break
    assert best is not None
    return best


def _given(
    diagram: Parts,
    boxes: Mapping[Box, tuple[float, float]],
    widths: Mapping[Frame, float],
    labels: Mapping[Arrow, tuple[float, float]],
) -> dict[str, Any]:
    """Return what graphlay lays out: nodes, of which frames are the first, and edges.

    ``widths`` are the least ones of frames.
    """
    number = {frame: i for i, frame in enumerate(diagram.frames)}
    nodes: list[dict[str, Any]] = [
        {"size": {"width": widths[frame], "height": HEADER}} for frame in diagram.frames
    ]
    for frame, made_of in zip(diagram.frames, nodes):
        if frame.outer is not None:
            made_of["parent"] = number[frame.outer]
    place = {box: len(number) + i for i, box in enumerate(diagram.boxes)}
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
    return {"nodes": nodes, "edges": edges}


def _options(gap: float) -> dict[str, Any]:
    """Return the options of graphlay, for a gap between layers."""
    spacing = {
        "layer_gap": gap,
        "node_gap": 26.0,
        "dummy_gap": gap - 8,
        "edge_label_margin": 8.0,
        "compound_padding": PADDING,
        "compound_header": HEADER,
    }
    return {"direction": "topbottom", "spacing": spacing}


def _lettered(
    diagram: Parts,
    made: Any,
    frames: Mapping[Frame, float],
    labels: Mapping[Arrow, tuple[float, float]],
) -> tuple[Layout, int, list[Frame]]:
    """Return what graphlay made with texts, and which of them lie on something.

    Of labels it is their number, of titles the frames that are too narrow for them.
    """
    places = [
        Place(
            n["center"]["x"] - n["size"]["width"] / 2,
            n["center"]["y"] - n["size"]["height"] / 2,
            n["size"]["width"],
            n["size"]["height"],
        )
        for n in made.nodes
    ]
    framed = places[: len(diagram.frames)]
    boxed = places[len(diagram.frames) :]
    arrows = [
        [(p["x"], p["y"]) for p in edge["points"]][:: 1 if arrow.kind == VALUE else -1]
        for arrow, edge in zip(diagram.arrows, made.edges)
    ]
    headings = place_headings([frames[f] for f in diagram.frames], framed, arrows)
    strokes = _strokes(arrows, ())
    crossing = [np.count_nonzero(_shared(p, strokes)) for p in headings]
    narrow = [frame for frame, n in zip(diagram.frames, crossing) if n]
    sizes = [labels[arrow] for arrow in diagram.arrows]
    beside, hidden = place_labels(sizes, arrows, [*boxed, *headings], framed)
    edges = [p.edges() for p in [*places, *beside]]
    edges += [(x, y, x, y) for points in arrows for x, y in points]
    x0 = min([e[0] for e in edges], default=0.0) - PADDING
    y0 = min([e[1] for e in edges], default=0.0) - PADDING
    layout = Layout(
        [p.moved(-x0, -y0) for p in boxed],
        [p.moved(-x0, -y0) for p in framed],
        [p.moved(-x0, -y0) for p in headings],
        [[(x - x0, y - y0) for x, y in points] for points in arrows],
        [p.moved(-x0, -y0) for p in beside],
        max([e[2] for e in edges], default=0.0) - x0 + PADDING,
        max([e[3] for e in edges], default=0.0) - y0 + PADDING,
    )
    return layout, hidden, narrow


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
    frames: Sequence[Place] = (),
) -> tuple[list[Place], int]:
    """Return the places of labels, and how many of them have to be on something.

    A label is beside its line, on nothing else if possible.

    Args:
        sizes: the width and height of each arrow's label.
        arrows: the corners of each.
        boxes: where no label should be.
        frames: on whose edges no label should be.
    """
    strokes = _strokes(arrows, frames)
    taken = np.array([p.edges() for p in boxes]).reshape(-1, 4)
    found: list[Place] = []
    hidden = 0
    for (width, height), points in zip(sizes, arrows):
        best, least, free = Place(*points[0], width, height), float("inf"), False
        for order, place in enumerate(_beside(points, width, height)):
            covered = _shared(place, taken).sum()
            crossed = np.count_nonzero(_shared(place, strokes))
            cost = 10 * covered + 60 * crossed + order
            if cost < least:
                best, least = place, cost
            if free := cost == order:  # on nothing else
                break
        found.append(best)
        hidden += not free
        taken = np.concatenate([taken, [best.edges()]])
    return found, hidden


def place_headings(
    widths: Sequence[float], frames: Sequence[Place], arrows: Sequence[Sequence[Point]]
) -> list[Place]:
    """Return the places of frames' titles: on top, at the left if no arrow is there.

    Args:
        widths: of each title.
        frames: the places of each.
        arrows: the corners of each.
    """
    strokes = _strokes(arrows, ())
    found: list[Place] = []
    for width, frame in zip(widths, frames):
        room = max(0.0, frame.width - width)
        places = [
            Place(frame.x + min(x, room), frame.y, width, HEADER)
            for x in np.arange(0.0, room + STEP, STEP).tolist()
        ]
        found.append(min(places, key=lambda p: np.count_nonzero(_shared(p, strokes))))
    return found


def _strokes(arrows: Sequence[Sequence[Point]], frames: Sequence[Place]) -> Array:
    """Return the edges of what lines cover: those of arrows, and around frames."""
    lines = [pair for points in arrows for pair in pairwise(points)]
    for left, top, right, bottom in (frame.edges() for frame in frames):
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        lines += pairwise([*corners, corners[0]])
    return np.array(
        [
            (min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1)
            for (x1, y1), (x2, y2) in lines
        ]
    ).reshape(-1, 4)


def _shared(place: Place, others: Array) -> Array:
    """Return the areas that a place shares with others, rows of their edges."""
    left, top, right, bottom = place.edges()
    wide = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    high = np.minimum(bottom, others[:, 3]) - np.maximum(top, others[:, 1])
    return np.maximum(wide, 0) * np.maximum(high, 0)


def _beside(points: Sequence[Point], width: float, height: float) -> Iterator[Place]:
    """Yield places beside the parts of an arrow, the best ones first."""
    parts = sorted(pairwise(points), key=lambda p: abs(p[0][1] - p[1][1]) < height)
    for share in (0.5, 0.3, 0.7, 0.15, 0.85):
        for part in parts:
            yield from _both_sides(part, share, width, height)
    for part in parts:
        (x1, y1), (x2, y2) = part
        many = int((abs(x1 - x2) + abs(y1 - y2)) / STEP)
        for share in np.linspace(0.0, 1.0, min(many, MOST_PLACES) + 2).tolist():
            yield from _both_sides(part, share, width, height)


def _both_sides(
    part: tuple[Point, Point], share: float, width: float, height: float
) -> Iterator[Place]:
    """Yield the places on both sides of a part of an arrow, so far along it."""
    (x1, y1), (x2, y2) = part
    x, y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
    if abs(x1 - x2) < 0.5:
        yield Place(x + 5, y - height / 2, width, height)
        yield Place(x - 5 - width, y - height / 2, width, height)
    else:
        yield Place(x - width / 2, y - height - 1, width, height)
        yield Place(x - width / 2, y + 2, width, height)
