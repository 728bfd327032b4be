"""Figures by matplotlib, as PNG files or as SVG that takes the colours of its page."""

from __future__ import annotations

import html
import importlib.util
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.viz import fonts

#: Of lines: on white paper, and on a page of unknown background.
COLOURS = (
    ("#2563c9", "#3b82f6"),
    ("#c2570c", "#d9730d"),
    ("#15803d", "#16a34a"),
    ("#7c3aed", "#8b5cf6"),
    ("#be185d", "#db2777"),
    ("#0e7490", "#0891b2"),
    ("#8a5a00", "#a16207"),
    ("#57606a", "#6b7280"),
)
#: Lines that differ in more than their colour.
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (3, 1)), "-")
MARKERS = "osD^vPX*"
#: Stand-ins in an SVG, which become colours of the page.
_INK = "#010203"
_LINES = tuple(f"#0102{i:02x}" for i in range(0x10, 0x10 + len(COLOURS)))
_STYLE = {
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.18,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.0,
    "legend.frameon": False,
    "path.simplify": True,
    "svg.fonttype": "none",
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Palette:
    """Colours that a figure is drawn in.

    Attributes:
        ink: of text and axes.
        lines: one a line.
        fonts: families for text.
    """

    ink: str
    lines: Sequence[str]
    fonts: fonts.Fonts

    def text(self, text: str, otherwise: str | None = None) -> str:
        """``text`` as the figure can show it."""
        return self.fonts.clean(text, otherwise)


def paper(*texts: str, what: str) -> Palette:
    """For a PNG: dark on white, with fonts that have the characters of ``texts``."""
    found = fonts.choose(*texts, what=what)
    return Palette("#1f2328", [light for light, _ in COLOURS], found)


def page() -> Palette:
    """For an SVG: the reader's browser chooses the fonts, the page the colours."""
    return Palette(_INK, _LINES, fonts.Fonts((fonts.FIRST,), frozenset()))


def can_plot() -> bool:
    """Whether matplotlib (the extra ``plot``) is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def need_matplotlib(what: str) -> None:
    """Refuse to draw without matplotlib.

    Raises:
        ArgumentError: it is not installed.
    """
    if not can_plot():
        raise ArgumentError(
            f"The {what} needs matplotlib.",
            expected="the extra 'plot'",
            got="no matplotlib",
            fix="pip install 'chainrule[plot]'",
        )


@contextmanager
def figure(palette: Palette, width: float, height: float) -> Iterator[Any]:
    """An empty figure of ``width`` × ``height`` inches, whatever the user's settings.

    All of its texts are plain: a dollar sign is a dollar sign.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    ink = palette.ink
    settings = {
        "font.family": list(palette.fonts.families),
        "text.color": ink,
        **{f"axes.{part}": ink for part in ("edgecolor", "labelcolor", "titlecolor")},
        **{f"{axis}tick.color": ink for axis in "xy"},
        "grid.color": ink,
    }
    with style.context(["default", _STYLE | settings]):
        yield Figure(figsize=(width, height), layout="constrained")


def png(made: Any, dpi: int = 120) -> bytes:
    """A figure as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(made)
    file = io.BytesIO()
    made.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return file.getvalue()


def svg(made: Any, name: str, label: str) -> str:
    """A figure as an ``<svg>`` element for a page of HTML.

    Text stays text, in the page's font. Axes take the page's ``currentColor``, lines
    its ``--cr-1`` … ``--cr-8``, or colours that are legible on light and dark.

    Args:
        made: the figure.
        name: unique within the page; the element's inner names begin with it.
        label: what the figure shows, for readers who do not see it.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    made.patch.set_visible(False)
    for axes in made.axes:
        axes.patch.set_visible(False)
    FigureCanvasSVG(made)
    file = io.BytesIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # The browser has the characters, and the scripts, that matplotlib lacks.
        for said in ("Glyph", "Matplotlib currently does not support"):
            warnings.filterwarnings("ignore", message=said, category=UserWarning)
        made.savefig(file, format="svg", metadata=unsaid)
    return _for_a_page(file.getvalue().decode(), name, label)


def _for_a_page(text: str, name: str, label: str) -> str:
    width, height = map(float, re.findall(r'(?:width|height)="([\d.]+)pt"', text)[:2])
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    for unused in (r"<!--.*?-->", r"<style.*?</style>", r"<defs>\s*</defs>"):
        body = re.sub(unused, "", body, flags=re.DOTALL)
    body = re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], name), body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{html.escape(label)}" style="width:{width:g}pt;max-width:100%;'
        f'height:auto;stroke-linejoin:round">{body}</svg>'
    )


def _tag(tag: str, name: str) -> str:
    """A tag of matplotlib's, in the colours, font and name space of a page."""
    for pattern, by in (
        (r'<g id="[^"]*"', "<g"),
        (r"font-family: [^;\"]*;? ?", ""),
        (r"xlink:href=", "href="),
        (r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-"),
        (r"(\.\d\d)\d+", r"\1"),
        (r"\s+", " "),
    ):
        tag = re.sub(pattern, by, tag)
    tag = re.sub(r'base64,[^"]*', lambda data: data[0].replace(" ", ""), tag)
    tag = tag.replace(_INK, "currentColor")
    for i, (stand_in, (_, fallback)) in enumerate(zip(_LINES, COLOURS), 1):
        tag = tag.replace(stand_in, f"var(--cr-{i}, {fallback})")
    return tag
