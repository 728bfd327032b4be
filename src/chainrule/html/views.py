"""Views: what objects show of themselves in a notebook, as HTML of bounded size.

A view is self-contained: no script, nothing from elsewhere. It takes the colours of
what is around it, so that it fits a dark notebook as well as a light one, and whatever
is written by people is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from chainrule.errors import visible
from chainrule.html.arrays import Array
from chainrule.text import ngettext, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table, html_table

#: Rows and columns of a view's table; more are counted.
ROWS, COLUMNS = 20, 12
#: Characters of a cell, and of a paragraph.
CHARACTERS, LONGEST = 120, 5000
#: Points of a line in a chart; its width; that of a digit, in the size of a phone.
POINTS, WIDE, DIGIT = 300, 494, 10
#: Of lines on white and on black.
INKS = ("#2f81c4", "#d0662b", "#3b9a57", "#a566c2")
STYLE = """
.cr-view{font:14px/1.45 system-ui,sans-serif;overflow-x:auto;max-width:100%}
.cr-view table{border-collapse:collapse;border:0;margin:.4rem 0;font-size:13px}
.cr-view th,.cr-view td{padding:.15rem .6rem;text-align:right;white-space:pre-wrap;
border:0;border-bottom:1px solid #8884;font-variant-numeric:tabular-nums}
.cr-view .left th,.cr-view .left td{text-align:left}
.cr-view .value{margin:.2rem 0 .6rem}.cr-view .value span{opacity:.8}
.cr-view .large{display:flex;flex-wrap:wrap;gap:1rem;align-items:center}
.cr-view img{image-rendering:pixelated;border:1px solid #8886;max-width:100%}
.cr-view p{margin:.3rem 0}.cr-view .note{opacity:.75}
.cr-view .pictures{display:flex;flex-wrap:wrap;gap:.5rem}
.cr-view figure{margin:0;text-align:center;font-size:12px}
.cr-view figure img{width:64px;display:block;margin:auto}
.cr-view svg{max-width:100%;height:auto}.cr-view svg text{fill:currentColor}
.cr-view .chart p{font-size:.85em;margin:.3rem 0 0}
.cr-view .key span{margin-right:1.2em}
.cr-view .key i{display:inline-block;width:.7em;height:.7em;border-radius:50%;\
margin-right:.4em}
@media (max-width:30rem){.cr-view svg text{font-size:15px}}
.cr-view .bars{display:grid;grid-template-columns:auto minmax(4rem,12rem) auto;
gap:.2rem .6rem;align-items:center;justify-content:start;margin:.4rem 0;font-size:13px}
.cr-view .bars i{display:block;height:.8em;background:#2f81c4;min-width:1px}
"""


def view(*parts: str) -> str:
    """Return a view of parts that are HTML already."""
    return f'<style>{STYLE}</style><div class="cr-view">{"".join(parts)}</div>'


def paragraph(text: str, kind: str = "") -> str:
    """Return a text as a paragraph of a view.

    >>> paragraph("a < b", "note")
    '<p class="note">a &lt; b</p>'
    """
    named = f' class="{kind}"' if kind else ""
    return f"<p{named}>{escape(_cut(text, LONGEST))}</p>"


def table(rows: Table, of: int | None = None, *, left: bool = False) -> str:
    """Return a table of bounded size for a view; the first row is its head.

    Args:
        rows: its cells, which are cut to :data:`CHARACTERS`.
        of: rows that there are, where more than these; else as many as given.
        left: whether cells are words, to the left.
    """
    head, *body = rows
    there, wide = len(body) if of is None else of, len(head)
    kept = [[_cut(cell) for cell in row[:COLUMNS]] for row in [head, *body[:ROWS]]]
    notes: list[str] = []
    if there > len(kept) - 1:
        notes.append(
            tr(ngettext("{n:,} more row", "{n:,} more rows", n=there - len(kept) + 1))
        )
    if wide > COLUMNS:
        notes.append(
            tr(ngettext("{n:,} more column", "{n:,} more columns", n=wide - COLUMNS))
        )
    note = paragraph("… " + tr(", ").join(notes), "note") if notes else ""
    return f'<div class="{"left" if left else ""}">{html_table(kept)}</div>{note}'


def _cut(text: str, most: int = CHARACTERS) -> str:
    return visible(text if len(text) <= most else text[: most - 1] + "…")


def gallery(addresses: Sequence[str], captions: Sequence[str]) -> str:
    """Return pictures side by side for a view, each with its caption."""
    figures = (
        f'<figure><img alt="" src="{address}"><figcaption>{escape(_cut(caption))}'
        "</figcaption></figure>"
        for address, caption in zip(addresses, captions)
    )
    return f'<div class="pictures">{"".join(figures)}</div>'


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Return shares as bars for a view: a name, a share of the whole, and its text.

    >>> "width:50.0%" in bars([("accuracy", 0.5, "50%")])
    True
    """
    cells = "".join(
        f"<span>{escape(_cut(name))}</span>"
        f'<span><i style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></i></span>'
        f"<span>{escape(_cut(text))}</span>"
        for name, share, text in rows
    )
    return f'<div class="bars">{cells}</div>'


def is_logarithmic(known: Array) -> bool:
    """Return whether numbers are drawn by their logarithms.

    They are where they are positive and span a factor of ten or more.
    """
    return bool(known.size and known.min() > 0 and known.max() >= 10 * known.min())


def chart(lines: Mapping[str, Array], x: Array, *, across: str, up: str) -> str:
    """Return lines over common x as an SVG chart for a view.

    Numbers that are not finite are gaps. Positive numbers that span a factor of ten or
    more have a logarithmic axis. Of a long line the extremes are drawn.

    Args:
        lines: y by the names of the lines, at most four.
        x: increasing.
        across, up: what its axes are of, with units where there are any.
    """
    known = np.concatenate([y[np.isfinite(y)] for y in lines.values()])
    if len(x) < 2 or not known.size:
        return ""
    low, high = float(known.min()), float(known.max())
    scale = np.log if is_logarithmic(known) else np.asarray
    up = tr("{name} (logarithmic)", name=up) if scale is np.log else up
    bottom, top = (float(scale(v)) for v in (low, high))
    marks = number(high, 3), number(low, 3)
    # Digits of the size that a phone shows, see the style.
    room = 12 + DIGIT * max(5, *map(len, marks))
    width, height = WIDE - room - 12, 180

    def place(i: int, value: float) -> str:
        across = (x[i] - x[0]) / (x[-1] - x[0])
        up = (float(scale(value)) - bottom) / (top - bottom or 1.0)
        return f"{room + across * width:.1f},{12 + (1 - up) * height:.1f}"

    parts, named = list[str](), list[str]()
    for n, (name, y) in enumerate(list(lines.items())[: len(INKS)]):
        ink, pieces = INKS[n], [[]]
        for i in _drawn(y):
            if math.isfinite(y[i]):
                pieces[-1].append(place(i, float(y[i])))
            else:
                pieces.append([])
        parts += [
            # A point between gaps is a line without length: its ends are round.
            f'<polyline points="{" ".join(points * (1 + (len(points) == 1)))}"'
            f' fill="none" stroke="{ink}" stroke-width="2" stroke-linecap="round"/>'
            for points in pieces
            if points
        ]
        if len(lines) == 1:  # the axis says what it is
            break
        named.append(
            f'<span><i style="background:{ink}"></i>{escape(_cut(name))}</span>'
        )
    frame = f"M{room} 12V{12 + height}H{room + width}"
    ends = (
        (room - 6, 18, "end", marks[0]),
        (room - 6, 14 + height, "end", marks[1]),
        (room, height + 28, "start", number(float(x[0]))),
        (room + width, height + 28, "end", number(float(x[-1]))),
        (room + width / 2, height + 28, "middle", across),
    )
    texts = "".join(
        f'<text x="{a}" y="{b}" text-anchor="{c}">{escape(_cut(v))}</text>'
        for a, b, c, v in ends
    )
    key = f'<p class="key">{"".join(named)}</p>' if named else ""
    return (  # names are long, so they are text that wraps
        f'<div class="chart"><p>{escape(_cut(up))}</p>'
        f'<svg viewBox="0 0 {WIDE} {height + 40}" width="{WIDE}" height="{height + 40}"'
        f' role="img" aria-label="{escape(_cut(up))}" font-size="12">'
        f'<path d="{frame}" fill="none" stroke="currentColor" stroke-opacity=".5"/>'
        f"{texts}{''.join(parts)}</svg>{key}</div>"
    )


def _drawn(y: Array) -> list[int]:
    """Return the indices of a line's points that are drawn, about :data:`POINTS`.

    Of each stretch of a longer line: its least and greatest number, and one gap.
    """
    if len(y) <= POINTS:
        return [*range(len(y))]
    drawn = {0, len(y) - 1}
    for stretch in np.array_split(np.arange(len(y)), POINTS // 2):
        known = np.isfinite(y[stretch])
        there, gaps = stretch[known], stretch[~known]
        drawn |= {*gaps[:1].tolist()}
        if there.size:
            drawn |= {int(there[y[there].argmin()]), int(there[y[there].argmax()])}
    return sorted(drawn)
