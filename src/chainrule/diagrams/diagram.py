"""Diagrams of graphs: what is connected with what, drawn as SVG or told to Mermaid.

The arrows of a diagram are those of the graph: two boxes are joined where a node of one
reads what a node of the other computes, directly or through nodes that have no box
(reshapes, constants).
"""

from __future__ import annotations

from pathlib import Path

from chainrule.diagrams import svg
from chainrule.diagrams.mermaid import to_mermaid
from chainrule.diagrams.parts import VALUE, Parts
from chainrule.text import ngettext


class Diagram(Parts):
    """A picture of a network or a graph: boxes, arrows and frames.

    A notebook shows it as a drawing. ``print`` gives its boxes and arrows as text.

    Attributes:
        title: of the whole.
        boxes, arrows, frames: what is drawn.
        notes: sentences under the drawing, such as what was left out.
        units: the units of a small dense network, which are drawn instead of boxes.
    """

    def to_svg(self) -> str:
        """Return the drawing as an ``<svg>`` element for an HTML page.

        It takes the page's text colour, so that it is legible on light and dark.

        Raises:
            ArgumentError: the layout's package is missing, and this is no chain of
                small dense layers; or more than 400 boxes.
        """
        return svg.drawn(self)

    def to_mermaid(self) -> str:
        """Return the diagram in the language of Mermaid, for Markdown files."""
        return to_mermaid(self)

    def save(self, path: str | Path) -> Path:
        """Save the drawing as a file: ``.svg``, or ``.mmd`` for Mermaid.

        Raises:
            ArgumentError: another ending, or the layout's package is missing.
            SaveError: the file cannot be written.
        """
        return svg.save(self, path)

    def _repr_html_(self) -> str:
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
        boxes = ngettext("{n} box", "{n} boxes", n=len(self.boxes))
        arrows = ngettext("{n} arrow", "{n} arrows", n=len(self.arrows))
        return f"<diagram {self.title}: {boxes}, {arrows}>"
