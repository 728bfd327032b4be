"""The texts in the boxes of a diagram."""

from __future__ import annotations

from chainrule.diagrams.element import cut
from chainrule.diagrams.parts import Box


def texts(box: Box) -> list[str]:
    """Return the lines of a box: its title, its module's path, and details."""
    lines = [box.title_line()]
    if box.name:
        lines.append(box.name)
    return [cut(line) for line in (*lines, *box.details)]
