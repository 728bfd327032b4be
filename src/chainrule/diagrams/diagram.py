"""Diagrams of graphs: boxes, the arrows between them, and frames around boxes.

A diagram says what is connected with what, and is drawn by :mod:`.svg` and
:mod:`.mermaid`. Its arrows are those of the graph: two boxes are joined where a node of
one reads what a node of the other computes, directly or through nodes that have no box
(reshapes, constants).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.diagrams.units import Units

#: What an arrow is: a value; a state that goes into the next step of a loop; what the
#: next one of repeated blocks reads.
VALUE, NEXT_STEP, NEXT_BLOCK = "value", "next step", "next block"


@dataclass(eq=False)
class Frame:
    """A frame of a diagram: a module with modules inside, or one step of a loop.

    Attributes:
        title: what is written on it, such as ``encoder · Transformer``.
        outer: the frame around it.
        times: how many blocks in a row it stands for, all of them alike.
        key: what in the graph the frame is of.
    """

    title: str
    outer: Frame | None = None
    times: int = 1
    key: Any = None

    def all_outer(self) -> list[Frame]:
        """Return the frame and those around it, the innermost first."""
        frames: list[Frame] = [self]
        while frames[-1].outer is not None:
            frames.append(frames[-1].outer)
        return frames


@dataclass(frozen=True)
class Thumbnail:
    """A small picture in a box: the numbers of a value as a PNG.

    Attributes:
        address: a ``data:`` address.
        width, height: in pixels of the drawing.
        about: what it shows, for those who do not see it.
    """

    address: str
    width: int
    height: int
    about: str


@dataclass(eq=False)
class Box:
    """A box of a diagram: an input, an output, a layer, an operation or a state.

    Attributes:
        title: what is written in it first.
        kind: ``input``, ``output``, ``layer``, ``operation`` or ``state``.
        name: the path of its module.
        symbol: the letter of what it computes, such as Q.
        details: further lines.
        about: what a reader learns who points at it.
        frame: the innermost frame around it.
        nodes: the graph nodes that it stands for, of each repetition.
        value: the graph value that it shows.
        parameters: how many numbers of it are trained; those that several boxes read
            are counted in the first one.
        reads: the parameters that it reads.
        thumbnails: pictures of numbers.
    """

    title: str
    kind: str
    name: str = ""
    symbol: str = ""
    details: list[str] = field(default_factory=list[str])
    about: str = ""
    frame: Frame | None = None
    nodes: list[Any] = field(default_factory=list[Any])
    value: Any = None
    parameters: int = 0
    reads: list[Any] = field(default_factory=list[Any])
    thumbnails: list[Thumbnail] = field(default_factory=list[Thumbnail])

    def title_line(self) -> str:
        """Return the box's first line: its letter, where it has one, and its title."""
        if self.symbol and self.symbol != self.title:
            return f"{self.symbol} = {self.title}"
        return self.title

    def full_title(self) -> str:
        """Return the box's first line after the path of its module."""
        return f"{self.name} · {self.title_line()}" if self.name else self.title_line()


@dataclass(eq=False)
class Arrow:
    """An arrow of a diagram, from one box to another.

    Attributes:
        source, target: boxes.
        label: the shape of the value, per sample.
        kind: ``value``, ``next step`` or ``next block``.
        values: the graph values that are read.
    """

    source: Box
    target: Box
    label: str = ""
    kind: str = VALUE
    values: list[Any] = field(default_factory=list[Any])


@dataclass(eq=False)
class Diagram:
    """A picture of a network or a graph: boxes, arrows and frames.

    A notebook shows it as a drawing. ``print`` gives its boxes and arrows as text.

    Attributes:
        title: of the whole.
        boxes, arrows, frames: what is drawn.
        notes: sentences under the drawing, such as what was left out.
        units: the units of a small dense network, which are drawn instead of boxes.
    """

    title: str
    boxes: list[Box] = field(default_factory=list[Box])
    arrows: list[Arrow] = field(default_factory=list[Arrow])
    frames: list[Frame] = field(default_factory=list[Frame])
    notes: list[str] = field(default_factory=list[str])
    units: Units | None = None

    def to_svg(self) -> str:
        """Return the drawing as an ``<svg>`` element for an HTML page.

        It takes the page's text colour, so that it is legible on light and dark.

        Raises:
            ArgumentError: the layout's package is missing, and this is no chain of
                small dense layers.
        """
        from chainrule.diagrams import svg  # where something is drawn

        return svg.drawn(self)

    def to_mermaid(self) -> str:
        """Return the diagram in the language of Mermaid, for Markdown files."""
        from chainrule.diagrams.mermaid import to_mermaid

        return to_mermaid(self)

    def save(self, path: str | Path) -> Path:
        """Save the drawing as a file: ``.svg``, or ``.mmd`` for Mermaid.

        Raises:
            ArgumentError: another ending, or the layout's package is missing.
            SaveError: the file cannot be written.
        """
        from chainrule.diagrams import svg

        return svg.save(self, path)

    def _repr_html_(self) -> str:
        from chainrule.diagrams import svg

        return svg.figure(self)

    def __str__(self) -> str:
        lines = [self.title] if self.title else []
        for box in self.boxes:
            for arrow in self.arrows:
                if arrow.source is box:
                    words = f"{box.full_title()} → {arrow.target.full_title()}"
                    kind = "" if arrow.kind == VALUE else f", {arrow.kind}"
                    lines.append(f"{words}: {arrow.label}{kind}")
        return "\n".join([*lines, *self.notes])

    def __repr__(self) -> str:
        return (
            f"<diagram {self.title}: {len(self.boxes)} boxes,"
            f" {len(self.arrows)} arrows>"
        )


def in_frame(boxes: Sequence[Box], frame: Frame) -> list[Box]:
    """Return the boxes within a frame and the frames inside it."""
    return [b for b in boxes if b.frame is not None and frame in b.frame.all_outer()]
