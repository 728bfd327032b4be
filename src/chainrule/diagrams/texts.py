"""The texts in the boxes of a diagram."""

from __future__ import annotations

from chainrule.diagrams.parts import Box
from chainrule.errors import visible

#: Characters of a line in a box.
LONGEST = 48


def texts(box: Box) -> list[str]:
    """Return the lines of a box: its title, its module's path, and details."""
    lines = [box.title_line()]
    if box.name:
        lines.append(box.name)
    return [cut(line) for line in (*lines, *box.details)]


def cut(text: str) -> str:
    """Return untrusted text as one line that is not too long for a box."""
    text = visible(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
