"""The HTML of an explanation's page: contents, sections that fold, tables of cells.

The page is one file. Its script and its style sheet stand beside this module, its data
are those of :mod:`~chainrule.explanation.interactive.entries`. Without the script it is
a document that can be read and printed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from html import escape
from importlib import resources
from typing import Any
from urllib.parse import quote

import numpy as np

from chainrule.diagrams.diagram import Diagram
from chainrule.diagrams.svg import contents
from chainrule.errors import visible
from chainrule.explanation import html
from chainrule.explanation.content import Explained
from chainrule.explanation.interactive.entries import Entries, Entry, entries_of
from chainrule.explanation.interactive.words import words
from chainrule.explanation.page import PartsOf, title
from chainrule.explanation.parts import Details, Formula, Numbers, Part
from chainrule.explanation.pictures import network
from chainrule.explanation.typeset import is_small
from chainrule.explanation.worked import Section
from chainrule.graph.node import Array
from chainrule.html.arrays import TABLE, heat_map, policy, spelled, summary
from chainrule.notation import mathml
from chainrule.notation.expressions import Expr
from chainrule.text import ngettext, tr
from chainrule.text.catalogue import current

#: Rows and columns of a large array that are seen at a time.
WINDOW = 8
#: Bytes of all heat maps, about, and the least and most pixels of one's edge.
HEAT, LEAST, LARGEST = 450_000, 20, 96
_IMPORTS = re.compile(r"^import .*?;\n", re.M | re.S)


def page(e: Explained, *, title: str = "", report: str = "") -> str:
    """Return an explanation as a complete HTML page, in which numbers are clicked.

    Args:
        e: the explanation.
        title: what the page is called; by default by the sizes of the network.
        report: the address of the report of the run, relative to the page; or none.
    """
    return _Page(e).html(title, report)


@cache
def script() -> str:
    """Return the script of the page: its modules in one, in the order of imports."""
    texts = [_file(name) for name in ("entries.js", "panel.js", "page.js")]
    return "".join(
        re.sub(r"^export ", "", _IMPORTS.sub("", text), flags=re.M) for text in texts
    )


def _file(name: str) -> str:
    return (resources.files("chainrule.explanation.interactive") / name).read_text(
        "utf-8"
    )


class _Page:
    def __init__(self, e: Explained) -> None:
        self.e, self.parts = e, PartsOf(e)
        self.entries: Entries = entries_of(e)
        self.shapes = [tuple(v["shape"]) for v in self.entries.data["values"]]
        large = sum(not _is_table(q.array) for q in e.numbers.values())
        edge = math.isqrt(HEAT // (4 * max(large, 1)))
        self.pixels = min(max(edge, LEAST), LARGEST)
        self.clicked = True

    def html(self, called: str, report: str) -> str:
        """Return the whole page, by its title and with a link to a report."""
        heading = escape(visible(title(self.e)))
        called = escape(visible(called)) or heading
        back = ""
        if report:
            words_ = escape(tr("The report of this run"))
            back = f'<p class="note"><a href="{quote(report)}">{words_}</a></p>'
        texts, code = _json(words()), script()
        data = _json(self.entries.data)
        notes = "".join(map(html.part_html, self.parts.notes()))
        check = html.part_html(self.parts.check())
        sections = list(self._sections())
        contents_ = "".join(
            f'<li><a href="#{key}">{name}</a></li>' for key, name, __ in sections
        )
        body = "".join(body for *__, body in sections)
        return (
            f'<!DOCTYPE html>\n<html lang="{current()}"><head><meta charset="utf-8">'
            f"{policy(code)}"
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{called}</title><style>{html.STYLE}{_file('page.css')}</style>"
            f'</head><body><a class="skip" href="#main">{tr("To the numbers")}</a>'
            f'<div class="columns"><nav aria-label="{tr("Contents")}">'
            f"<ol>{contents_}</ol></nav>"
            f'<main id="main" class="cr" tabindex="-1"><h1>{heading}</h1>{back}{notes}'
            f"{self._how()}{self._tools()}{body}{self._left_out()}{check}"
            '<div id="tip" role="tooltip" hidden></div></main>'
            f'<aside id="path" aria-label="{tr("The path of a number")}" hidden>'
            "</aside></div>"
            '<div id="live" class="unseen" role="status" aria-live="polite"></div>'
            f'<script type="application/json" id="entries">{data}</script>'
            f'<script type="application/json" id="words">{texts}</script>'
            f'<script type="module">{code}</script></body></html>\n'
        )

    def _how(self) -> str:
        first = tr(
            "Click a number, or choose it with the arrow keys and Enter: its path"
            " lights up, forward and back, with every derivative and product. Escape"
            " closes it."
        )
        second = tr(
            "Paths are worked out in float64, from the network's own numbers; an index"
            " counts as the array lies in memory, samples first."
        )
        return f'<p class="note">{escape(first)} {escape(second)}</p>'

    def _tools(self) -> str:
        """Return the buttons of steps and the slider of samples, for the script."""
        buttons = (
            ("first", "|◀", tr("To the first number")),
            ("back", "◀", tr("One number back")),
            ("on", "▶", tr("One number on")),
            ("turn", "ℒ", tr("To the loss, where the way back begins")),
        )
        shown = "".join(
            f'<button type="button" data-go="{go}" aria-label="{escape(label)}"'
            f' title="{escape(label)}">{sign}</button>'
            for go, sign, label in buttons
        )
        return (
            f'<div class="tools" role="group" aria-label="{tr("Step by step")}" hidden>'
            f'{shown}<span id="at"></span></div>'
            '<div class="tools samples" hidden><label for="sample" id="which"></label>'
            f'<input id="sample" type="range" min="0" max="{self.e.n - 1}" value="0">'
            "</div>"
        )

    def _left_out(self) -> str:
        return self._updates_left_out() + self._links_left_out()

    def _updates_left_out(self) -> str:
        names = self.entries.updates_left_out
        if not names:
            return ""
        shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        text = tr(
            "So that the page stays small, these new parameters can be read and not"
            " clicked: {names}.",
            names=shown,
        )
        return f'<p class="note">{escape(text)}</p>'

    def _links_left_out(self) -> str:
        names = self.entries.left_out
        if not names:
            return ""
        shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        text = tr(
            ngettext(
                "So that the page stays small, the links into {n} value are left out, "
                "and its numbers that are not near ℒ: {names}. In Python "
                "explanation.element(NAME, INDEX) has every path.",
                "So that the page stays small, the links into {n} values are left out, "
                "and numbers of those that are not near ℒ: {names}. In Python "
                "explanation.element(NAME, INDEX) has every path.",
                n=len(names),
                names=shown,
            )
        )
        return f'<p class="note">{escape(text)}</p>'

    # -- sections ------------------------------------------------------------------

    def _sections(self) -> Iterator[tuple[str, str, str]]:
        """Yield the sections: their anchors, their titles as HTML, their HTML."""
        if not self.e.only:
            drawing = contents(self._picture())
            name = tr("The network")
            body = f'<figure class="picture scroll">{drawing}</figure>'
            yield "picture", name, f'<section id="picture">{_h2(name)}{body}</section>'
        given = self._all(self.parts.inputs())
        yield self._folding("inputs", tr("Given"), given)
        for section in self.parts.chosen:
            made = self._section(section)
            if made is not None:
                yield made

    def _section(self, section: Section) -> tuple[str, str, str] | None:
        words_ = {
            "forward": tr("forward"),
            "backward": tr("backward"),
            "update": tr("update"),
        }
        key = _anchor(section.l)
        several = section.l is not None
        body = ""
        for direction, word in words_.items():
            parts = list(self.parts.section(section, direction))
            if parts:
                anchor = f"{key}-{direction}"
                head = f'<h3 id="{anchor}">{escape(word)}</h3>' if several else ""
                body += head + self._all(parts)
        return self._folding(key, self._name(section), body) if body else None

    def _name(self, section: Section) -> str:
        if section.l is None:
            return tr("loss")
        if not section.l:
            return tr("before layer 1")
        names = [visible(name) for name in section.tensors.values()]
        if len(names) > 3:
            names = [*names[:3], "…"]
        depth = len(self.e.names.layers)
        where = tr("layer {k} of {depth}", k=section.l, depth=depth)
        return f"{where} · {', '.join(names)}" if names else where

    def _folding(self, key: str, name: str, body: str) -> tuple[str, str, str]:
        name = escape(name)
        head = f"<summary><h2>{name}</h2></summary>"
        return key, name, f'<details id="{key}" open>{head}{body}</details>'

    def _picture(self) -> Diagram:
        """Return the picture of the network, with links to the sections."""
        diagram, names = network(self.e), self.e.names
        there = {_anchor(s.l) for s in self.parts.chosen}
        for box in diagram.boxes:
            values = [*box.reads, *([box.value] if box.value is not None else [])]
            found = [names.section[v] for v in values if v in names.section]
            key = _anchor(found[0]) if found else ""
            if box.kind == "input":
                key = "inputs"
            box.link = f"#{key}" if key in there or key == "inputs" else ""
        if diagram.units is not None:
            columns = [
                replace(column, link=f"#{_anchor(k)}" if k else "#inputs")
                for k, column in enumerate(diagram.units.columns)
            ]
            diagram.units = replace(diagram.units, columns=columns)
        return diagram

    # -- parts ---------------------------------------------------------------------

    def _all(self, parts: Iterable[Part]) -> str:
        return "".join(map(self._part, parts))

    def _part(self, part: Part) -> str:
        if isinstance(part, Details):
            self.clicked = False  # symbols of one step of a loop, and of no other value
            inner = self._all(part.parts)
            self.clicked = True
            return f"<details><summary>{escape(part.title)}</summary>{inner}</details>"
        if isinstance(part, Numbers) and part.array is not None:
            name = mathml.mathml(part.name)
            cells = self._array(part.name, part.array)
            return f'<div class="eq given scroll">{name} = {cells}</div>'
        if not isinstance(part, Formula):
            return html.part_html(part)
        equation = html.equation_html(part.equation)
        equation = equation.replace('class="eq"', 'class="eq scroll"', 1)
        if part.array is None:
            return equation
        own = self._array(part.equation.name, part.array, part.off)
        worked = self._worked(part)
        return f'{equation}<div class="eq worked scroll">{worked}= {own}</div>'

    def _worked(self, part: Formula) -> str:
        """Return a formula with numbers in place of symbols, if they are few."""
        side = part.equation.sides[-1]
        pieces = side.pieces(part.known)
        arrays = [p for p in pieces if not isinstance(p, str)]
        if not arrays or side in part.known or not all(map(is_small, arrays)):
            return ""
        names = {_memory(array): name for name, array in part.known.items()}
        symbols = self.entries.symbols  # of two symbols of one array that with a path
        names |= {_memory(a): k for k, a in part.known.items() if k.text() in symbols}
        shown: list[str] = []
        opened: list[int] = []
        high: list[int] = []  # rows of each piece
        for piece in pieces:
            rows = 1
            if not isinstance(piece, str):
                rows = np.atleast_2d(piece).shape[0]
                turned = _memory(piece) not in names
                name = names.get(_memory(piece.T if turned else piece))
                shown.append(self._array(name, piece, turned=turned))
            elif piece == "(":
                opened.append(len(shown))
                shown.append("")
            elif piece == ")" and opened:
                start = opened.pop()
                rows = max(high[start + 1 :], default=1)
                bare = len(shown) == start + 2 and rows > 1  # σ of a matrix alone
                shown[start] = "" if bare else _fence("(", rows)
                shown.append("" if bare else _fence(")", rows))
            else:
                shown.append(f"<span>{escape(piece)}</span>")
            high.append(rows)
        for start in opened:
            shown[start] = _fence("(", 1)
        return f"= {''.join(shown)} "

    def _array(
        self,
        name: Expr | None,
        array: Array,
        off: Array | None = None,
        *,
        turned: bool = False,
    ) -> str:
        """Return an array as a table whose cells can be chosen, or as a window.

        ``turned``: whether rows and columns have changed places.
        """
        text = "" if name is None else name.text()
        entry = self._entry(text, array)
        if entry is not None and turned:
            entry = replace(entry, columns=not entry.columns)
        label = tr("{name}, numbers: {shape}", name=text, shape=_shape(array))
        if _is_table(array):
            return _table(spelled(array, off=off), entry, label)
        notes = "<br>".join(map(escape, summary(array)))
        picture = heat_map(array, self.pixels)
        column = entry is not None and entry.columns and array.ndim == 2
        across = 1 if column and array.shape[1] > WINDOW else WINDOW  # the first sample
        corner = _corner(array, off, across)
        grid = _table(corner, entry, label) if corner else ""
        marks = " data-window" if entry is not None else ""
        # Without cells to choose a wide table is scrolled by keys.
        keys = "" if entry is not None else ' tabindex="0" data-keys'
        return (
            f'<div class="large"{marks}>{picture}'
            f'<div class="grid scroll"{keys}>{grid}</div>'
            f"<span>{notes}</span></div>"
        )

    def _entry(self, name: str, array: Array) -> Entry | None:
        """Return what a symbol's numbers are in the page's data; None: not there."""
        entry = self.entries.symbols.get(name)
        if (
            entry is None
            or not self.clicked
            or math.prod(self.shapes[entry.id]) != array.size
        ):
            return None
        value = self.entries.data["values"][entry.id]
        if entry.kind == "value" and "data" not in value:
            return None
        known = "gradient" in value or entry.id in self.entries.whole
        return entry if entry.kind == "value" or known else None


def _memory(array: Array) -> tuple[Any, ...]:
    """Return what tells an array's numbers and their order from those of another."""
    return array.__array_interface__["data"], array.shape, array.strides


def _fence(sign: str, rows: int) -> str:
    """Return a parenthesis as high as the rows of a matrix."""
    size = 1 + 0.9 * (rows - 1)
    return f'<span class="fence" style="font-size:{size:.1f}em">{sign}</span>'


def _anchor(layer: int | None) -> str:
    if layer is None:
        return "loss"
    return f"layer-{layer}" if layer else "before"


def _h2(name: str) -> str:
    return f"<h2>{escape(name)}</h2>"


def _json(data: object) -> str:
    """Return data as JSON that ends no script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _is_table(array: Array) -> bool:
    return array.ndim <= 2 and max(array.shape, default=1) <= TABLE


def _shape(array: Array) -> str:
    return " × ".join(map(str, array.shape)) or "1"


def _corner(array: Array, off: Array | None, across: int) -> Sequence[Sequence[str]]:
    """Return the first numbers of a large array as text: of its first matrix."""
    while array.ndim > 2 and array.shape[0]:
        array, off = array[0], None if off is None else off[0]
    array = np.atleast_2d(array)[:WINDOW, :across]
    if not array.size:
        return []
    off = None if off is None else np.atleast_2d(off)[:WINDOW, :across]
    return spelled(array, off=off)


def _table(cells: Sequence[Sequence[str]], entry: Entry | None, label: str) -> str:
    single = " single" if len(cells) == 1 and len(cells[0]) == 1 else ""
    rows = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells
    )
    marks: Mapping[str, object] = {}
    if entry is not None:
        marks = {"v": entry.id, "kind": entry.kind}
        if entry.columns:
            marks["columns"] = ""
    data = "".join(f' data-{k}="{v}"' for k, v in marks.items())
    return (
        f'<table class="matrix{single}"{data} aria-label="{escape(visible(label))}">'
        f"{rows}</table>"
    )
