"""The parts of a diagram: boxes, the arrows between them, and frames around boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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
        key: what in the graph the frame is of: a module's call, or a loop.
        calls: that call, and those of the repetitions.
    """

    title: str
    outer: Frame | None = None
    times: int = 1
    key: Any = None
    calls: list[Any] = field(default_factory=list[Any])

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
        constants: values that it reads and that are the same in every run.
        thumbnails: pictures of numbers.
        link: where in the page it leads, such as ``#layer-1``; empty: nowhere.
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
    constants: list[Any] = field(default_factory=list[Any])
    thumbnails: list[Thumbnail] = field(default_factory=list[Thumbnail])
    link: str = ""

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
class Parts:
    """All that is drawn of a diagram.

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


def in_frame(boxes: Sequence[Box], frame: Frame) -> list[Box]:
    """Return the boxes within a frame and the frames inside it."""
    return [b for b in boxes if b.frame is not None and frame in b.frame.all_outer()]
