"""Layout of diagrams in layers, by the package graphlay (the extra ``plot``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.diagrams.diagram import VALUE, Arrow, Box, Diagram, Frame
from chainrule.errors import ArgumentError
from chainrule.text import _

#: Room for a frame's title, and between its edge and what is inside.
HEADER, PADDING = 24.0, 14.0


@dataclass(frozen=True)
class Place:
    """The place of a box or frame: its left upper corner, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class Layout:
    """The places of a diagram's boxes and frames, and the corners of its arrows.

    Attributes:
        boxes, frames: places, in the order of the diagram's.
        arrows: for each arrow its corners, from the edge of its source to that of its
            target, and the middle of its label.
        width, height: of the whole.
    """

    boxes: Sequence[Place]
    frames: Sequence[Place]
    arrows: Sequence[tuple[Sequence[tuple[float, float]], tuple[float, float]]]
    width: float
    height: float


def lay_out(
    diagram: Diagram,
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
        ArgumentError: graphlay is not installed.
    """
    try:
        import graphlay
    except ImportError as error:
        raise ArgumentError(
            _("The picture of a network needs graphlay, which lays it out."),
            expected=_("the extra 'plot'"),
            got=_("no graphlay"),
            fix=_("pip install 'chainrule[plot]'"),
        ) from error
    number = {frame: i for i, frame in enumerate(diagram.frames)}
    nodes = [
        {"size": {"width": frames[frame], "height": HEADER}} for frame in diagram.frames
    ]
    for frame, node in zip(diagram.frames, nodes):
        if frame.outer is not None:
            node["parent"] = number[frame.outer]
    first = len(nodes)
    place = {box: first + i for i, box in enumerate(diagram.boxes)}
    for box in diagram.boxes:
        width, height = boxes[box]
        node = {"size": {"width": width, "height": height}}
        if box.frame is not None:
            node["parent"] = number[box.frame]
        nodes.append(node)
    edges = [
        {
            "source": place[start],
            "target": place[end],
            "label_size": {"width": labels[arrow][0], "height": labels[arrow][1]},
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
    low, high = made.bounds["min"], made.bounds["max"]
    x0, y0 = low["x"] - PADDING, low["y"] - PADDING
    places = [
        Place(
            n["center"]["x"] - n["size"]["width"] / 2 - x0,
            n["center"]["y"] - n["size"]["height"] / 2 - y0,
            n["size"]["width"],
            n["size"]["height"],
        )
        for n in made.nodes
    ]
    arrows = [
        (
            [(p["x"] - x0, p["y"] - y0) for p in edge["points"]][
                :: 1 if arrow.kind == VALUE else -1
            ],
            (edge["label_anchor"]["x"] - x0, edge["label_anchor"]["y"] - y0),
        )
        for arrow, edge in zip(diagram.arrows, made.edges)
    ]
    return Layout(
        places[first:],
        places[:first],
        arrows,
        high["x"] - x0 + PADDING,
        high["y"] - y0 + PADDING,
    )


def _downwards(arrow: Arrow) -> tuple[Box, Box]:
    """Return the upper and the lower end of an arrow.

    What goes into the next step, or block, leads up to where that begins.
    """
    ends = arrow.source, arrow.target
    return ends if arrow.kind == VALUE else ends[::-1]
