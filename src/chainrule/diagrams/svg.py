"""Diagrams drawn as SVG: text is text, colours are the page's.

An element has no style sheet and no ids, so that many of them fit in one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from chainrule.diagrams.element import cut, element, linked, px, width_of
from chainrule.diagrams.layout import Layout, Place, lay_out
from chainrule.diagrams.mermaid import to_mermaid
from chainrule.diagrams.parts import NEXT_BLOCK, VALUE, Arrow, Box, Frame, Parts
from chainrule.diagrams.texts import texts
from chainrule.diagrams.units import drawing
from chainrule.errors import ArgumentError, visible, visible_lines
from chainrule.text import _, tr
from chainrule.text.numbers import width as columns
from chainrule.util import atomic_files

#: Pixels of a character and of a line, in titles and in what is smaller.
CHARACTER, LINE, SMALL, SMALL_LINE = 7.4, 18.0, 6.4, 15.0
#: The size of letters of labels, and of titles of frames.
LETTERS = 11.0
#: Boxes of a drawing, so that its size is bounded.
MOST = 400
#: The edge of a box by its kind, legible on white and on black.
INKS = {
    "input": "#3b9a57",
    "output": "#3b9a57",
    "layer": "#2f81c4",
    "operation": "currentColor",
    "state": "#d0662b",
}
ARROW, DASHED = "currentColor", "#d0662b"
#: What a file has in addition: colours for a light and a dark reader.
_FILE = (
    "<style>:root{color:#1f2328;font-family:system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){:root{color:#e6edf3}}</style>"
)


def drawn(diagram: Parts) -> str:
    """Return a diagram as an ``<svg>`` element."""
    if diagram.units is not None:
        return drawing(diagram.units, label(diagram))
    if len(diagram.boxes) > MOST:
        raise ArgumentError(
            _("This picture has too many boxes to be read."),
            expected=_("at most {most}", most=MOST),
            got=str(len(diagram.boxes)),
            fix=_("fewer with depth=0, or the text: print(…), to_mermaid()"),
        )
    lines = {box: texts(box) for box in diagram.boxes}
    sizes = {box: _size(box, lines[box]) for box in diagram.boxes}
    headings = {f: width_of(_heading(f), LETTERS) + 14 for f in diagram.frames}
    labels = {a: (width_of(_label(a), LETTERS) + 2, SMALL_LINE) for a in diagram.arrows}
    layout = lay_out(diagram, sizes, headings, labels)
    parts = [
        *_frames(diagram, layout),
        *_arrows(diagram, layout),
        *(
            _box(box, place, lines[box])
            for box, place in zip(diagram.boxes, layout.boxes)
        ),
        *_labels(diagram, layout),
    ]
    said = "; ".join(map(_said, diagram.arrows))
    body = f"<desc>{escape(said)}</desc>{''.join(parts)}"
    links = any(box.link for box in diagram.boxes)
    return element(layout.width, layout.height, label(diagram), body, links=links)


def label(diagram: Parts) -> str:
    """Return what a diagram shows in words, for those who do not see it."""
    names = [b.title_line() for b in diagram.boxes if b.kind not in ("input", "output")]
    more = f", … (+{len(names) - 12})" if len(names) > 12 else ""
    return tr(
        "Picture of {title}: {boxes}",
        title=cut(diagram.title) or tr("a graph"),
        boxes=", ".join(map(cut, names[:12])) + more,
    )


def figure(diagram: Parts) -> str:
    """Return a diagram with its notes as an HTML figure."""
    inside = contents(diagram)
    return f'<figure style="margin:.5rem 0;overflow-x:auto">{inside}</figure>'


def contents(diagram: Parts) -> str:
    """Return what an HTML figure of a diagram contains: the drawing, and its notes."""
    lines = "<br>".join(escape(visible(line)) for line in caption(diagram))
    style = "font-size:.85rem;opacity:.8"
    return f'{picture(diagram)}<figcaption style="{style}">{lines}</figcaption>'


def picture(diagram: Parts) -> str:
    """Return a diagram's drawing; where the layout's package is missing, that."""
    try:
        return drawn(diagram)
    except ArgumentError as error:
        return f"<p>{escape(f'{error.what} {error.fix}')}</p>"


def caption(diagram: Parts) -> list[str]:
    """Return what stands below a diagram: its title, how to read it, and notes."""
    how = diagram.units.caption() if diagram.units else _reading(diagram)
    return [line for line in (cut(diagram.title), how, *diagram.notes) if line]


def _reading(diagram: Parts) -> str:
    """Return how boxes and arrows are to be read."""
    if not any(box.thumbnails for box in diagram.boxes):
        return tr("An arrow has the shape of what one sample gives there.")
    return tr(
        "An arrow has the shape of what one sample gives there, a box the numbers of"
        " the first sample, on a scale of its own: red is positive, blue negative, 0"
        " white."
    )


def save(diagram: Parts, path: str | Path) -> Path:
    """Save a diagram as an SVG file, or as text of Mermaid."""
    path = Path(path)
    kinds = {".svg": lambda: _file(diagram), ".mmd": lambda: to_mermaid(diagram)}
    if path.suffix not in kinds:
        raise ArgumentError(
            _("A picture of a network is saved as SVG or as text of Mermaid."),
            expected=", ".join(kinds),
            got=path.suffix or str(path),
            fix=str(path.with_suffix(".svg")),
        )
    content = kinds[path.suffix]().encode()
    atomic_files.make_directory(path.parent)
    atomic_files.replace(path, content, _("picture"))
    return path


def _file(diagram: Parts) -> str:
    head, body = drawn(diagram).split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">{_FILE}{body}\n'


# -- boxes -----------------------------------------------------------------------------


def _size(box: Box, lines: list[str]) -> tuple[float, float]:
    wide = columns(lines[0]) * CHARACTER
    wide = max([wide, *(columns(line) * SMALL for line in lines[1:])])
    pictures = sum(t.width + 6 for t in box.thumbnails)
    high = LINE + SMALL_LINE * (len(lines) - 1)
    if box.thumbnails:
        high += max(t.height for t in box.thumbnails) + 8
    return max(wide, pictures, 24) + 20, high + 12


def _box(box: Box, place: Place, lines: list[str]) -> str:
    ink = INKS[box.kind]
    middle, y = place.x + place.width / 2, place.y + 6 + 13
    round_ = 14 if box.kind in ("input", "output", "state") else 4
    parts = [
        f'<rect x="{px(place.x)}" y="{px(place.y)}" width="{px(place.width)}"'
        f' height="{px(place.height)}" rx="{round_}" fill="{ink}" fill-opacity=".1"'
        f' stroke="{ink}"/>'
    ]
    for i, line in enumerate(lines):
        small = ' font-size="11" opacity=".8"' if i else ""
        parts.append(
            f'<text x="{px(middle)}" y="{px(y)}" text-anchor="middle"{small}>'
            f"{escape(line)}</text>"
        )
        y += LINE if i == 0 else SMALL_LINE
    x = middle - (sum(t.width + 6 for t in box.thumbnails) - 6) / 2
    for shown in box.thumbnails:
        parts.append(
            f'<image x="{px(x)}" y="{px(y - 8)}" width="{shown.width}"'
            f' height="{shown.height}" href="{shown.address}"'
            ' preserveAspectRatio="none" style="image-rendering:pixelated">'
            f"<title>{escape(shown.about)}</title></image>"
        )
        x += shown.width + 6
    about = "\n".join([*lines, *box.about.splitlines()])
    body = f"<g><title>{escape(visible_lines(about))}</title>{''.join(parts)}</g>"
    return linked(body, box.link)


# -- frames and arrows -----------------------------------------------------------------


def _heading(frame: Frame) -> str:
    title = cut(frame.title)
    return f"{title}  × {frame.times}" if frame.times > 1 else title


def _frames(diagram: Parts, layout: Layout) -> Iterator[str]:
    placed = zip(diagram.frames, layout.frames, layout.headings)
    for frame, place, title in sorted(placed, key=lambda p: _depth(p[0])):
        yield (
            f'<rect x="{px(place.x)}" y="{px(place.y)}" width="{px(place.width)}"'
            f' height="{px(place.height)}" rx="8" fill="currentColor"'
            ' fill-opacity=".04" stroke="currentColor" stroke-opacity=".35"/>'
            f'<text x="{px(title.x + 10)}" y="{px(title.y + 16)}"'
            f' font-size="{px(LETTERS)}" opacity=".8">{escape(_heading(frame))}</text>'
        )


def _depth(frame: Frame) -> int:
    return len(frame.all_outer())


def _arrows(diagram: Parts, layout: Layout) -> Iterator[str]:
    for arrow, points in zip(diagram.arrows, layout.arrows):
        ink = ARROW if arrow.kind == VALUE else DASHED
        dashes = "" if arrow.kind == VALUE else ' stroke-dasharray="5 4"'
        way = " ".join(f"{px(x)},{px(y)}" for x, y in points)
        yield (
            f'<polyline points="{way}" fill="none" stroke="{ink}"{dashes}'
            ' stroke-width="1.3" stroke-opacity=".75" stroke-linejoin="round">'
            f"<title>{escape(_said(arrow))}</title></polyline>{_head(points, ink)}"
        )


def _said(arrow: Arrow) -> str:
    words = f"{cut(arrow.source.title_line())} → {cut(arrow.target.title_line())}"
    words += f" ({arrow.label})" if arrow.label else ""
    if arrow.kind == VALUE:
        return visible(words)
    kind = tr("next block") if arrow.kind == NEXT_BLOCK else tr("next step")
    return visible(f"{words}, {kind}")


def _head(points: Sequence[tuple[float, float]], ink: str) -> str:
    """Return an arrow's head, at the end of its last part that has a length."""
    x, y = points[-1]
    back = next((p for p in reversed(points[:-1]) if p != (x, y)), (x, y - 1))
    dx, dy = x - back[0], y - back[1]
    length = (dx * dx + dy * dy) ** 0.5
    dx, dy = dx / length, dy / length
    left = x - 7 * dx - 3.5 * dy, y - 7 * dy + 3.5 * dx
    right = x - 7 * dx + 3.5 * dy, y - 7 * dy - 3.5 * dx
    corners = " ".join(f"{px(a)},{px(b)}" for a, b in ((x, y), left, right))
    return f'<polygon points="{corners}" fill="{ink}"/>'


def _label(arrow: Arrow) -> str:
    """Return what is written beside an arrow: a shape, or where it leads."""
    if arrow.kind == VALUE:
        return cut(arrow.label)
    return tr("next block") if arrow.kind == NEXT_BLOCK else tr("next step")


def _labels(diagram: Parts, layout: Layout) -> Iterator[str]:
    for arrow, place in zip(diagram.arrows, layout.labels):
        if text := _label(arrow):
            yield (
                f'<text x="{px(place.x + place.width / 2)}" y="{px(place.y + 11)}"'
                f' text-anchor="middle" font-size="{px(LETTERS)}" opacity=".85">'
                f"{escape(text)}</text>"
            )
