"""Matplotlib figures, saved as PNG files or as SVG in a page's colours."""

from __future__ import annotations

import contextlib
import html
import importlib.util
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError, warn
from chainrule.text import _
from chainrule.text.catalogue import current
from chainrule.text.languages import language

#: Of lines: on white paper, on a page of unknown background, on a dark page.
COLOURS = (
    ("#2563c9", "#3b82f6", "#7aa7ff"),
    ("#c2570c", "#d9730d", "#ff9a52"),
    ("#15803d", "#16a34a", "#5fd08a"),
    ("#7c3aed", "#8b5cf6", "#b79cff"),
    ("#be185d", "#db2777", "#ff8cc0"),
    ("#0e7490", "#0891b2", "#56c8dc"),
    ("#8a5a00", "#a16207", "#d9b45b"),
    ("#57606a", "#6b7280", "#a9b4c0"),
    ("#7a9a01", "#8aa80a", "#c8e64c"),
    ("#d100d1", "#e11de1", "#ff4dff"),
)
#: Lines that differ in more than their colour: lengths of dashes and gaps.
DASHES = (
    *((), (4, 2), (6, 2, 1.5, 2), (1, 1.5), (5, 1, 1, 1, 1, 1)),
    *((7, 2), (3, 1), (9, 1.5), (2, 2, 6, 2, 6, 2), (8, 1, 1, 1)),
)
MARKERS = "osD^vPX*<p"
#: Families with Chinese characters, tried after matplotlib's own for what it lacks.
CHINESE = (
    *("Noto Sans CJK TC", "Noto Sans TC", "Source Han Sans TC", "PingFang TC"),
    *("Heiti TC", "Microsoft JhengHei", "Noto Sans CJK JP", "Noto Sans CJK SC"),
    *("WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei", "Arial Unicode MS"),
)
_STYLE = {
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.formatter.limits": (-4, 6),
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": False,
    "grid.alpha": 0.18,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.0,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Palette:
    """The colours of a matplotlib figure: of text and axes, and of each line."""

    ink: str
    lines: Sequence[str]


#: For a PNG: dark on white.
PAPER = Palette("#1f2328", [light for light, __, __ in COLOURS])
#: For an SVG: stand-ins, which become colours of the page.
PAGE = Palette("#010203", [f"#0102{i:02x}" for i in range(0x10, 0x10 + len(COLOURS))])


def can_plot() -> bool:
    """Return whether matplotlib and jinja2 (the extra ``plot``) are installed."""
    return all(map(importlib.util.find_spec, ("matplotlib", "jinja2")))


def has_chinese() -> bool:
    """Return whether an installed font has Chinese characters."""
    return bool(chinese_families())


def chinese_families() -> list[str]:
    """Return the families of installed fonts that have Chinese characters.

    Matplotlib keeps a list of fonts from its first start. Where that list has none that
    is still there, fonts that were installed later are added to it for this process.
    """
    from matplotlib import font_manager

    def known() -> list[str]:
        entries = font_manager.fontManager.ttflist
        fonts = [entry for entry in entries if entry.name in CHINESE]
        there = {entry.name for entry in fonts if Path(entry.fname).exists()}
        return [family for family in CHINESE if family in there]

    return known() or (known() if add_new_fonts() else [])


@lru_cache(maxsize=1)
def add_new_fonts() -> bool:
    """Add the system's fonts that matplotlib's list lacks; return whether some came."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    listed = {entry.fname for entry in manager.ttflist}
    added = False
    for path in font_manager.findSystemFonts():
        # A broken font file is not one that a picture can use.
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            if path not in listed:
                manager.addfont(path)
                added = True
    return added


@contextmanager
def legible(what: str) -> Iterator[None]:
    """Use English within the block if no installed font has Chinese characters.

    Warns:
        ChainruleWarning: the language in use is Chinese, and no font has it.
    """
    spoken = current()
    if spoken != "en" and can_plot() and not has_chinese():
        spoken = "en"
        warn(
            _("No installed font has Chinese characters."),
            expected=_("a font such as Noto Sans TC"),
            got=_("none; the words of the {what} are English", what=what),
            fix=_("apt install fonts-noto-cjk (Debian, Ubuntu)"),
        )
    with language(spoken):
        yield


def legend(axes: Any, **how: Any) -> None:
    """Add a legend to axes; where it would lie over a line, above them or beside.

    Args:
        axes: with lines that have names.
        how: for matplotlib's ``legend``.
    """
    shown = axes.legend(**how)
    axes.figure.draw_without_rendering()
    box, frame = shown.get_window_extent(), axes.get_window_extent()
    paths = [(line.get_transform(), line.get_path()) for line in axes.lines]
    if not any(to.transform_path(p).intersects_bbox(box, False) for to, p in paths):
        return
    share = box.height / frame.height + 0.06
    if share > 0.4:
        axes.legend(**{**how, "loc": "upper left", "bbox_to_anchor": (1, 1)})
        return
    top = frame.y0 + frame.height / (1 - share)
    height = axes.transData.inverted().transform((frame.x0, top))[1]
    axes.set_ylim(top=height)
    axes.legend(**{**how, "loc": "upper right"})


def need_matplotlib(what: str) -> None:
    """Raise an error if matplotlib is not installed.

    Raises:
        ArgumentError: it is not installed.
    """
    if not can_plot():
        raise ArgumentError(
            _("The {what} needs matplotlib.", what=what),
            expected=_("the extra 'plot'"),
            got=_("no matplotlib"),
            fix=_("pip install 'chainrule[plot]'"),
        )


@contextmanager
def figure(palette: Palette, width: float, height: float) -> Iterator[Any]:
    """Yield an empty matplotlib figure, in inches, in the standard style.

    All of its texts are plain: a dollar sign is a dollar sign.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    ink = palette.ink
    settings = {
        "font.family": ["DejaVu Sans", *chinese_families()],
        "text.color": ink,
        **{f"axes.{part}": ink for part in ("edgecolor", "labelcolor", "titlecolor")},
        **{f"{axis}tick.color": ink for axis in "xy"},
        "grid.color": ink,
    }
    with style.context(["default", _STYLE | settings]):
        yield Figure(figsize=(width, height), layout="constrained")


def png(figure: Any, what: str, dpi: int = 120) -> bytes:
    """Return a matplotlib figure as a PNG file.

    Warns:
        ChainruleWarning: it has characters that no font has; they are boxes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    file = io.BytesIO()
    with warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", message="Glyph", category=UserWarning)
        with _laid_out(figure, dpi):
            figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    codes = [re.match(r"Glyph (\d+)", str(warning.message)) for warning in said]
    lacking = sorted({chr(int(code[1])) for code in codes if code})
    if lacking:
        warn(
            _(
                "No installed font has {lacking}; the {what} shows boxes.",
                lacking="".join(lacking[:12]),
                what=what,
            ),
            expected=_("a font with all characters of its title and labels"),
            got=_("none, for {lacking} of them", lacking=len(lacking)),
            fix=_(
                "install one, such as Noto Sans TC (Debian, Ubuntu: apt install "
                "fonts-noto-cjk), and start again"
            ),
        )
    return file.getvalue()


def words(figure: Any) -> str:
    """Return the words that stand in a matplotlib figure that was drawn."""
    from matplotlib.text import Text

    shown = [text.get_text() for text in figure.findobj(Text) if text.get_visible()]
    return "\n".join(dict.fromkeys(filter(None, shown)))


def svg(figure: Any, name: str, label: str) -> str:
    """Return a matplotlib figure as an ``<svg>`` element for an HTML page.

    Text stays text, in the page's font. Axes take the page's ``currentColor``, lines
    its ``--cr-1`` … ``--cr-8``, or colours that are legible on light and dark.

    Args:
        figure: the figure.
        name: unique within the page; the element's inner names begin with it.
        label: what the figure shows, for readers who do not see it.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    FigureCanvasSVG(figure)
    file = io.BytesIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # The browser has the characters, and the scripts, that matplotlib lacks.
        for said in ("Glyph", "Matplotlib currently does not support"):
            warnings.filterwarnings("ignore", message=said, category=UserWarning)
        with _laid_out(figure, 72):  # the resolution of matplotlib's SVG
            figure.savefig(file, format="svg", metadata=unsaid)
    return _for_a_page(file.getvalue().decode(), name, label)


# -- internals ---------------------------------------------------------------------


@contextmanager
def _laid_out(figure: Any, dpi: int) -> Iterator[None]:
    """Lay the figure out for ``savefig``, which would draw all of it once more."""
    engine = figure.get_layout_engine()
    figure.set_dpi(dpi)
    engine.execute(figure)
    figure.set_layout_engine(None)
    yield
    figure.set_layout_engine(engine)


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
    """Return an SVG tag with colours, font and ids adapted to the page."""
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
    tag = tag.replace(PAGE.ink, "currentColor")
    for i, (stand_in, (__, fallback, __)) in enumerate(zip(PAGE.lines, COLOURS), 1):
        tag = tag.replace(stand_in, f"var(--cr-{i}, {fallback})")
    return tag
