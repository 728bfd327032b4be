"""An ``<svg>`` element in a page."""

from __future__ import annotations

from html import escape

from chainrule.errors import visible

#: Characters of a line in a box.
LONGEST = 48

#: Widths of characters in ems, at least those of a broad typeface (DejaVu Sans).
_EMS = {
    **dict.fromkeys("ijlftrIJ.,:;'|!()[]{}/\\- ", 0.42),
    **dict.fromkeys("w+−±×·→←↑↓=<>≤≥~^", 0.84),
    **dict.fromkeys("mMW%@&", 1.0),
}
_DIGIT, _LOWER, _UPPER, _OTHER, _WIDE = 0.64, 0.64, 0.79, 0.7, 1.0


def width_of(text: str, size: float) -> float:
    """Return how many pixels wide a text is at most, in letters of a size.

    >>> round(width_of("3×28×28", 11)), round(width_of("玫瑰", 11))
    (54, 22)
    """
    return size * sum(map(_ems, text))


def _ems(c: str) -> float:
    if (known := _EMS.get(c)) is not None:
        return known
    if c.isascii():
        return _DIGIT if c.isdigit() else _UPPER if c.isupper() else _LOWER
    from unicodedata import combining, east_asian_width  # few programs need it

    return 0.0 if combining(c) else _WIDE if east_asian_width(c) in "WF" else _OTHER


def cut(text: str) -> str:
    """Return untrusted text as one line that is not too long for a box."""
    text = visible(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def px(x: float) -> str:
    """Return a coordinate as text, to a tenth of a pixel.

    >>> px(104.0), px(36.25)
    ('104', '36.2')
    """
    return f"{x:.1f}".removesuffix(".0")


def linked(body: str, link: str) -> str:
    """Return a part of a drawing that leads to a place in its page, if there is one."""
    return f'<a href="{escape(link)}">{body}</a>' if link else body


def element(
    width: float, height: float, about: str, body: str, *, links: bool = False
) -> str:
    """Return an ``<svg>`` element of a size, with what it shows in words.

    ``links``: whether there are links in it, so that it is no single image.
    """
    about, role = escape(about), "group" if links else "img"
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
        f' height="{height:.0f}" role="{role}" aria-label="{about}" font-size="13"'
        ' font-family="system-ui,sans-serif" fill="currentColor"'
        f' style="max-width:100%;height:auto"><title>{about}</title>{body}</svg>'
    )
