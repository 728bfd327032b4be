"""Explanations as HTML pages: formulas in MathML, arrays as tables and pictures.

One file, no script, nothing from elsewhere. The same is shown in a notebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from chainrule.explanation import page
from chainrule.explanation.content import Explained
from chainrule.explanation.equations import Equation
from chainrule.explanation.loops import Loop
from chainrule.explanation.pictures import network
from chainrule.explanation.worked import Section
from chainrule.html.arrays import POLICY, array_html
from chainrule.notation import mathml
from chainrule.notation.expressions import Expr
from chainrule.text.catalogue import current

STYLE = """
.cr{font:16px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:62rem;
margin:auto;padding:1rem}
.cr h1{font-size:1.4rem;margin:.2rem 0}
.cr h2{font-size:1.05rem;margin:1.4rem 0 .4rem;border-bottom:1px solid #ddd;
color:#0a5a6b}
.cr .eq{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;align-items:baseline;
margin:.5rem 0}
.cr .given{align-items:center;gap:.2rem .5rem}.cr .given .value{margin:.1rem 0}
.cr .eq math{font-size:1.1rem}.cr .remark{color:#666;font-size:.85rem}
.cr .note{color:#555;font-style:italic;margin:.3rem 0}.cr .wrong{color:#b00020}
.cr .value{margin:.1rem 0 .6rem 1.5rem;overflow-x:auto}
.cr table{border-collapse:collapse;border:solid #444;border-width:0 2px}
.cr td{padding:.05rem .5rem;text-align:right;font-variant-numeric:tabular-nums}
.cr .large{display:flex;flex-wrap:wrap;gap:1rem;align-items:center;font-size:.85rem}
.cr img{image-rendering:pixelated;border:1px solid #ccc;background:#fff}
.cr table.sides{border:0}.cr .sides td{text-align:left;padding:.1rem .25rem}
.cr figure{margin:.5rem 0}.cr figcaption{font-size:.85rem;color:#555}
.cr svg{max-width:100%;height:auto}.cr .ok{color:#0a6b2d}
"""


def document(e: Explained) -> str:
    """Return an explanation as a complete HTML page."""
    return file_of(page.title(e), fragment(e))


def file_of(title: str, fragment: str) -> str:
    """Return a complete HTML page with the given title and body."""
    return (
        f'<!DOCTYPE html>\n<html lang="{current()}"><head><meta charset="utf-8">'
        f"{POLICY}"
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title></head>"
        f"<body>{fragment}</body></html>\n"
    )


def fragment(e: Explained) -> str:
    """Return an explanation as an HTML fragment for another page."""
    return part_of(_body(e))


def part_of(body: Iterable[str]) -> str:
    """Return HTML elements with the style sheet, as a fragment for another page."""
    return f'<style>{STYLE}</style><div class="cr page">{"".join(body)}</div>'


def _body(e: Explained) -> Iterator[str]:
    chosen = [s for s in e.sections if not e.only or s.l in e.only]
    yield f"<h1>{escape(page.title(e))}</h1>"
    for text in page.introduction(e):
        yield f'<p class="note">{escape(text)}</p>'
    for text in e.notes:
        yield f'<p class="wrong">{escape(text)}</p>'
    if not e.only:
        yield f"<figure>{network(e)}</figure>"
        for value in (*e.run.x, e.run.y):
            yield _quantity(e, e.names.of[value])
    for name in page.constants(e):
        yield _quantity(e, name)
    for section in chosen:
        yield from _part(e, section, "forward", section.forward)
    for section in reversed(chosen):
        yield from _part(e, section, "backward", section.backward)
    for section in chosen:
        yield from _part(e, section, "update", section.update)
    check = e.check()
    yield f'<p class="{"ok" if check.ok else "wrong"}">{escape(str(check))}</p>'


def _part(
    e: Explained, section: Section, direction: str, equations: tuple[Equation, ...]
) -> Iterator[str]:
    if not equations:
        return
    yield f"<h2>{escape(page.heading(e, section, direction))}</h2>"
    if direction == "forward":
        for name in section.given:
            yield _quantity(e, name)
    if direction == "update":
        for name in page.hyper_parameters(e, equations):
            yield _quantity(e, name)
    for equation in equations:
        yield _equation(equation)
        if equation.name in e.numbers and equation.sides[-1] not in e.numbers:
            numbers = page.paper(e.numbers[equation.name])
            yield array_html(numbers, page.off(e, equation.name))
    if direction != "update":
        for loop in section.loops:
            if loop.backward == (direction == "backward"):
                yield from _loop(loop)
    if direction == "backward":
        for note in section.notes:
            yield f'<p class="note">{escape(note)}</p>'


def _loop(loop: Loop) -> Iterator[str]:
    yield f"<details><summary>{escape(page.of_loop(loop))}</summary>"
    for equation in loop.equations:
        yield _equation(equation)
    for t in page.steps_shown(loop):
        yield f"<p>t = {page.number_of(loop, t)}</p>"
        for equation in loop.equations:
            value = array_html(page.paper(loop.steps[t][equation.name]))
            name = mathml.mathml(equation.name)
            yield f'<div class="eq given">{name} = {value}</div>'
    yield "</details>"


def _equation(equation: Equation) -> str:
    remark = ""
    if equation.remark:
        remark = f'<span class="remark">{escape(equation.remark)}</span>'
    return f'<div class="eq">{mathml.equation(equation.sides)}{remark}</div>'


def _quantity(e: Explained, name: Expr) -> str:
    value = array_html(page.paper(e.numbers[name]))
    return f'<div class="eq given">{mathml.mathml(name)} = {value}</div>'
