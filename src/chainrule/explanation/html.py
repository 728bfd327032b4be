"""Documents as HTML pages: formulas in MathML, arrays as tables and pictures.

One file, no script, nothing from elsewhere. The same is shown in a notebook.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from html import escape
from itertools import accumulate

from chainrule.errors import visible
from chainrule.explanation.equations import Equation
from chainrule.explanation.parts import (
    Details,
    Formula,
    Heading,
    Part,
    Picture,
    Room,
    Rows,
    Sentence,
)
from chainrule.html.arrays import POLICY, array_html
from chainrule.notation import mathml
from chainrule.text import ngettext, tr
from chainrule.text.catalogue import current
from chainrule.text.numbers import width
from chainrule.text.tables import html_table

#: A chain of equations that is wider has a line for each side.
LONG = 76
#: Of a document in a page of its own: light or dark as the reader's system, and light
#: on paper.
PAGE = """
body{color:#1b1b1b;background:#fff;color-scheme:light}
@media screen and (prefers-color-scheme:dark){body{color:#e8eaed;background:#15181c;
color-scheme:dark;--accent:#6cc7dc;--wrong:#ff8a9a;--right:#5fd08a}}
"""
#: Colours are those of what is around it, so that a dark notebook stays dark.
STYLE = """
.cr.page{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:auto;padding:1rem}
.cr h1{font-size:1.4rem;margin:.2rem 0}
.cr h2{font-size:1.05rem;margin:1.4rem 0 .4rem;border-bottom:1px solid #8886;
color:var(--accent,#1a7f96)}
.cr .eq{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;align-items:baseline;
margin:.5rem 0}
.cr .given{align-items:center;gap:.2rem .5rem}.cr .given .value{margin:.1rem 0}
.cr .eq{max-width:100%;overflow-x:auto;overflow-y:hidden}
.cr .eq math{font-size:1.1rem}.cr .remark{opacity:.75;font-size:.85rem}
.cr .note{opacity:.8;font-style:italic;margin:.3rem 0}
.cr .wrong{color:var(--wrong,#d2384f)}
.cr .value{margin:.1rem 0 .6rem 1.5rem;overflow-x:auto}
.cr table{margin:0;border-collapse:collapse;border:solid currentColor;
border-width:0 2px;--tick:linear-gradient(currentColor 0 0);print-color-adjust:exact;
background:var(--tick) 0 0,var(--tick) 100% 0,var(--tick) 0 100%,var(--tick) 100% 100%;
background-size:.35rem 2px;background-repeat:no-repeat}
.cr.page tbody tr:nth-child(n),.cr.page tbody tr:nth-child(n):hover{background:none}
.cr td{padding:.05rem .5rem;text-align:right;font-variant-numeric:tabular-nums}
.cr .large{display:flex;flex-wrap:wrap;gap:1rem;align-items:center;font-size:.85rem}
.cr img{image-rendering:pixelated;border:1px solid #8886;background:#fff}
.cr table.sides,.cr .rows table{border:0;background:none}
.cr .rows{margin:.3rem 0 .8rem;overflow-x:auto}
.cr .rows :is(th,td){text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
.cr .rows tr{border-bottom:1px solid #8884}.cr a{color:var(--accent,#1a6f9a)}
.cr td.blank{min-width:4.5rem;height:1.7rem;padding:.1rem .3rem}
.cr td.blank::after{content:"";display:block;height:1.3rem;
border-bottom:1px dotted currentColor}
.cr .room{border:1px dashed #8888;border-radius:.3rem;margin:.4rem 0 1rem}
.cr .sides td{text-align:left;padding:.1rem .25rem}
.cr figure{margin:.5rem 0}.cr figcaption{font-size:.85rem;opacity:.8}
.cr svg{max-width:100%;height:auto}.cr svg text{fill:currentColor}
.cr .ok{color:var(--right,#1f8f4e)}
@media(max-width:30rem){.cr.page{padding:.6rem}.cr .eq math{font-size:1rem}}
@media print{@page{size:A4;margin:1.6cm}
.cr.page{font-size:11pt;max-width:none;padding:0}
.cr h1~h1{break-before:page}.cr :is(h1,h2){break-after:avoid}
.cr :is(.eq,figure,.room,tr){break-inside:avoid}.cr .why{break-after:avoid}
.cr .room{break-before:avoid}.cr :is(.rows,.eq){overflow:visible}
.cr .given{display:inline-flex;margin:.3rem 2rem .3rem 0}}
"""


def page(parts: Sequence[Part]) -> str:
    """Return a document as a complete HTML page."""
    title = next((p.text for p in parts if isinstance(p, Heading)), "")
    return (
        f'<!DOCTYPE html>\n<html lang="{current()}"><head><meta charset="utf-8">'
        f"{POLICY}"
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{PAGE}</style></head>"
        f"<body>{fragment(parts)}</body></html>\n"
    )


def fragment(parts: Sequence[Part], most: int | None = None) -> str:
    """Return a document as HTML with its style sheet, for another page.

    Args:
        parts: of the document.
        most: characters beyond which further parts are left out; None: all of them.
    """
    shown = [*map(part_html, parts)]
    ends = [*accumulate(map(len, shown))]
    if most is not None and ends and ends[-1] > most:
        kept = bisect_right(ends, most)
        more = tr(
            ngettext(
                "… {n} more part: save to_html()",
                "… {n} more parts: save to_html()",
                n=len(shown) - kept,
            )
        )
        shown = [*shown[:kept], f'<p class="note">{escape(more)}</p>']
    body = "".join(shown)
    return f'<style>{STYLE}</style><div class="cr page">{body}</div>'


def part_html(part: Part) -> str:
    """Return a part of a document as HTML."""
    if isinstance(part, Heading):
        return f"<h{part.level}>{escape(visible(part.text))}</h{part.level}>"
    if isinstance(part, Sentence):
        kind = {"check": "ok", "": "why"}.get(part.kind, part.kind)
        return f'<p class="{kind}">{escape(visible(part.text))}</p>'
    if isinstance(part, Rows):
        return f'<div class="rows">{html_table(part.rows, part.links)}</div>'
    if isinstance(part, Room):
        return f'<div class="room" style="height:{1.6 * part.lines:.1f}rem"></div>'
    if isinstance(part, Picture):
        return f"<figure>{part.draw()}</figure>"
    if isinstance(part, Details):
        inner = "".join(map(part_html, part.parts))
        return f"<details><summary>{escape(part.title)}</summary>{inner}</details>"
    if isinstance(part, Formula):
        array = part.array
        value = "" if array is None else array_html(array, part.off, part.digits)
        return equation_html(part.equation) + value
    if part.array is None:
        value = _blank(*part.blank)
    else:
        value = array_html(part.array, digits=part.digits)
    return f'<div class="eq given">{mathml.mathml(part.name)} = {value}</div>'


def _blank(rows: int, columns: int) -> str:
    """Return a matrix to fill in as an HTML table."""
    row = f"<tr>{'<td class=blank></td>' * columns}</tr>"
    kind = ' class="sides"' if rows * columns == 1 else ""
    return f'<div class="value"><table{kind}>{row * rows}</table></div>'


def equation_html(e: Equation) -> str:
    """Return an equation as HTML, on one line or a line for each side."""
    remark = f'<span class="remark">{escape(e.remark)}</span>' if e.remark else ""
    if len(e.sides) < 4 and (len(e.sides) < 3 or width(e.text()) <= LONG):
        markup = mathml.equation(e.sides, sign=e.sign)
        return f'<div class="eq">{markup}{remark}</div>'
    rows = ""
    for i, side in enumerate(e.sides[1:]):
        name, sign = (mathml.mathml(e.name), e.sign) if i == 0 else ("", "=")
        cells = f"<td>{name}</td><td>{sign}</td><td>{mathml.mathml(side)}</td>"
        rows += f"<tr>{cells}</tr>".replace("<math>", '<math displaystyle="true">')
    return f'<div class="eq"><table class="sides">{rows}</table>{remark}</div>'
