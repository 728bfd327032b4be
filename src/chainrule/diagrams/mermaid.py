"""Diagrams in the language of Mermaid, which Markdown viewers draw."""

from __future__ import annotations

from chainrule.diagrams.element import cut
from chainrule.diagrams.parts import VALUE, Frame, Parts
from chainrule.diagrams.texts import texts
from chainrule.errors import visible


def to_mermaid(diagram: Parts) -> str:
    """Return a diagram as a flowchart of Mermaid, from top to bottom."""
    names = {box: f"n{i}" for i, box in enumerate(diagram.boxes)}
    lines = ["flowchart TD"]

    def inside(frame: Frame | None, indent: str) -> None:
        for box in diagram.boxes:
            if box.frame is frame:
                text = "<br/>".join(_quoted(line) for line in texts(box))
                left, right = ("[", "]") if box.kind in _SQUARE else ("([", "])")
                lines.append(f'{indent}{names[box]}{left}"{text}"{right}')
        for i, inner in enumerate(diagram.frames):
            if inner.outer is frame:
                times = f" × {inner.times}" if inner.times > 1 else ""
                lines.append(
                    f'{indent}subgraph f{i}["{_quoted(cut(inner.title))}{times}"]'
                )
                inside(inner, indent + "  ")
                lines.append(f"{indent}end")

    inside(None, "  ")
    for arrow in diagram.arrows:
        sign = "-->" if arrow.kind == VALUE else "-.->"
        text = arrow.label if arrow.kind == VALUE else arrow.kind
        label = f'|"{_quoted(text)}"|' if text else ""
        lines.append(f"  {names[arrow.source]} {sign}{label} {names[arrow.target]}")
    return "\n".join(lines) + "\n"


_SQUARE = ("layer", "operation")


def _quoted(text: str) -> str:
    """Return a text for a label of Mermaid, where quotes and signs have codes."""
    codes = {c: f"#{ord(c)};" for c in '"#<>&`\\|[]{}'}
    return "".join(codes.get(c, c) for c in visible(text))
