"""The page: elements whose text is escaped by construction, and the style sheet."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from importlib import resources

from chainrule.viz import drawing, fonts

#: What HTML and UTF-8 cannot hold.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_VOID = ("img", "meta", "br")


class Html(str):
    """Text that is HTML already; every other text is escaped where it is put in."""

    __slots__ = ()


def text(value: object) -> Html:
    """Anything as HTML.

    >>> text("a < b"), text(Html("<b>"))
    ('a &lt; b', '<b>')
    """
    if isinstance(value, Html):
        return value
    return Html(html.escape(_UNFIT.sub("\ufffd", str(value))))


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("".join(map(text, parts)))


def el(name: str, /, *inner: object, **attributes: object) -> Html:
    """An element.

    Args:
        name: such as ``td``.
        inner: what is in it.
        attributes: their names with ``_`` for ``-``, or with ``_`` behind them where
            Python needs it; None leaves one out.

    >>> el("td", "a & b", class_="number", data_x=None)
    '<td class="number">a &amp; b</td>'
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{shown}>")
    return Html(f"<{name}{shown}>{join(inner)}</{name}>")


def table(
    caption: str,
    heading: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    texts: int = 1,
    row_names: bool = True,
) -> Html:
    """A table that scrolls by itself where the page is narrower.

    Args:
        caption: what it shows; also its name for screen readers.
        heading: of the columns.
        rows: cells; an element ``td`` or ``th`` is taken as it is.
        texts: so many first columns are text, the others numbers.
        row_names: whether the first column names the row.
    """

    def cell(i: int, value: object) -> Html:
        if isinstance(value, Html) and value.startswith(("<td", "<th")):
            return value
        if i == 0 and row_names:
            return el("th", value, scope="row")
        return el("td", value, class_=None if i < texts else "number")

    head = [
        el("th", value, scope="col", class_=None if i < texts else "number")
        for i, value in enumerate(heading)
    ]
    body = [el("tr", *(cell(i, v) for i, v in enumerate(row))) for row in rows]
    return captioned(
        caption, el("thead", el("tr", *head)), el("tbody", *body), class_=None
    )


def captioned(caption: str, *inner: Html, class_: str | None) -> Html:
    """A table under its caption, in a box that can be scrolled with the keyboard too.

    The caption stands outside of the box, so that it does not scroll away.
    """
    made = el("table", *inner, class_=class_, aria_label=caption)
    box = {"class_": "scroll", "role": "region", "tabindex": 0, "aria_label": caption}
    return el("figure", el("figcaption", caption), el("div", made, **box))


def figure(picture: Html, caption: str, *more: Html) -> Html:
    """A picture with its caption, and a legend where there is one."""
    return el("figure", picture, *more, el("figcaption", caption))


def legend(labels: Sequence[str]) -> Html:
    """Names for the lines of a figure, each with its colour and dashes."""
    items = []
    for i, label in enumerate(labels):
        line = el(
            "line",
            x1=0,
            y1=5,
            x2=30,
            y2=5,
            stroke_dasharray=_dashes(i),
            stroke_width=2.5,
        )
        style = f"stroke:var(--cr-{i % len(drawing.COLOURS) + 1})"
        sample = el("svg", line, viewBox="0 0 30 10", aria_hidden="true", style=style)
        items.append(el("li", sample, " ", label))
    return el("ul", *items, class_="legend")


def sample(i: int, colour: str, label: str) -> Html:
    """An entry of a legend of points: the marker of class i, in its colour."""
    shape = "●■◆▲▼✚✖★"[i % len(drawing.MARKERS)]
    mark = el("span", shape, style=f"color:{colour}", aria_hidden="true")
    return el("li", mark, " ", label)


def _dashes(i: int) -> str | None:
    dashes = drawing.DASHES[i % len(drawing.DASHES)]
    named = {"-": None, "--": "7 4", "-.": "9 3 3 3", ":": "2.5 3"}
    if isinstance(dashes, str):
        return named[dashes]
    return " ".join(str(2.5 * part) for part in dashes[1])


def document(title: str, language: str, body: Html) -> str:
    """The whole page. It can load nothing and run nothing (Content-Security-Policy)."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("style", Html(_style())),
    )
    return (
        "<!DOCTYPE html>\n" + el("html", head, el("body", body), lang=language) + "\n"
    )


def _style() -> str:
    light = "".join(f"--cr-{i}:{a};" for i, (a, _) in enumerate(drawing.COLOURS, 1))
    dark = "".join(f"--cr-{i}:{c};" for i, c in enumerate(_DARK, 1))
    sheet = (
        resources.files("chainrule.viz.report").joinpath("style.css").read_text("utf-8")
    )
    for stand_in, by in (
        ("FONTS", fonts.STACK),
        ("LIGHT", light + _LIGHT),
        ("NIGHT", dark + _NIGHT),
    ):
        sheet = sheet.replace(stand_in, by)
    return re.sub(r"/\*.*?\*/|\n\s*", "", sheet)


#: The lines' colours on a dark page.
_DARK = (
    "#7aa7ff",
    "#ff9a52",
    "#5fd08a",
    "#b79cff",
    "#ff8cc0",
    "#56c8dc",
    "#d9b45b",
    "#a9b4c0",
)
_LIGHT = (
    "--paper:#f6f7f9;--card:#fff;--ink:#1f2328;--soft:#57606a;--edge:#d5d9e0;"
    "--link:#0b57c4;--right:37 99 201;--wrong:194 87 12;--pixel:#fff"
)
_NIGHT = (
    "--paper:#0f1216;--card:#181c22;--ink:#e8eaed;--soft:#a4adb8;--edge:#333a44;"
    "--link:#8ab4ff;--right:96 150 255;--wrong:255 140 66;--pixel:#000"
)
